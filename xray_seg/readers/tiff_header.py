"""Read and check the first directory of a TIFF, before tifffile computes with its numbers.

Section numbers are those of TIFF 6.0; BigTIFF has the same tags with longer offsets.
"""

from __future__ import annotations

import struct
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO

import numpy as np
import numpy.typing as npt

from ..errors import ReadError
from .limits import Budget, plain_int

#: Types of integers, with numpy's names: BYTE, SHORT, LONG, IFD, LONG8, IFD8.
_INTEGERS = {1: "u1", 3: "u2", 4: "u4", 13: "u4", 16: "u8", 18: "u8"}
#: Bytes of a value, by type (section 2, and BigTIFF).
_SIZES = {1: 1, 2: 1, 3: 2, 4: 4, 5: 8, 6: 1, 7: 1, 8: 2, 9: 4, 10: 8, 11: 4, 12: 8, 13: 4}
_SIZES |= {16: 8, 17: 8, 18: 8}
_RATIONAL = 5
#: ResolutionUnit (section 8).
_CENTIMETRE = 3
#: Types whose values tifffile keeps as bytes, not as numbers: BYTE, ASCII, UNDEFINED.
_BYTES = (1, 2, 7)
#: Limit of tags, as tifffile has it.
_MAX_TAGS = 4096
_MAX_SAMPLES_PER_PIXEL = 4
#: Tags with a value per sample may list more samples than there are.
_MAX_VALUES_PER_SAMPLE = 64
#: Tags of microscopes' formats (MetaMorph STK, Zeiss LSM, Hamamatsu NDPI), for which tifffile
#: reads size and place of the pixels elsewhere.
_MICROSCOPES = (33628, 33629, 34412, 65420, 65426)

_WIDTH, _LENGTH, _BITS, _COMPRESSION, _PHOTOMETRIC, _FILL_ORDER = 256, 257, 258, 259, 262, 266
_STRIP_OFFSETS, _SAMPLES, _ROWS_PER_STRIP, _STRIP_COUNTS, _PLANAR = 273, 277, 278, 279, 284
_X_RESOLUTION, _Y_RESOLUTION, _RESOLUTION_UNIT, _PREDICTOR, _COLOURS = 282, 283, 296, 317, 320
_TILE_WIDTH, _TILE_LENGTH, _TILE_OFFSETS, _TILE_COUNTS, _EXTRA, _FORMAT = (
    322,
    323,
    324,
    325,
    338,
    339,
)
_JPEG_TABLES, _DEPTH, _TILE_DEPTH = 347, 32997, 32998
_PER_SAMPLE = (_BITS, _EXTRA, _FORMAT)
#: Tags that hold one number, with the lowest and highest that is accepted.
_SINGLE = {
    _WIDTH: (1, 2**31 - 1),
    _LENGTH: (1, 2**31 - 1),
    _COMPRESSION: (1, 65535),
    _PHOTOMETRIC: (0, 65535),
    _FILL_ORDER: (0, 65535),
    _SAMPLES: (1, 65535),
    _ROWS_PER_STRIP: (1, 2**32 - 1),
    _PLANAR: (0, 65535),
    _PREDICTOR: (1, 65535),
    _TILE_WIDTH: (1, 2**31 - 1),
    _TILE_LENGTH: (1, 2**31 - 1),
    _DEPTH: (1, 1),
    _TILE_DEPTH: (1, 1),
}
_NAMES = {
    _WIDTH: "width",
    _LENGTH: "height",
    _ROWS_PER_STRIP: "number of rows per strip",
    _TILE_WIDTH: "tile width",
    _TILE_LENGTH: "tile height",
    _SAMPLES: "number of samples per pixel",
    _DEPTH: "depth",
}


@dataclass(frozen=True)
class TiffHeader:
    """What the first directory of a TIFF says, checked.

    Attributes:
        rows: height in pixels.
        columns: width in pixels.
        samples: samples per pixel, 1 to 4.
        compression: its number (section 8 and later registrations).
        photometric: what the samples mean (section 8, PhotometricInterpretation).
        separate: whether each colour is stored as a plane of its own.
        segment: (rows, columns) of a strip or tile.
        offsets: (N,) uint64 place of each strip or tile.
        counts: (N,) uint64 bytes of each; those that the pixels take if there is no compression
            and the file does not say.
        jpeg_tables: tables that JPEG strips share, or no bytes.
        resolution: ((row, column) pixels per centimetre), or None where none is stated.
    """

    rows: int
    columns: int
    samples: int
    compression: int
    photometric: int
    separate: bool
    segment: tuple[int, int]
    offsets: npt.NDArray[np.uint64]
    counts: npt.NDArray[np.uint64]
    jpeg_tables: bytes
    resolution: tuple[float, float] | None


@dataclass(frozen=True)
class _Tag:
    kind: int
    count: int
    place: int


@dataclass(frozen=True)
class _Directory:
    """The tags of one directory and the file that holds their values."""

    file: BinaryIO
    order: str
    tags: dict[int, _Tag]

    def integers(self, code: int) -> npt.NDArray[np.uint64]:
        """(N,) values of a tag of integers; empty where the tag is missing."""
        tag = self.tags.get(code)
        if tag is None:
            return np.empty(0, np.uint64)
        if tag.kind not in _INTEGERS:
            raise ValueError(f"its tag {code} holds no integers")
        dtype = np.dtype(self.order + _INTEGERS[tag.kind])
        return np.frombuffer(self.data(code), dtype).astype(np.uint64)

    def single(self, code: int, default: int | None = None) -> int:
        """The value of a tag that holds one integer."""
        name = _NAMES.get(code, f"tag {code}")
        if code not in self.tags:
            if default is None:
                raise ValueError(f"its {name} is missing")
            return default
        if self.tags[code].count != 1:
            raise ValueError(f"its {name} is not one integer")
        return plain_int(int(self.integers(code)[0]), name, *_SINGLE[code])

    def fraction(self, code: int) -> float | None:
        """The value of a tag that holds one fraction; None where it is missing or a zero."""
        tag = self.tags.get(code)
        if tag is None or tag.kind != _RATIONAL or tag.count != 1:
            return None
        numerator, denominator = struct.unpack(self.order + "II", self.data(code))
        return numerator / denominator if numerator and denominator else None

    def data(self, code: int) -> bytes:
        """The bytes of a tag's values."""
        tag = self.tags[code]
        self.file.seek(tag.place)
        data = self.file.read(tag.count * _SIZES[tag.kind])
        if len(data) < tag.count * _SIZES[tag.kind]:
            raise ValueError("truncated: its tags lie outside it")
        return data


def read_header(path: Path | str, file: BinaryIO, budget: Budget) -> TiffHeader:
    """Read and check the first directory of a TIFF.

    Args:
        path: file name for errors.
        file: the file; its position is changed.
        budget: limits of size.

    Raises:
        ReadError: it claims more than the budget has.
        ValueError: it is damaged or not supported.
    """
    length = file.seek(0, 2)
    budget.check_length(path, length)
    directory = _read_directory(file, length, budget)
    rows, columns = directory.single(_LENGTH), directory.single(_WIDTH)
    samples = directory.single(_SAMPLES, 1)
    directory.single(_DEPTH, 1)
    directory.single(_TILE_DEPTH, 1)
    for code in (_FILL_ORDER, _PREDICTOR):
        directory.single(code, 1)
    planes = 3 if _COLOURS in directory.tags and samples == 1 else samples
    budget.check_claim(path, rows, columns, planes)
    if samples > _MAX_SAMPLES_PER_PIXEL:
        raise ReadError(
            f"{path}: has {samples} samples a pixel; convert it to grey, or to red, green and blue"
        )
    separate = directory.single(_PLANAR, 1) == 2 and samples > 1
    segment, offsets, counts = _segments(path, directory, (rows, columns), budget)
    budget.check_claim(path, *segment, planes)
    down, across = -(-rows // segment[0]), -(-columns // segment[1])
    needed = down * across * (samples if separate else 1)
    budget.check_segments(path, needed)
    compression = directory.single(_COMPRESSION, 1)
    stored = rows * -(-columns * (1 if separate else samples) * _bits(directory) // 8)
    if not len(counts) and compression == 1 and needed == 1:
        counts = np.array([stored], np.uint64)
    if len(offsets) < needed or len(counts) < needed:
        raise ValueError(
            f"truncated: it has {min(len(offsets), len(counts)):,} of {needed:,} strips or tiles"
        )
    header = TiffHeader(
        rows=rows,
        columns=columns,
        samples=samples,
        compression=compression,
        photometric=directory.single(_PHOTOMETRIC, 1),
        separate=separate,
        segment=segment,
        offsets=offsets[:needed],
        counts=counts[:needed],
        jpeg_tables=directory.data(_JPEG_TABLES) if _JPEG_TABLES in directory.tags else b"",
        resolution=_resolution(directory),
    )
    _check_places(header, length, stored * (samples if separate else 1))
    return header


def _read_directory(file: BinaryIO, length: int, budget: Budget) -> _Directory:
    """The tags of the first directory; a tag is left out if its type is unknown."""
    file.seek(0)
    head = file.read(16)
    order = "<" if head[:2] == b"II" else ">"
    (version,) = struct.unpack_from(order + "H", head, 2)
    big = version == 43
    try:
        if big and struct.unpack_from(order + "HH", head, 4) != (8, 0):
            raise ValueError("its BigTIFF header is invalid")
        (start,) = struct.unpack_from(order + ("Q" if big else "I"), head, 8 if big else 4)
        file.seek(min(start, length))
        (number,) = struct.unpack(order + ("Q" if big else "H"), file.read(8 if big else 2))
        if number > _MAX_TAGS:
            raise ValueError(f"it has {number} tags")
        entry = struct.Struct(order + ("HHQ8s" if big else "HHI4s"))
        first, inline = file.tell(), 8 if big else 4
        entries = list(entry.iter_unpack(file.read(entry.size * number)))
    except struct.error as error:
        raise ValueError("truncated in its header") from error
    if len(entries) < number:
        raise ValueError("truncated in its header")
    tags: dict[int, _Tag] = {}
    total = 0
    for index, (code, kind, count, value) in enumerate(entries):
        if kind not in _SIZES:
            continue
        if code in _MICROSCOPES:
            raise ValueError(f"it is a microscope's TIFF (tag {code}); save it as a plain TIFF")
        size = count * _SIZES[kind]
        place = first + (index + 1) * entry.size - inline
        if size > inline:
            place = int.from_bytes(value, "little" if order == "<" else "big")
            total += size
        many = code in _SINGLE or code in _PER_SAMPLE
        if (many or kind not in _BYTES) and count > (
            _MAX_VALUES_PER_SAMPLE if many else budget.max_segments
        ):
            raise ValueError(f"its tag {code} has {count:,} values")
        if code in tags and (many or code in (*_OFFSETS, *_COUNTS)):
            raise ValueError(f"its tag {code} is there twice")
        tags.setdefault(code, _Tag(kind, count, place))
    if total > length:
        raise ValueError("its tags claim more bytes than it has")
    return _Directory(file, order, tags)


_OFFSETS, _COUNTS = (_TILE_OFFSETS, _STRIP_OFFSETS), (_TILE_COUNTS, _STRIP_COUNTS)


def _segments(
    path: Path | str, directory: _Directory, shape: tuple[int, int], budget: Budget
) -> tuple[tuple[int, int], npt.NDArray[np.uint64], npt.NDArray[np.uint64]]:
    """Shape, offsets and byte counts of strips (section 8) or tiles (section 15)."""
    tags = directory.tags
    if _TILE_WIDTH in tags or _TILE_LENGTH in tags:
        segment = directory.single(_TILE_LENGTH), directory.single(_TILE_WIDTH)
    else:
        segment = min(directory.single(_ROWS_PER_STRIP, shape[0]), shape[0]), shape[1]
    places = [next((code for code in codes if code in tags), 0) for codes in (_OFFSETS, _COUNTS)]
    if not places[0]:
        raise ValueError("it has no pixels: the tag of their place is missing")
    for code in places:
        if code:
            budget.check_segments(path, tags[code].count)
    return segment, directory.integers(places[0]), directory.integers(places[1])


def _bits(directory: _Directory) -> int:
    """Bits per sample, the fewest where samples differ; 1 where it is not stated (section 4)."""
    bits = directory.integers(_BITS)
    return plain_int(int(bits.min()) if len(bits) else 1, "number of bits per sample", 1, 128)


def _check_places(header: TiffHeader, length: int, stored: int) -> None:
    """Refuse strips without data, outside the file, or of more bytes than the file.

    Raises:
        ValueError: there are some; ``stored`` is what uncompressed pixels take.
    """
    if int(header.counts.max()) > length:
        raise ValueError("a strip is longer than the file")
    if int(header.offsets.min()) == 0 or int(header.counts.min()) == 0:
        raise ValueError("truncated: a strip or tile has no data")
    if int(header.offsets.max()) >= length:
        raise ValueError("truncated: a strip or tile lies outside the file")
    total = int(header.counts.sum())  # of at most max_segments numbers up to length: no overflow
    if total > 2 * length:
        raise ValueError("its strips or tiles overlap")
    if header.compression == 1 and stored > length:
        raise ValueError("truncated: it holds fewer pixels than its header states")


def _resolution(directory: _Directory) -> tuple[float, float] | None:
    """(row, column) pixels per centimetre; one per inch is usually a writer's default."""
    unit = directory.tags.get(_RESOLUTION_UNIT)
    if unit is None or unit.kind not in _INTEGERS or unit.count != 1:
        return None
    if int(directory.integers(_RESOLUTION_UNIT)[0]) != _CENTIMETRE:
        return None
    rows, columns = directory.fraction(_Y_RESOLUTION), directory.fraction(_X_RESOLUTION)
    return (rows, columns) if rows and columns else None
