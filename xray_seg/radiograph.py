"""A radiograph as stored, and the one way it is laid on the network's grid and back."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

#: Shares of the pixels, in percent, that become black and white. JSRT files hold single pixels
#: and strips near 65535, and films carry label blocks: minimum and maximum would be theirs.
BLACK_PERCENTILE, WHITE_PERCENTILE = 1.0, 99.0


@dataclass(frozen=True)
class Radiograph:
    """One frontal chest film.

    Attributes:
        pixels: (H, W) uint8, uint16, float32 or float64 as stored, of either byte order; may be
            a memory map.
        inverted: True where a high value is dark (JSRT's optical density, MONOCHROME1), False
            where bones are bright, None where the file does not tell.
        spacing: (row, column) distance of pixel centres in mm, or None where it is not known.
        source: the file's path, or what the pixels came from.
        format: what was read, for instance ``JSRT raw`` or ``PNG``.
        notes: what its file says that casts doubt on masks, for instance a lateral view.
    """

    pixels: npt.NDArray[Any]
    inverted: bool | None = False
    spacing: tuple[float, float] | None = None
    source: str = "array"
    format: str = "array"
    notes: tuple[str, ...] = ()

    @property
    def shape(self) -> tuple[int, int]:
        """(H, W) in pixels."""
        return self.pixels.shape[0], self.pixels.shape[1]


def fitting(shape: tuple[int, ...], longest: int) -> tuple[int, int]:
    """The (h, w) that a picture of (H, W) has where neither may exceed ``longest``."""
    scale = min(1.0, longest / max(shape))
    return max(1, round(shape[0] * scale)), max(1, round(shape[1] * scale))


@dataclass(frozen=True)
class Letterbox:
    """Where a radiograph lies on a square grid: centred, its longer side filling the grid."""

    top: int
    left: int
    height: int
    width: int

    @classmethod
    def of(cls, shape: tuple[int, int], size: int) -> Letterbox:
        """The box of a (H, W) radiograph on a (size, size) grid, at least one row and column."""
        longer = max(shape)
        height = max(1, round(size * shape[0] / longer))
        width = max(1, round(size * shape[1] / longer))
        return cls((size - height) // 2, (size - width) // 2, height, width)

    def crop(self, grid: npt.NDArray[Any]) -> npt.NDArray[Any]:
        """The part of a (size, size, ...) array that the radiograph covers, as a view."""
        return grid[self.top : self.top + self.height, self.left : self.left + self.width]


def fit_to_grid(
    radiograph: Radiograph, size: int, out: npt.NDArray[np.float32] | None = None
) -> tuple[npt.NDArray[np.float32], Letterbox]:
    """Lay a radiograph on the network's grid: area mean, letterbox, polarity, percentiles.

    Args:
        radiograph: its ``inverted`` must be known; None counts as False.
        size: side of the grid.
        out: (size, size) float32 to fill, for instance a slot of a batch.

    Returns:
        The grid in [0, 1], bones bright, 0 outside the radiograph; and where it lies.
    """
    from .kernels import area_mean

    if out is None:
        out = np.empty((size, size), np.float32)
    box = Letterbox.of(radiograph.shape, size)
    content = box.crop(out)
    # The content is a strided view of the slot, written in place.
    area_mean(radiograph.pixels, content.shape, content)
    normalise(content, inverted=bool(radiograph.inverted))
    out[: box.top] = 0
    out[box.top + box.height :] = 0
    out[:, : box.left] = 0
    out[:, box.left + box.width :] = 0
    return out, box


def normalise(content: npt.NDArray[np.float32], inverted: bool) -> None:
    """Map the 1st and 99th percentile to 0 and 1 in place, clip, and turn bones bright.

    A constant image becomes 0 everywhere.
    """
    low, high = np.percentile(content, (BLACK_PERCENTILE, WHITE_PERCENTILE)).astype(np.float32)
    if not high > low:
        content[:] = 0
        return
    if inverted:
        low, high = high, low
    content -= low
    content /= high - low
    np.clip(content, 0, 1, out=content)
