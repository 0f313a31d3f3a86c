"""From class probabilities on the grid to a label map at the radiograph's own resolution."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt

from .cleanup import clean
from .outlines import smooth_heart

if TYPE_CHECKING:
    from ..kernels import Runs


def restore(
    probabilities: npt.NDArray[np.float32], shape: tuple[int, int]
) -> tuple[npt.NDArray[np.uint8], Runs]:
    """Smooth a ragged heart, enlarge bilinearly, take the most probable class, and clean the map.

    Args:
        probabilities: (h, w, 4) float32 on the part of the grid that the radiograph covers.
        shape: (H, W) of the label map.

    Returns:
        The (H, W) uint8 label map, and its runs.
    """
    from ..kernels import upsample_argmax

    labels = upsample_argmax(smooth_heart(probabilities), shape)
    return labels, clean(labels)
