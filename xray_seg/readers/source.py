"""Where a radiograph's bytes come from: a file on disk, or memory."""

from __future__ import annotations

import io
from dataclasses import dataclass
from os import PathLike, fspath
from pathlib import Path
from typing import Any, BinaryIO


@dataclass(frozen=True)
class Bytes:
    """A file held in memory; stands where a path does in the readers.

    Attributes:
        name: as in errors and in ``Radiograph.source``.
        data: its content.
    """

    name: str
    data: bytes

    def __str__(self) -> str:
        return self.name

    @property
    def suffix(self) -> str:
        """Of the name, with its point."""
        return Path(self.name).suffix


File = Path | Bytes


def as_file(source: str | PathLike[str] | bytes | BinaryIO) -> File:
    """What can be read, as a file; an open file is read from where it stands to its end.

    Raises:
        TypeError: it is none of these, or open as text.
        OSError: an open file cannot be read.
    """
    if isinstance(source, bytes | bytearray | memoryview):
        return Bytes("bytes", bytes(source))
    read: Any = getattr(source, "read", None)
    if read is None:
        return Path(fspath(source))  # type: ignore[arg-type]
    data = read()
    if not isinstance(data, bytes):
        raise TypeError(f"a file must be open in binary, it gave {type(data).__name__}")
    name = getattr(source, "name", None)
    return Bytes(name if isinstance(name, str) else "bytes", data)


def open_file(file: File) -> BinaryIO:
    """Open for reading; what is in memory is not copied."""
    return io.BytesIO(file.data) if isinstance(file, Bytes) else file.open("rb")


def length_of(file: File) -> int:
    """Bytes in the file."""
    return len(file.data) if isinstance(file, Bytes) else file.stat().st_size


def content_of(file: File) -> bytes:
    """All of it."""
    return file.data if isinstance(file, Bytes) else file.read_bytes()
