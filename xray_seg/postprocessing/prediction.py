"""A prediction on the network's grid, and what masks, quality and checks derive from it."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt

from ..labels import ORGANS
from ..preprocessing.letterbox import Letterbox
from .cleanup import components_by_organ
from .outlines import heart_raggedness

if TYPE_CHECKING:
    from ..kernels import Runs


@dataclass(frozen=True, eq=False)
class GridPrediction:
    """Probabilities on the grid; derived values are computed on first use and kept.

    Attributes:
        probabilities: (h, w, 4) float32 on the part of the grid that the radiograph covers,
            upright.
    """

    probabilities: npt.NDArray[np.float32]

    @classmethod
    def inside(cls, box: Letterbox, probabilities: npt.NDArray[np.float32]) -> GridPrediction:
        """The part of (S, S, 4) float32 probabilities that an image covers.

        It is contiguous, so that each kernel is compiled for one layout.
        """
        return cls(np.ascontiguousarray(box.crop(probabilities)))

    @cached_property
    def runs(self) -> Runs:
        """Runs of the most probable labels, before cleanup."""
        from ..kernels import find_runs, most_probable

        return find_runs(most_probable(self.probabilities))

    @cached_property
    def pieces(self) -> dict[str, npt.NDArray[np.float64]]:
        """By organ, (n,) areas of its components before cleanup in pixels, the largest first.

        A component of lungs and clavicles may hold no lung: its area is 0.
        """
        from ..kernels import split_pieces

        components = components_by_organ(self.runs)
        areas = {
            organ: split_pieces(self.runs, components[organ.name], organ.label)[:, 0]
            for organ in ORGANS
        }
        return {organ.name: np.sort(each)[::-1] for organ, each in areas.items()}

    @cached_property
    def heart_raggedness(self) -> float:
        """Outline of the heart, before it is smoothed, over that of its convex hull."""
        return heart_raggedness(self.probabilities, self.runs)
