"""Files that are whole or not there: written under a temporary name, flushed, renamed."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

#: Start of the names of unfinished files; what a killed process left behind begins so.
TEMPORARY_PREFIX = ".xrayseg-"


@contextmanager
def atomic_path(target: Path) -> Iterator[Path]:
    """A temporary path beside ``target`` that takes its name when the block ends well.

    It has the target's suffix, since writers choose a format by it. Where the block fails, the
    temporary file is removed and the target stays as it was.
    """
    temporary = target.with_name(
        f"{TEMPORARY_PREFIX}{os.getpid()}-{os.urandom(4).hex()}{target.suffix}"
    )
    try:
        yield temporary
        with temporary.open("rb+") as file:
            os.fsync(file.fileno())
        temporary.replace(target)
    finally:
        temporary.unlink(missing_ok=True)


def write_bytes(target: Path, data: bytes | bytearray) -> None:
    """Write a file whole or not at all."""
    with atomic_path(target) as path:
        path.write_bytes(data)


def write_text(target: Path, text: str) -> None:
    """Write a UTF-8 text file whole or not at all."""
    write_bytes(target, text.encode("utf-8"))
