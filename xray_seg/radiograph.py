"""A radiograph as its file stores it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy.typing as npt


@dataclass(frozen=True)
class Radiograph:
    """One frontal chest radiograph.

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
