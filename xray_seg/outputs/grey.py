"""Grey pictures of radiographs for display."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from ..preprocessing.letterbox import shape_within
from ..preprocessing.normalisation import BLACK_PERCENTILE, WHITE_PERCENTILE
from ..radiograph import Radiograph

#: Longer side of an overlay in pixels.
OVERLAY_SIDE = 1024


def render_grey(radiograph: Radiograph, longest: int) -> npt.NDArray[np.uint8]:
    """Render a radiograph as a grey picture, bones bright.

    Args:
        radiograph: with its polarity decided.
        longest: largest length of the longer side in pixels; the picture is never enlarged.

    Returns:
        (h, w) uint8.
    """
    from ..kernels import area_mean, stretch

    grey = area_mean(radiograph.pixels, shape_within(radiograph.shape, longest))
    low, high = np.percentile(grey[::4, ::4], (BLACK_PERCENTILE, WHITE_PERCENTILE))
    return stretch(grey, high, low) if radiograph.inverted else stretch(grey, low, high)
