"""Whether a file system tells names apart that differ in case or in Unicode normalisation only."""

from __future__ import annotations

import os
import unicodedata
from collections.abc import Callable
from pathlib import Path

from .files import TEMPORARY_PREFIX

#: A suffix, and what it is called where the file system does not tell names apart.
_CASE = ".case", ".CASE"
_FORM = ".\N{LATIN SMALL LETTER E WITH ACUTE}", ".e\N{COMBINING ACUTE ACCENT}"


def name_folding(folder: Path) -> Callable[[str], str]:
    """A function that maps all names that a folder takes for the same to one text.

    A file is made there for a moment. On most file systems of Linux the function changes nothing;
    on vfat and in case-insensitive folders of ext4, "A" and "a" become one text.

    Raises:
        OSError: the folder cannot be written.
    """
    ignores_case = _is_found_as(folder, *_CASE)
    try:
        ignores_form = _is_found_as(folder, *_FORM)
    except OSError:  # the file system has no such letter
        ignores_form = False

    def fold(name: str) -> str:
        if ignores_form:
            name = unicodedata.normalize("NFC", name)
        return name.casefold() if ignores_case else name

    return fold


def _is_found_as(folder: Path, suffix: str, other: str) -> bool:
    stem = f"{TEMPORARY_PREFIX}{os.getpid()}-{os.urandom(4).hex()}"
    path = folder / f"{stem}{suffix}"
    path.touch()
    try:
        return (folder / f"{stem}{other}").exists()
    finally:
        path.unlink(missing_ok=True)
