"""Read and check the header of a TIFF, before tifffile computes with its numbers.

Section numbers are those of TIFF 6.0; BigTIFF has the same tags with longer offsets.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO

import numpy as np
import numpy.typing as npt

from ..errors import ReadError
from . import tiff_directory as tags
from .limits import Budget, plain_int
from .tiff_directory import Directory, read_directory

#: ResolutionUnit (section 8).
_CENTIMETRE = 3
_MAX_SAMPLES_PER_PIXEL = 4


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
    directory = read_directory(file, length, budget)
    rows, columns = directory.single(tags.LENGTH), directory.single(tags.WIDTH)
    samples = directory.single(tags.SAMPLES, 1)
    directory.single(tags.DEPTH, 1)
    directory.single(tags.TILE_DEPTH, 1)
    for code in (tags.FILL_ORDER, tags.PREDICTOR):
        directory.single(code, 1)
    planes = 3 if tags.COLOURS in directory.tags and samples == 1 else samples
    budget.check_claim(path, rows, columns, planes)
    if samples > _MAX_SAMPLES_PER_PIXEL:
        raise ReadError(
            f"{path}: has {samples} samples a pixel; convert it to grey, or to red, green and blue"
        )
    separate = directory.single(tags.PLANAR, 1) == 2 and samples > 1
    segment, offsets, counts = _segments(path, directory, (rows, columns), budget)
    budget.check_claim(path, *segment, planes)
    down, across = -(-rows // segment[0]), -(-columns // segment[1])
    needed = down * across * (samples if separate else 1)
    budget.check_segments(path, needed)
    compression = directory.single(tags.COMPRESSION, 1)
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
        photometric=directory.single(tags.PHOTOMETRIC, 1),
        separate=separate,
        segment=segment,
        offsets=offsets[:needed],
        counts=counts[:needed],
        jpeg_tables=directory.data(tags.JPEG_TABLES) if tags.JPEG_TABLES in directory.tags else b"",
        resolution=_resolution(directory),
    )
    _check_places(header, length, stored * (samples if separate else 1))
    return header


def _segments(
    path: Path | str, directory: Directory, shape: tuple[int, int], budget: Budget
) -> tuple[tuple[int, int], npt.NDArray[np.uint64], npt.NDArray[np.uint64]]:
    """Shape, offsets and byte counts of strips (section 8) or tiles (section 15)."""
    present = directory.tags
    if tags.TILE_WIDTH in present or tags.TILE_LENGTH in present:
        segment = directory.single(tags.TILE_LENGTH), directory.single(tags.TILE_WIDTH)
    else:
        segment = min(directory.single(tags.ROWS_PER_STRIP, shape[0]), shape[0]), shape[1]
    places = [
        next((code for code in codes if code in present), 0)
        for codes in (tags.OFFSETS, tags.COUNTS)
    ]
    if not places[0]:
        raise ValueError("it has no pixels: the tag of their place is missing")
    for code in places:
        if code:
            budget.check_segments(path, present[code].count)
    return segment, directory.integers(places[0]), directory.integers(places[1])


def _bits(directory: Directory) -> int:
    """Bits per sample, the fewest where samples differ; 1 where it is not stated (section 4)."""
    bits = directory.integers(tags.BITS)
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


def _resolution(directory: Directory) -> tuple[float, float] | None:
    """(row, column) pixels per centimetre; one per inch is usually a writer's default."""
    unit = directory.tags.get(tags.RESOLUTION_UNIT)
    if unit is None or unit.kind not in tags.INTEGERS or unit.count != 1:
        return None
    if int(directory.integers(tags.RESOLUTION_UNIT)[0]) != _CENTIMETRE:
        return None
    rows, columns = directory.fraction(tags.Y_RESOLUTION), directory.fraction(tags.X_RESOLUTION)
    return (rows, columns) if rows and columns else None
