"""Where an image lies on a square grid."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy.typing as npt


@dataclass(frozen=True)
class Letterbox:
    """The place of an image on a square grid: centred, its longer side as long as the grid's.

    Attributes:
        top, left: first row and column of the image on the grid.
        height, width: rows and columns that it covers.
    """

    top: int
    left: int
    height: int
    width: int

    @classmethod
    def of(cls, shape: tuple[int, int], size: int) -> Letterbox:
        """The place of an (H, W) image on a (size, size) grid, at least one row and column."""
        longer = max(shape)
        height = max(1, round(size * shape[0] / longer))
        width = max(1, round(size * shape[1] / longer))
        return cls((size - height) // 2, (size - width) // 2, height, width)

    def turned(self, degrees: int, size: int) -> Letterbox:
        """The place of the same image once the (size, size) grid is turned clockwise.

        Args:
            degrees: a multiple of 90.
            size: side of the grid.
        """
        top, left, height, width = self.top, self.left, self.height, self.width
        for _ in range(degrees % 360 // 90):
            top, left, height, width = left, size - top - height, width, height
        return Letterbox(top, left, height, width)

    def crop(self, grid: npt.NDArray[Any]) -> npt.NDArray[Any]:
        """The part of a (size, size, ...) array that the image covers, as a view."""
        return grid[self.top : self.top + self.height, self.left : self.left + self.width]


def shape_within(shape: tuple[int, ...], longest: int) -> tuple[int, int]:
    """The (h, w) of an (H, W) image scaled down so that no side exceeds ``longest`` pixels."""
    scale = min(1.0, longest / max(shape))
    return max(1, round(shape[0] * scale)), max(1, round(shape[1] * scale))
