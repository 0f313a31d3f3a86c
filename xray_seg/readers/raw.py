"""Headerless raw files, as the JSRT database has them.

Shiraishi et al., American Journal of Roentgenology 174:71-74, 2000: 2048 x 2048 pixels of
0.175 mm, 12 bits. The files state nothing: 2 bytes a pixel, big-endian, high optical density
(dark lung) is a high value, so a film must be inverted to be shown.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np

from ..errors import NotARadiograph, ReadError
from ..radiograph import Radiograph
from .limits import MAX_PIXELS, check_claim

JSRT_SHAPE = (2048, 2048)
JSRT_SPACING_MM = 0.175
JSRT_WHITE = 4095
#: The pixels of a JSRT file that are checked for values above 12 bits.
SAMPLE = np.s_[::64, ::4]
#: Share of sampled pixels above 12 bits that is still a JSRT film: the worst of the 247 has 0.0001.
OUTLIERS = 0.01


@dataclass(frozen=True)
class RawLayout:
    """How a headerless file is laid out.

    Attributes:
        shape: (H, W) in pixels.
        dtype: numpy's name of the pixel type: ``>u2``, ``<u2`` or ``u1``.
        header: bytes before the first pixel.
        inverted: True where a high value is dark, False where it is bright, None to look.
        spacing: mm between pixel centres, or None where it is not known.
    """

    shape: tuple[int, int] = JSRT_SHAPE
    dtype: str = ">u2"
    header: int = 0
    inverted: bool | None = None
    spacing: float | None = None

    @property
    def length(self) -> int:
        """Bytes of such a file."""
        return self.header + self.shape[0] * self.shape[1] * np.dtype(self.dtype).itemsize


JSRT = RawLayout(inverted=True, spacing=JSRT_SPACING_MM)


def read_raw(
    path: Path,
    layout: RawLayout = JSRT,
    data: bytes | None = None,
    max_pixels: int = MAX_PIXELS,
) -> Radiograph:
    """Read a headerless file, or ``data`` in its place.

    It is read, not mapped: a file that shrinks, or a disk that fails, under a map ends the process.

    Raises:
        ReadError: its length is not that of the layout, or there are too many pixels.
        NotARadiograph: it has a JSRT file's length but values far outside 12 bits.
    """
    length = path.stat().st_size if data is None else len(data)
    if length != layout.length:
        rows, columns = layout.shape
        raise ReadError(
            f"{path}: {length:,} bytes, but {rows} x {columns} raw pixels take {layout.length:,}: "
            "truncated, or of another shape (then give --raw-shape HxW)"
        )
    check_claim(path, *layout.shape, 1, max_pixels)
    dtype = np.dtype(layout.dtype)
    count = layout.shape[0] * layout.shape[1]
    if data is None:
        pixels = np.fromfile(path, dtype, count, offset=layout.header)
    else:
        pixels = np.frombuffer(data, dtype, count, layout.header)
    if len(pixels) < count:
        raise ReadError(f"{path}: became shorter while it was read")
    pixels = pixels.reshape(layout.shape)
    if layout == JSRT and np.mean(pixels[SAMPLE] > JSRT_WHITE) > OUTLIERS:
        raise NotARadiograph(
            f"{path}: has the length of a JSRT file but not its 12-bit values "
            "(if it is a raw film of another kind, give --raw-shape HxW and --raw-dtype)"
        )
    spacing = None if layout.spacing is None else (layout.spacing, layout.spacing)
    name = "JSRT raw" if layout == JSRT else "raw"
    return Radiograph(pixels, layout.inverted, spacing, str(path), name)
