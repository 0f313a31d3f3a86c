"""Reading radiographs by content; a file's suffix is never trusted."""

from __future__ import annotations

from dataclasses import replace
from os import PathLike
from pathlib import Path
from typing import BinaryIO

from ..errors import NotARadiograph, ReadError
from ..radiograph import Radiograph
from .dicom import is_dicom, read_dicom
from .dicom_header import ID_COLUMNS as ID_COLUMNS
from .dicom_header import read_ids as read_ids
from .limits import MAX_PIXELS as MAX_PIXELS
from .limits import check_length
from .raster import read_raster, sniff
from .raw import JSRT, read_raw
from .raw import RawLayout as RawLayout

_HEAD = 132  # a DICOM file says so in bytes 128 to 131 (PS3.10, section 7.1)


def read(
    source: str | PathLike[str] | bytes | bytearray | memoryview | BinaryIO,
    raw: RawLayout | None = None,
    name: str | None = None,
    max_pixels: int = MAX_PIXELS,
) -> Radiograph:
    """Read a radiograph, by its content: DICOM, raw film, PNG, JPEG, TIFF, GIF, BMP or JPEG 2000.

    Args:
        source: a file's path, its bytes, or an open binary file, which is read to its end.
        raw: layout of headerless files; None for JSRT's 2048 x 2048.
        name: what the radiograph and errors are named after where ``source`` is no path.
        max_pixels: samples (pixels times colours) at most; a file that claims more is refused
            before memory is taken for it.

    Raises:
        NotARadiograph: the file holds something else, or nothing.
        ReadError: it is damaged, of a kind not supported, too large, or cannot be opened.
    """
    if isinstance(source, str | PathLike):
        return _read_file(Path(source), raw, max_pixels)
    data = source if isinstance(source, bytes) else bytes(_content(source))
    name = name or str(getattr(source, "name", "bytes"))
    path = Path(name)  # which writes s3://bucket as s3:/bucket
    try:
        return replace(_read_content(path, data, data[:_HEAD], raw, max_pixels), source=name)
    except ReadError as error:
        raise type(error)(str(error).replace(str(path), name, 1)) from error


def _content(source: bytearray | memoryview | BinaryIO) -> bytes | bytearray | memoryview:
    return source if isinstance(source, bytearray | memoryview) else source.read()


def _read_file(path: Path, raw: RawLayout | None, most: int) -> Radiograph:
    try:
        if path.is_dir():
            raise NotARadiograph(f"{path}: is a folder, not an image file")
        if path.exists() and not path.is_file():  # opening a pipe would wait for its writer
            raise NotARadiograph(f"{path}: is a pipe or device, not an image file")
        with path.open("rb") as file:
            head = file.read(_HEAD)
        return _read_content(path, None, head, raw, most)
    except OSError as error:
        raise ReadError(f"{path}: {error.strerror or error}") from error


def _read_content(
    path: Path, data: bytes | None, head: bytes, raw: RawLayout | None, most: int
) -> Radiograph:
    """Read a file, or ``data`` where they are given; ``head`` is how either begins."""
    if not head:
        raise NotARadiograph(f"{path}: is empty (0 bytes)")
    if is_dicom(head):  # before TIFF, whose header may stand in a DICOM file's preamble
        if data is None:
            check_length(path, most)
        return read_dicom(path, data, most)
    if sniff(head):
        return read_raster(path, data, most)
    length = path.stat().st_size if data is None else len(data)
    if length != (raw or JSRT).length and _is_other(path, head):
        raise NotARadiograph(f"{path}: is {_is_other(path, head)}, not a radiograph")
    return read_raw(path, raw or JSRT, data, most)


def _is_other(path: Path, head: bytes) -> str | None:
    """What a file is that has neither an image's signature nor a raw film's length."""
    if head.startswith(b"%PDF"):
        return "a PDF document"
    if head.startswith(b"PK\x03\x04"):
        return "a zip archive"
    if all(byte >= 32 or byte in b"\t\n\r\f" for byte in head) and path.suffix.lower() != ".img":
        return "a text file"
    return None if path.suffix.lower() in (".img", ".raw") else "a file of unknown kind"
