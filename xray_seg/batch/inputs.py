"""Expand what a user names into a list of input files, each with a unique key for its outputs."""

from __future__ import annotations

import glob
import hashlib
import os
from collections import Counter
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from functools import cache
from pathlib import Path, PurePath, PurePosixPath

from .._util.folder_lock import HIDDEN, is_output_folder
from .._util.remote import InputPath, RemoteFile, is_url, list_remote_files
from ..outputs import FOLDERS
from .options import Shard
from .run_files import is_run_file

#: Files of operating systems and tools that are never radiographs.
_SYSTEM_FILES = ("Thumbs.db", "desktop.ini", "DICOMDIR")
#: Bytes of a key's last part, so that ``.clavicles.tif`` and the like still fit into the 255 bytes
#: that file systems allow for a name.
_MAX_NAME_BYTES = 200
_IMAGE_SUFFIXES = (".img", ".png", ".jpg", ".jpeg", ".tif", ".tiff", ".dcm", ".gif", ".bmp", ".jp2")


@dataclass(frozen=True)
class Input:
    """One file to segment.

    Attributes:
        path: where it is.
        key: its relative path without suffix, which names its outputs; unique in a run.
        problem: why it cannot be read, known before it is opened, or None.
    """

    path: InputPath
    key: str
    problem: str | None = None

    def as_problem(self, problem: str) -> Input:
        """The input with a problem, and with a key that no input with outputs has.

        Keys with outputs end in a file's name. This one ends in a slash and a digest of the path,
        so that its record never takes the place of that of another input.
        """
        digest = hashlib.sha256(os.fsencode(str(self.path))).hexdigest()[:16]
        return Input(self.path, f"{self.key.rstrip('/')}/~{digest}/", problem)


def find_inputs(
    names: Iterable[str], out: Path | None = None, *, fold: Callable[[str], str] = str
) -> list[Input]:
    """Expand files, folders (at any depth) and glob patterns into inputs, in the order given.

    Within a folder or pattern the order is alphabetical. Every file is listed, whatever it holds,
    except hidden files, files of operating systems, and output folders: a folder below the named
    one that a batch run has written to is skipped. In a named folder that is itself an output
    folder, only the files that runs write are skipped. Links to folders are followed, but no
    folder is entered twice.

    Args:
        names: paths, patterns, or URLs of object stores (``s3://bucket/folder``), for which fsspec
            and its package for that kind of store are needed.
        out: the output folder of this run, which is skipped as well.
        fold: maps names to one that the output folder takes for the same, see ``name_folding``.

    Returns:
        Each file once, under a unique key. Where two files differ in suffix alone, their keys keep
        it; where their keys are still the same, or the output folder takes them for the same, the
        second file has a problem. A name that does
        not exist and a folder without files are listed with a problem.
    """
    return _assign_unique_keys(find_files(names, out, skip_outputs=True), fold)


def find_files(
    names: Iterable[str], out: Path | None = None, *, skip_outputs: bool = False
) -> list[Input]:
    """Expand names as ``find_inputs`` does, without making keys unique.

    Args:
        names: as for ``find_inputs``.
        out: as for ``find_inputs``.
        skip_outputs: whether files that batch runs wrote are skipped.
    """
    seen: set[InputPath] = set()
    found: list[Input] = []
    for name in names:
        for item in _expand_name(name, None if out is None else out.resolve(), skip_outputs):
            identity = item.path.absolute()
            if identity not in seen:
                seen.add(identity)
                found.append(item)
    return found


def shard_inputs(inputs: list[Input], shard: Shard | None) -> list[Input]:
    """Select the inputs of a shard; all inputs where it is None.

    A shard holds every ``count``-th input from the ``index``-th, so that the shards together hold
    all inputs, and their sizes differ by at most one.
    """
    return inputs if shard is None else inputs[shard.index - 1 :: shard.count]


def _expand_name(name: str, out: Path | None, skip_outputs: bool) -> Iterator[Input]:
    if is_url(name):
        yield from _expand_url(name, skip_outputs)
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
        yield from _walk(path, out, skip_outputs)
    elif path.exists() or path.is_symlink():
        yield Input(path, _key_of(Path(path.name)))
    elif glob.has_magic(name):
        yield from _expand_pattern(name, out, skip_outputs)
    else:
        yield Input(path, _key_of(Path(path.name)), f"{name}: no such file or folder")


def _expand_url(url: str, skip_outputs: bool) -> Iterator[Input]:
    """Files that a URL names; output folders are known by the files of their hidden folder."""
    own_key = _key_of(PurePosixPath(PurePosixPath(url.rstrip("/")).name))
    try:
        files = list_remote_files(url)
    except OSError as error:
        yield Input(RemoteFile(url), own_key, str(error))
        return
    output_folders = {
        PurePosixPath(*relative.parts[: relative.parts.index(HIDDEN)])
        for _, relative in files
        if skip_outputs and HIDDEN in relative.parts
    }
    wanted = [
        Input(file, _key_of(relative))
        for file, relative in files
        if all(map(_is_wanted, relative.parts))
        and output_folders.isdisjoint(relative.parents[:-1])
        and not (PurePosixPath() in output_folders and _is_run_output(relative))
    ]
    yield from wanted
    if not wanted:
        reason = "no file matches this pattern" if glob.has_magic(url) else "holds no files"
        yield Input(RemoteFile(url), own_key, f"{url}: {reason}")


def _expand_pattern(pattern: str, out: Path | None, skip_outputs: bool) -> Iterator[Input]:
    """Files and folders that a pattern matches, except those within output folders."""
    matches = sorted(glob.glob(pattern, recursive=True))  # noqa: PTH207 - absolute patterns, too
    base = _literal_folder(Path(os.path.normpath(pattern)))
    holds_outputs = cache(is_output_folder)
    if not matches:
        yield Input(Path(pattern), pattern, f"{pattern}: no file matches this pattern")
    for match in map(Path, map(os.path.normpath, matches)):
        if out is not None and out in (match.resolve(), *match.resolve().parents):
            continue
        relative = match.relative_to(base)
        is_folder = match.is_dir()
        folders = [base / folder for folder in relative.parents[:-1]] + [match] * is_folder
        if skip_outputs and (
            any(map(holds_outputs, folders)) or (holds_outputs(base) and _is_run_output(relative))
        ):
            continue
        if is_folder:
            yield from _walk(match, out, skip_outputs, base)
        elif _is_wanted(match.name):
            yield Input(match, _key_of(relative))


def _is_wanted(name: str) -> bool:
    """Whether a file or folder of this name may be or hold a radiograph."""
    return not name.startswith(".") and name not in _SYSTEM_FILES


def _is_run_output(relative: PurePath) -> bool:
    """Whether a batch run writes a file or folder at this path of its output folder."""
    in_folder_of_outputs = relative.parts[:1] and relative.parts[0] in FOLDERS
    return bool(in_folder_of_outputs or is_run_file(str(relative)))


def _walk(
    folder: Path, out: Path | None, skip_outputs: bool, base: Path | None = None
) -> Iterator[Input]:
    """Files below a folder.

    A folder that cannot be read and one that is named like an image are listed with a problem.

    Args:
        folder: where to begin.
        out: the resolved output folder of this run.
        skip_outputs: whether output folders of earlier runs are skipped, too.
        base: what keys are relative to, where a pattern matched the folder; None for a folder that
            the user named.
    """
    named, base = base is None, base or folder
    is_out = folder.resolve() == out
    has_outputs = is_out or (skip_outputs and is_output_folder(folder))
    failures: list[OSError] = []
    visited = {_identity(folder)}
    empty = True
    for place, folders, files in os.walk(folder, onerror=failures.append, followlinks=True):
        here = Path(place)
        folders[:] = sorted(
            below
            for below in folders
            if not below.startswith(".")
            and (out is None or (here / below).resolve() != out)
            and not (skip_outputs and is_output_folder(here / below))
            and _is_first_visit(here / below, visited)
        )
        if here == folder and has_outputs:  # radiographs and outputs share the folder
            folders[:] = [below for below in folders if not _is_run_output(Path(below))]
            files = [name for name in files if not is_run_file(name)]  # noqa: PLW2901
        for name in folders:
            path = here / name
            if path.suffix.lower() in _IMAGE_SUFFIXES:
                problem = f"{path}: is a folder with the name of an image; files in it are read"
                empty = False
                yield Input(path, path.relative_to(base).as_posix(), problem)
        for name in filter(_is_wanted, sorted(files)):
            empty = False
            yield Input(here / name, _key_of((here / name).relative_to(base)))
    if empty and named and not failures and not is_out:
        besides = " besides the outputs of a run" if has_outputs else ""
        yield Input(folder, folder.name or "folder", f"{folder}: holds no files{besides}")
    for error in failures:
        path = Path(str(error.filename))
        yield Input(path, path.relative_to(base).as_posix(), f"{path}: {error.strerror}")


def _identity(folder: Path) -> tuple[int, int]:
    """Device and inode of a folder."""
    status = folder.stat()
    return status.st_dev, status.st_ino


def _is_first_visit(folder: Path, visited: set[tuple[int, int]]) -> bool:
    """Whether a folder was not visited before; adds it to those visited, which ends link loops."""
    try:
        identity = _identity(folder)
    except OSError:
        return True  # os.walk reports why it cannot be read
    if identity in visited:
        return False
    visited.add(identity)
    return True


def _literal_folder(pattern: Path) -> Path:
    """The folders of a pattern before its first wildcard."""
    literal = []
    for part in pattern.parts[:-1]:
        if glob.has_magic(part):
            break
        literal.append(part)
    return Path(*literal)


def _key_of(relative: PurePath) -> str:
    """The path without suffix; the last number of a UID (``1.2.840.113``) is not a suffix."""
    has_suffix = any(letter.isalpha() for letter in relative.suffix)
    return _truncate_name(relative.with_suffix("") if has_suffix else relative).as_posix()


def _truncate_name(key: PurePath) -> PurePath:
    """The key with its last part cut to ``_MAX_NAME_BYTES``, a digest of the whole at its end."""
    name = os.fsencode(key.name)
    if len(name) <= _MAX_NAME_BYTES:
        return key
    digest = hashlib.sha256(name).hexdigest()[:16]
    kept = name[: _MAX_NAME_BYTES - len(digest) - 1].decode("utf-8", "ignore")
    return key.with_name(f"{kept}-{digest}")


def _assign_unique_keys(found: list[Input], fold: Callable[[str], str]) -> list[Input]:
    """Give each input a key of its own, and a problem to those whose outputs would clash."""
    counts = Counter(fold(item.key) for item in found)
    taken: dict[str, InputPath] = {}
    unique: list[Input] = []
    for item in found:
        key, problem = item.key, item.problem
        if counts[fold(key)] > 1 and problem is None:
            key = _truncate_name(Path(key + item.path.suffix)).as_posix()
        if problem is None and fold(key) in taken:
            problem = (
                f"{item.path}: its masks would be named like those of {taken[fold(key)]}; "
                "give the folder that holds both, or another --out"
            )
        if problem is None:
            taken[fold(key)] = item.path
        unique.append(Input(item.path, key, problem))
    return [item if item.problem is None else item.as_problem(item.problem) for item in unique]
