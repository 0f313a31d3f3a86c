"""Tags of the first directory of a TIFF, checked before their values are read.

Section numbers are those of TIFF 6.0; BigTIFF has the same tags with longer offsets.
"""

from __future__ import annotations

import struct
from dataclasses import dataclass
from typing import BinaryIO

import numpy as np
import numpy.typing as npt

from .limits import Budget, plain_int

#: Types of integers, with numpy's names: BYTE, SHORT, LONG, IFD, LONG8, IFD8.
INTEGERS = {1: "u1", 3: "u2", 4: "u4", 13: "u4", 16: "u8", 18: "u8"}
#: Bytes of a value, by type (section 2, and BigTIFF).
_SIZES = {1: 1, 2: 1, 3: 2, 4: 4, 5: 8, 6: 1, 7: 1, 8: 2, 9: 4, 10: 8, 11: 4, 12: 8, 13: 4}
_SIZES |= {16: 8, 17: 8, 18: 8}
_RATIONAL = 5
#: Types whose values tifffile keeps as bytes, not as numbers: BYTE, ASCII, UNDEFINED.
_BYTES = (1, 2, 7)
#: Limit of tags, as tifffile has it.
_MAX_TAGS = 4096
#: Tags with a value per sample may list more samples than there are.
_MAX_VALUES_PER_SAMPLE = 64
#: Tags of microscopes' formats (MetaMorph STK, Zeiss LSM, Hamamatsu NDPI), for which tifffile
#: reads size and place of the pixels elsewhere.
_MICROSCOPES = (33628, 33629, 34412, 65420, 65426)

WIDTH, LENGTH, BITS, COMPRESSION, PHOTOMETRIC, FILL_ORDER = 256, 257, 258, 259, 262, 266
STRIP_OFFSETS, SAMPLES, ROWS_PER_STRIP, STRIP_COUNTS, PLANAR = 273, 277, 278, 279, 284
X_RESOLUTION, Y_RESOLUTION, RESOLUTION_UNIT, PREDICTOR, COLOURS = 282, 283, 296, 317, 320
TILE_WIDTH, TILE_LENGTH, TILE_OFFSETS, TILE_COUNTS, EXTRA, FORMAT = (
    322,
    323,
    324,
    325,
    338,
    339,
)
JPEG_TABLES, DEPTH, TILE_DEPTH = 347, 32997, 32998
_PER_SAMPLE = (BITS, EXTRA, FORMAT)
#: Tags that hold one number, with the lowest and highest that is accepted.
_SINGLE = {
    WIDTH: (1, 2**31 - 1),
    LENGTH: (1, 2**31 - 1),
    COMPRESSION: (1, 65535),
    PHOTOMETRIC: (0, 65535),
    FILL_ORDER: (0, 65535),
    SAMPLES: (1, 65535),
    ROWS_PER_STRIP: (1, 2**32 - 1),
    PLANAR: (0, 65535),
    PREDICTOR: (1, 65535),
    TILE_WIDTH: (1, 2**31 - 1),
    TILE_LENGTH: (1, 2**31 - 1),
    DEPTH: (1, 1),
    TILE_DEPTH: (1, 1),
}
_NAMES = {
    WIDTH: "width",
    LENGTH: "height",
    ROWS_PER_STRIP: "number of rows per strip",
    TILE_WIDTH: "tile width",
    TILE_LENGTH: "tile height",
    SAMPLES: "number of samples per pixel",
    DEPTH: "depth",
}
#: Tags of the place and of the bytes of segments: of tiles, of strips.
OFFSETS, COUNTS = (TILE_OFFSETS, STRIP_OFFSETS), (TILE_COUNTS, STRIP_COUNTS)


@dataclass(frozen=True)
class Tag:
    """Type, number and place of a tag's values."""

    kind: int
    count: int
    place: int


@dataclass(frozen=True)
class Directory:
    """The tags of one directory and the file that holds their values."""

    file: BinaryIO
    order: str
    tags: dict[int, Tag]

    def integers(self, code: int) -> npt.NDArray[np.uint64]:
        """(N,) values of a tag of integers; empty where the tag is missing."""
        tag = self.tags.get(code)
        if tag is None:
            return np.empty(0, np.uint64)
        if tag.kind not in INTEGERS:
            raise ValueError(f"its tag {code} holds no integers")
        dtype = np.dtype(self.order + INTEGERS[tag.kind])
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


def read_directory(file: BinaryIO, length: int, budget: Budget) -> Directory:
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
    tags: dict[int, Tag] = {}
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
        if code in tags and (many or code in (*OFFSETS, *COUNTS)):
            raise ValueError(f"its tag {code} is there twice")
        tags.setdefault(code, Tag(kind, count, place))
    if total > length:
        raise ValueError("its tags claim more bytes than it has")
    return Directory(file, order, tags)
