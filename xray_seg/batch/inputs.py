"""From what a user names to a list of files, each with a name of its own in the output."""

from __future__ import annotations

import glob
import hashlib
import os
import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path, PurePath

from .._util.remote import Remote, find_remote, is_url
from ..outputs import FOLDERS, MERGED_FILES
from .options import Shard

#: Files that a run leaves in its output folder beside FOLDERS.
_RUN_FILES = re.compile(
    rf"(results|run|report|distrusted|{'|'.join(MERGED_FILES)})(-\d+-of-\d+)?\.(csv|json|parquet|html)|part-[-\w]+\.parquet"
)
#: Litter of operating systems and tools; no one means these as radiographs.
_LITTER = ("Thumbs.db", "desktop.ini", "DICOMDIR")
#: Bytes of a name that leave room for ``.clavicles.tif`` and the like below the 255 that file
#: systems allow.
_LONGEST = 200
_IMAGE_SUFFIXES = (".img", ".png", ".jpg", ".jpeg", ".tif", ".tiff", ".dcm", ".gif", ".bmp", ".jp2")


@dataclass(frozen=True)
class Input:
    """One file to segment.

    Attributes:
        path: where it is.
        key: its relative path without suffix, by which its outputs are named; unique in a run.
        problem: why it is not even tried, or None.
    """

    path: Path | Remote
    key: str
    problem: str | None = None


def find_inputs(names: Iterable[str], out: Path | None = None) -> list[Input]:
    """Expand files, folders (at any depth) and glob patterns, in the order given.

    Within a folder or pattern the order is alphabetical. Hidden files, litter of operating
    systems and the output folder are passed over; each other file is listed, whatever it is.
    Links to folders are followed, but no folder is entered twice.

    Args:
        names: paths, patterns, or URLs of object stores (``s3://bucket/folder``), for which
            fsspec and its package for that kind of store are needed.
        out: the output folder, in case that it lies within an input folder.

    Returns:
        Each file once, under unique keys. Where two files differ in suffix alone, their keys keep
        it; where two still agree, the second has a problem. What does not exist has one, too, and
        so has a folder without files.
    """
    return _with_unique_keys(find_files(names, out))


def find_files(names: Iterable[str], out: Path | None = None) -> list[Input]:
    """The same for what leaves no outputs: files may share a key, and none has it for a problem."""
    seen: set[Path | Remote] = set()
    found: list[Input] = []
    for name in names:
        for item in _expand(name, None if out is None else out.resolve()):
            identity = item.path.absolute()
            if identity not in seen:
                seen.add(identity)
                found.append(item)
    return found


def shard_inputs(inputs: list[Input], shard: Shard | None) -> list[Input]:
    """The inputs of a shard: every ``count``-th from the ``index``-th; all where it is None."""
    return inputs if shard is None else inputs[shard.index - 1 :: shard.count]


def _expand(name: str, out: Path | None) -> Iterator[Input]:
    if is_url(name):
        for found in find_remote(name, _is_wanted):
            yield Input(found.path, _stem(found.relative), found.problem)
        return
    path = Path(name)
    try:
        path.lstat()
    except FileNotFoundError:
        pass
    except (OSError, ValueError) as error:  # a name too long, or with a null in it
        yield Input(path, "unusable", f"{name}: cannot be looked up: {error}")
        return
    if path.is_dir():
        yield from _walk(path, out)
    elif path.exists() or path.is_symlink():
        yield Input(path, _stem(Path(path.name)))
    elif glob.has_magic(name):
        yield from _match(name, out)
    else:
        yield Input(path, _stem(Path(path.name)), f"{name}: no such file or folder")


def _match(pattern: str, out: Path | None) -> Iterator[Input]:
    """Files and folders that a pattern matches; none within the output folder."""
    matches = sorted(glob.glob(pattern, recursive=True))  # noqa: PTH207 - absolute patterns, too
    base = Path(*_fixed_part(Path(os.path.normpath(pattern))))
    if not matches:
        yield Input(Path(pattern), pattern, f"{pattern}: no file matches this pattern")
    for match in map(Path, map(os.path.normpath, matches)):
        if out is not None and out in (match.resolve(), *match.resolve().parents):
            continue
        if match.is_dir():
            yield from _walk(match, out, base)
        elif _is_wanted(match.name):
            yield Input(match, _stem(match.relative_to(base)))


def _is_wanted(name: str) -> bool:
    return not name.startswith(".") and name not in _LITTER


def _walk(folder: Path, out: Path | None, base: Path | None = None) -> Iterator[Input]:
    """Files below a folder; an unreadable folder and one named like an image are listed, too."""
    named, base = base is None, base or folder
    failures: list[OSError] = []
    entered = {_identity(folder)}
    empty = True
    for place, folders, files in os.walk(folder, onerror=failures.append, followlinks=True):
        here = Path(place)
        folders[:] = sorted(
            below
            for below in folders
            if not below.startswith(".")
            and (out is None or (here / below).resolve() != out)
            and _enter(here / below, entered)
        )
        if here == folder and here.resolve() == out:
            # Films and masks share a folder: what an earlier run left here is no film.
            folders[:] = [below for below in folders if below not in FOLDERS]
            files = [name for name in files if not _RUN_FILES.fullmatch(name)]  # noqa: PLW2901
        for name in folders:
            path = here / name
            if path.suffix.lower() in _IMAGE_SUFFIXES:
                problem = f"{path}: is a folder with the name of an image; files in it are read"
                empty = False
                yield Input(path, path.relative_to(base).as_posix(), problem)
        for name in sorted(files):
            path = here / name
            if _is_wanted(name):
                empty = False
                yield Input(path, _stem(path.relative_to(base)))
    if empty and named and not failures and folder.resolve() != out:
        yield Input(folder, folder.name or "folder", f"{folder}: holds no files")
    for error in failures:
        path = Path(str(error.filename))
        yield Input(path, path.relative_to(base).as_posix(), f"{path}: {error.strerror}")


def _identity(folder: Path) -> tuple[int, int]:
    status = folder.stat()
    return status.st_dev, status.st_ino


def _enter(folder: Path, entered: set[tuple[int, int]]) -> bool:
    """Whether a folder is entered for the first time; a loop of links ends here."""
    try:
        identity = _identity(folder)
    except OSError:
        return True  # the walk will say why it cannot be read
    if identity in entered:
        return False
    entered.add(identity)
    return True


def _fixed_part(pattern: Path) -> tuple[str, ...]:
    """The folders of a pattern before its first wildcard."""
    fixed = []
    for part in pattern.parts[:-1]:
        if glob.has_magic(part):
            break
        fixed.append(part)
    return tuple(fixed)


def _stem(relative: PurePath) -> str:
    """The path without suffix; the last number of a UID (``1.2.840.113``) is none."""
    has_suffix = any(letter.isalpha() for letter in relative.suffix)
    return _shortened(relative.with_suffix("") if has_suffix else relative).as_posix()


def _shortened(key: PurePath) -> PurePath:
    """The key, its last part cut where the names of outputs, which are longer, would not fit."""
    name = os.fsencode(key.name)
    if len(name) <= _LONGEST:
        return key
    digest = hashlib.sha256(name).hexdigest()[:16]
    kept = name[: _LONGEST - len(digest) - 1].decode("utf-8", "ignore")
    return key.with_name(f"{kept}-{digest}")


def _with_unique_keys(found: list[Input]) -> list[Input]:
    counts: dict[str, int] = {}
    for item in found:
        counts[item.key] = counts.get(item.key, 0) + 1
    taken: dict[str, Path | Remote] = {}
    unique = []
    for item in found:
        key, problem = item.key, item.problem
        if counts[key] > 1 and problem is None:
            key = _shortened(Path(key + item.path.suffix)).as_posix()
        if key in taken and problem is None:
            problem = (
                f"{item.path}: its masks would be named like those of {taken[key]}; "
                "give the folder that holds both, or another --out"
            )
        while key in taken:  # a record of its own, all the same
            key += "~"
        taken[key] = item.path
        unique.append(Input(item.path, key, problem))
    return unique
