"""Files that are whole or not there: written under a temporary name, flushed, renamed."""

from __future__ import annotations

import ctypes
import hashlib
import os
import re
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path

#: Start of the names of unfinished files; what a killed process left behind begins so.
TEMPORARY_PREFIX = ".xrayseg-"
_TEMPORARY = re.compile(re.escape(TEMPORARY_PREFIX) + r"\d+-[0-9a-f]{8}(\.[^/]*)?", re.DOTALL)


@contextmanager
def atomic_path(target: Path, *, durable: bool = True) -> Iterator[Path]:
    """A temporary path beside ``target`` that takes its name when the block ends well.

    It has the target's suffix, since writers choose a format by it. Where the block fails, the
    temporary file is removed and the target stays as it was.

    Args:
        target: the file to write.
        durable: flush the file to disk before it gets its name. Without it, the caller must call
            ``sync_filesystem`` before it promises that the file outlives a power cut.
    """
    temporary = target.with_name(
        f"{TEMPORARY_PREFIX}{os.getpid()}-{os.urandom(4).hex()}{target.suffix}"
    )
    try:
        yield temporary
        if durable:
            with temporary.open("rb+") as file:
                os.fsync(file.fileno())
        temporary.replace(target)
    finally:
        temporary.unlink(missing_ok=True)


def write_bytes(target: Path, data: bytes | bytearray, *, durable: bool = True) -> None:
    """Write a file whole or not at all; ``durable`` as of ``atomic_path``."""
    with atomic_path(target, durable=durable) as path:
        path.write_bytes(data)


def write_text(target: Path, text: str, *, durable: bool = True) -> None:
    """Write a UTF-8 text file whole or not at all; ``durable`` as of ``atomic_path``."""
    write_bytes(target, text.encode("utf-8"), durable=durable)


def sync_filesystem(folder: Path) -> None:
    """Flush all that was written to the file system of a folder, file and folder entries alike.

    One call for many files costs less than one ``fsync`` for each of them and their folders.

    Raises:
        OSError: it cannot be flushed, for instance because the disk is full.
    """
    handle = os.open(folder, os.O_RDONLY)
    try:
        libc = ctypes.CDLL(None, use_errno=True)
        if hasattr(libc, "syncfs"):  # Linux
            if libc.syncfs(handle) != 0:
                code = ctypes.get_errno()
                raise OSError(code, os.strerror(code), str(folder))
        else:
            os.sync()
    finally:
        os.close(handle)


def sweep(folder: Path, deep: Iterable[str]) -> int:
    """Remove unfinished files that killed processes left; returns how many.

    Only regular files of our own pattern go, and no link is followed. Whoever calls this must
    know that nobody writes in the folder at the same time.

    Args:
        folder: looked into itself, without its folders.
        deep: names of folders in it that are looked into at any depth.
    """
    swept = 0
    places = [(str(folder), False), *((str(folder / name), True) for name in deep)]
    while places:
        place, deeper = places.pop()
        try:
            entries = os.scandir(place)
        except OSError:  # not there, or not ours to read
            continue
        with entries:
            for entry in entries:
                if deeper and entry.is_dir(follow_symlinks=False):
                    places.append((entry.path, True))
                elif is_temporary(entry.name) and entry.is_file(follow_symlinks=False):
                    Path(entry.path).unlink(missing_ok=True)
                    swept += 1
    return swept


def is_temporary(name: str) -> bool:
    """Whether a file name is one that ``atomic_path`` gives."""
    return _TEMPORARY.fullmatch(name) is not None


def file_sha256(path: Path) -> str:
    """SHA-256 of a file's bytes, in hexadecimal."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
