"""Reading radiographs by content; a file's suffix is never trusted."""

from __future__ import annotations

from os import PathLike
from pathlib import Path

from ..errors import NotARadiograph, ReadError
from ..radiograph import Radiograph
from .dicom import is_dicom, read_dicom
from .header import ID_COLUMNS as ID_COLUMNS
from .header import read_ids as read_ids
from .jsrt import JSRT, read_raw
from .jsrt import RawLayout as RawLayout
from .limits import MAX_PIXELS as MAX_PIXELS
from .limits import check_length
from .raster import read_raster, sniff

_HEAD = 132  # a DICOM file says so in bytes 128 to 131 (PS3.10, section 7.1)


def read(
    path: str | PathLike[str], raw: RawLayout | None = None, max_pixels: int = MAX_PIXELS
) -> Radiograph:
    """Read a radiograph, by its content: DICOM, raw film, PNG, JPEG, TIFF, GIF, BMP or JPEG 2000.

    Args:
        path: a file.
        raw: layout of headerless files; None for JSRT's 2048 x 2048.
        max_pixels: samples (pixels times colours) at most; a file that claims more is refused
            before memory is taken for it.

    Raises:
        NotARadiograph: the file holds something else, or nothing.
        ReadError: it is damaged, of a kind not supported, too large, or cannot be opened.
    """
    path = Path(path)
    try:
        if path.is_dir():
            raise NotARadiograph(f"{path}: is a folder, not an image file")
        if path.exists() and not path.is_file():  # opening a pipe would wait for its writer
            raise NotARadiograph(f"{path}: is a pipe or device, not an image file")
        with path.open("rb") as file:
            head = file.read(_HEAD)
        if not head:
            raise NotARadiograph(f"{path}: is empty (0 bytes)")
        if sniff(head):
            return read_raster(path, max_pixels)
        if is_dicom(head):
            check_length(path, max_pixels)
            return read_dicom(path, max_pixels)
        if path.stat().st_size != (raw or JSRT).length and _is_other(path, head):
            raise NotARadiograph(f"{path}: is {_is_other(path, head)}, not a radiograph")
        return read_raw(path, raw or JSRT, max_pixels)
    except OSError as error:
        raise ReadError(f"{path}: {error.strerror or error}") from error


def _is_other(path: Path, head: bytes) -> str | None:
    """What a file is that has neither an image's signature nor a raw film's length."""
    if head.startswith(b"%PDF"):
        return "a PDF document"
    if head.startswith(b"PK\x03\x04"):
        return "a zip archive"
    if all(byte >= 32 or byte in b"\t\n\r\f" for byte in head) and path.suffix.lower() != ".img":
        return "a text file"
    return None if path.suffix.lower() in (".img", ".raw") else "a file of unknown kind"
