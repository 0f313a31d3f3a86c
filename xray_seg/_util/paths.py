"""Names from journals, tables and archives, resolved without leaving their folder."""

from __future__ import annotations

import os
from pathlib import Path, PurePosixPath, PureWindowsPath

from ..errors import OutputError
from .folder_lock import HIDDEN

#: Device names of Windows, with any suffix; a file of such a name is no file there.
_RESERVED = {
    *("con", "prn", "aux", "nul"),
    *(f"{name}{number}" for name in ("com", "lpt") for number in range(1, 10)),
}


def resolve_inside(root: Path, name: str) -> Path:
    """The path of a named file below a folder, whoever wrote the name.

    Args:
        root: the folder.
        name: relative path with forward slashes, from a journal, a Parquet part, a record or a
            card.

    Raises:
        OutputError: the name is empty, absolute, leads out of the folder by ``..`` or by a
            symbolic link, has a drive letter, a null character or a reserved name, or lies in the
            folder of the run's own files.
    """
    reason = _forbidden(name)
    path = root / name if reason is None else root
    if reason is None and not _is_below(path.parent, root):
        reason = "a symbolic link leads out of the folder"
    if reason is not None:
        raise OutputError(f"{name!r}: is no name of an output in {root}: {reason}")
    return path


def _forbidden(name: str) -> str | None:
    """Why a name is not allowed, or None."""
    relative = PurePosixPath(name)
    parts = relative.parts
    reasons = {
        "it is empty": not parts,
        "it holds a null character": "\0" in name,
        "it is absolute": relative.is_absolute() or PureWindowsPath(name).drive != "",
        "it leads upwards": ".." in parts,
        "it lies among the run's own files": parts[:1] == (HIDDEN,),
        "it is the name of a device": os.name == "nt" and any(map(_is_reserved, parts)),
    }
    return next((reason for reason, holds in reasons.items() if holds), None)


def _is_reserved(part: str) -> bool:
    return part.split(".", maxsplit=1)[0].strip().lower() in _RESERVED


def _is_below(folder: Path, root: Path) -> bool:
    """Whether a folder, with its links followed, is ``root`` or below it."""
    return folder.resolve().is_relative_to(root.resolve())
