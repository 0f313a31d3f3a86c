"""Read radiographs. The file's content decides the format; its suffix is not trusted."""

from __future__ import annotations

from dataclasses import replace
from os import PathLike
from pathlib import Path
from typing import BinaryIO

from ..errors import NotARadiograph, ReadError
from ..radiograph import Radiograph
from .dicom import read_dicom
from .dicom_header import HEAD_LENGTH, is_dicom
from .dicom_header import ID_COLUMNS as ID_COLUMNS
from .dicom_header import read_ids as read_ids
from .limits import MAX_PIXELS as MAX_PIXELS
from .limits import Budget
from .raster import read_raster, sniff
from .raw import JSRT, read_raw
from .raw import RawLayout as RawLayout

#: Bytes read at a time of an open file.
_PART = 1 << 24


def read(
    source: str | PathLike[str] | bytes | bytearray | memoryview | BinaryIO,
    *,
    raw: RawLayout | None = None,
    name: str | None = None,
    max_pixels: int = MAX_PIXELS,
    chest_only: bool = False,
) -> Radiograph:
    """Read a radiograph: DICOM, JSRT raw, PNG, JPEG, TIFF, GIF, BMP or JPEG 2000.

    Args:
        source: a file's path, its bytes, or an open binary file, which is read to its end.
        raw: layout of headerless files; None for JSRT's 2048 x 2048.
        name: name of the radiograph in results and errors where ``source`` is not a path; by
            default the open file's own name.
        max_pixels: highest number of samples (pixels times colours). A file that claims more is
            refused before memory is allocated for it.
        chest_only: refuse a DICOM file whose header says that it is something else than a frontal
            chest radiograph, before it is decoded. Otherwise that is a note.

    Raises:
        NotAChestRadiograph: only with ``chest_only``.
        NotARadiograph: the file is empty or holds something other than an image.
        ReadError: the file is damaged, of an unsupported kind, too large, or cannot be opened.
    """
    budget = Budget(max_samples=max_pixels)
    if isinstance(source, str | PathLike):
        return _read_file(Path(source), raw, budget, chest_only)
    name = name or str(getattr(source, "name", "bytes"))
    path = Path(name)  # shortens s3://bucket to s3:/bucket, so messages are given the name back
    try:
        data = _content(source, path, budget)
        radiograph = _read_content(path, data, data[:HEAD_LENGTH], raw, budget, chest_only)
        return replace(radiograph, source=name)
    except ReadError as error:
        raise type(error)(str(error).replace(str(path), name, 1)) from error


def _content(
    source: bytes | bytearray | memoryview | BinaryIO, path: Path, budget: Budget
) -> bytes:
    """All bytes of a source; of an open file, no more than show that it is too long."""
    if isinstance(source, bytes | bytearray | memoryview):
        length = source.nbytes if isinstance(source, memoryview) else len(source)
        budget.check_length(path, length)
        return source if isinstance(source, bytes) else bytes(source)
    parts, length = [], 0
    while part := source.read(_PART):
        length += len(part)
        budget.check_length(path, length)
        parts.append(part)
    return b"".join(parts)


def _read_file(path: Path, raw: RawLayout | None, budget: Budget, chest_only: bool) -> Radiograph:
    try:
        if path.is_dir():
            raise NotARadiograph(f"{path}: is a folder, not an image file")
        if path.exists() and not path.is_file():  # opening a pipe would block until it is written
            raise NotARadiograph(f"{path}: is a pipe or device, not an image file")
        with path.open("rb") as file:
            head = file.read(HEAD_LENGTH)
        return _read_content(path, None, head, raw, budget, chest_only)
    except OSError as error:
        raise ReadError(f"{path}: {error.strerror or error}") from error


def _read_content(
    path: Path,
    data: bytes | None,
    head: bytes,
    raw: RawLayout | None,
    budget: Budget,
    chest_only: bool,
) -> Radiograph:
    """Read the file at ``path``, or ``data`` instead if given; ``head`` is its first bytes."""
    if not head:
        raise NotARadiograph(f"{path}: is empty (0 bytes)")
    if is_dicom(head):  # before TIFF: a DICOM file's preamble may contain a TIFF header
        return read_dicom(path, data, budget=budget, chest_only=chest_only)
    if sniff(head):
        return read_raster(path, data, budget=budget)
    layout = raw or JSRT
    length = path.stat().st_size if data is None else len(data)
    other = None if length == layout.length else _other_kind(path, head)
    if other:
        raise NotARadiograph(f"{path}: is {other}, not a radiograph")
    return read_raw(path, layout, data, budget=budget)


def _other_kind(path: Path, head: bytes) -> str | None:
    """Name the kind of a file that is not an image; None where it may be a raw radiograph."""
    if head.startswith(b"%PDF"):
        return "a PDF document"
    if head.startswith(b"PK\x03\x04"):
        return "a zip archive"
    suffix = path.suffix.lower()
    if all(byte >= 32 or byte in b"\t\n\r\f" for byte in head) and suffix != ".img":
        return "a text file"
    return None if suffix in (".img", ".raw") else "a file of unknown kind"
