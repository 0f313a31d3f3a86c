"""Read headerless raw files, such as those of the JSRT database.

JSRT (Shiraishi et al., American Journal of Roentgenology 174:71-74, 2000): 2048 x 2048 pixels of
0.175 mm with 12 bits, stored as 2 bytes a pixel, big-endian. A high value means high optical
density (dark lung), so the image must be inverted for display.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np

from ..errors import NotARadiograph, ReadError
from ..radiograph import Radiograph
from .limits import Budget
from .spacing import Notes, Spacing, plausible_spacing

JSRT_SHAPE = (2048, 2048)
JSRT_SPACING_MM = 0.175
JSRT_WHITE = 4095
#: The pixels of a JSRT file that are checked for values above 12 bits.
SAMPLE = np.s_[::64, ::4]
#: Highest accepted share of pixels above 12 bits in a JSRT file; the worst of the 247 has 0.0001.
OUTLIERS = 0.01


@dataclass(frozen=True)
class RawLayout:
    """Layout of a headerless file.

    Attributes:
        shape: (H, W) in pixels.
        dtype: pixel type in numpy's notation: ``>u2``, ``<u2`` or ``u1``.
        header: bytes before the first pixel.
        inverted: True where a high value is dark, False where it is bright, None to detect it.
        spacing: distance of pixel centres in mm, or None where it is unknown.
    """

    shape: tuple[int, int] = JSRT_SHAPE
    dtype: str = ">u2"
    header: int = 0
    inverted: bool | None = None
    spacing: float | None = None

    @property
    def length(self) -> int:
        """Bytes of a file with this layout."""
        return self.header + self.shape[0] * self.shape[1] * np.dtype(self.dtype).itemsize


JSRT = RawLayout(inverted=True, spacing=JSRT_SPACING_MM)


def read_raw(
    path: Path,
    layout: RawLayout = JSRT,
    data: bytes | None = None,
    *,
    budget: Budget = Budget(),  # noqa: B008 - immutable
) -> Radiograph:
    """Read a headerless file.

    The file is read, not memory-mapped: if a mapped file shrinks or its disk fails, the process
    is killed.

    Args:
        path: the file.
        layout: its layout.
        data: its content, if it is in memory already; the file is then not opened.
        budget: limits of size.

    Raises:
        ReadError: the length is not that of the layout, or there are too many pixels.
        NotARadiograph: the file has the length of a JSRT file, but values above 12 bits.
    """
    length = path.stat().st_size if data is None else len(data)
    if length != layout.length:
        rows, columns = layout.shape
        raise ReadError(
            f"{path}: {length:,} bytes, but {rows} x {columns} raw pixels take {layout.length:,}: "
            "it is truncated, or has another shape (then give --raw-shape HxW)"
        )
    budget.check_claim(path, *layout.shape, 1)
    dtype = np.dtype(layout.dtype)
    count = layout.shape[0] * layout.shape[1]
    if data is None:
        pixels = np.fromfile(path, dtype, count, offset=layout.header)
    else:
        pixels = np.frombuffer(data, dtype, count, layout.header)
    if len(pixels) < count:
        raise ReadError(f"{path}: became shorter while being read")
    pixels = pixels.reshape(layout.shape)
    if layout == JSRT and np.mean(pixels[SAMPLE] > JSRT_WHITE) > OUTLIERS:
        raise NotARadiograph(
            f"{path}: has the length of a JSRT file but not its 12-bit values "
            "(if it is another kind of raw radiograph, give --raw-shape HxW and --raw-dtype)"
        )
    spacing: Spacing | None = None
    notes: Notes = ()
    if layout.spacing is not None:
        spacing, notes = plausible_spacing((layout.spacing, layout.spacing))
    name = "JSRT raw" if layout == JSRT else "raw"
    return Radiograph(pixels, layout.inverted, spacing, str(path), name, notes)
