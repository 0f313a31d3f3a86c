"""Preprocessing of a radiograph for the network."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
import numpy.typing as npt

from ..radiograph import Radiograph
from .letterbox import Letterbox
from .normalisation import normalise
from .polarity import looks_inverted


@dataclass(frozen=True)
class ModelInput:
    """A radiograph prepared for the network.

    Attributes:
        radiograph: the radiograph, with ``inverted`` decided.
        grid: (S, S) float32 in [0, 1], bones bright, 0 outside the radiograph.
        box: where on the grid the radiograph lies.
    """

    radiograph: Radiograph
    grid: npt.NDArray[np.float32]
    box: Letterbox


@dataclass(frozen=True)
class Preprocessor:
    """Maps radiographs to the network's grid: area mean, letterbox, percentiles, polarity.

    Inference, evaluation, training and quality all use this one implementation.

    Attributes:
        size: side S of the grid.
    """

    size: int

    def __call__(
        self, radiograph: Radiograph, *, out: npt.NDArray[np.float32] | None = None
    ) -> ModelInput:
        """Prepare one radiograph.

        Args:
            radiograph: where its ``inverted`` is None, its polarity is decided by its looks.
            out: (S, S) float32 to fill, for instance a slot of a batch; None for a new array.
        """
        from ..kernels import area_mean

        grid = np.empty((self.size, self.size), np.float32) if out is None else out
        box = Letterbox.of(radiograph.shape, self.size)
        content = box.crop(grid)
        area_mean(radiograph.pixels, content.shape, out=content)  # in place, into the strided view
        normalise(content, inverted=bool(radiograph.inverted))
        _clear_outside(grid, box)
        inverted = radiograph.inverted
        if inverted is None:
            inverted = looks_inverted(content)
            if inverted:
                np.subtract(1, content, out=content)
        return ModelInput(replace(radiograph, inverted=inverted), grid, box)


def _clear_outside(grid: npt.NDArray[np.float32], box: Letterbox) -> None:
    grid[: box.top] = 0
    grid[box.top + box.height :] = 0
    grid[:, : box.left] = 0
    grid[:, box.left + box.width :] = 0
