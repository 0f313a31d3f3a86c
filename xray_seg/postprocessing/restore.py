"""From class probabilities on the grid to a label map at the radiograph's own resolution."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt

from ..labels import BACKGROUND
from ..preprocessing.preprocessor import ModelInput
from .cleanup import clean
from .outlines import smooth_heart
from .prediction import GridPrediction

if TYPE_CHECKING:
    from ..kernels import Runs

Labels = npt.NDArray[np.uint8]


def restore(prediction: GridPrediction, shape: tuple[int, int]) -> tuple[Labels, Runs]:
    """Smooth a ragged heart, enlarge bilinearly, take the most probable class, and clean the map.

    Args:
        prediction: probabilities on the grid.
        shape: (H, W) of the label map.

    Returns:
        The (H, W) uint8 label map, and its runs.
    """
    from ..kernels import upsample_argmax

    labels = upsample_argmax(smooth_heart(prediction), shape)
    return labels, clean(labels)


def restore_stored(
    model_input: ModelInput,
    prediction: GridPrediction,
    shape: tuple[int, int] | None = None,
) -> tuple[Labels, Runs]:
    """Restore the label map of a radiograph in the geometry of its stored image.

    Args:
        model_input: the radiograph on the grid.
        prediction: probabilities on that grid, inside its box.
        shape: (H, W) of the label map; None for that of the stored image.

    Returns:
        The (H, W) uint8 label map, background outside the field of view, and its runs.
    """
    from ..kernels import find_runs

    radiograph = model_input.radiograph
    orientation = radiograph.turn
    whole = shape or radiograph.shape
    region = radiograph.region.scaled(radiograph.shape, whole)
    height, width = region.height, region.width
    if orientation.swaps_sides:
        height, width = width, height
    upright, runs = restore(prediction, (height, width))
    if orientation.is_upright and (height, width) == whole:
        return upright, runs
    labels = np.full(whole, BACKGROUND, np.uint8)
    region.crop(labels)[:] = orientation.stored(upright)
    return labels, find_runs(labels)
