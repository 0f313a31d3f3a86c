"""Polarity of a radiograph, told from its looks where the file does not state it."""

from __future__ import annotations

from functools import lru_cache

import numpy as np
import numpy.typing as npt

#: Ellipses (row, column, half height, half width) in shares of the image's sides: where a frontal
#: radiograph has lung, and where it has spine, abdomen and shoulders. Averages of adults, drawn
#: smaller so that they fit most people.
DARK = ((0.40, 0.29, 0.22, 0.09), (0.40, 0.71, 0.22, 0.09))
BRIGHT = ((0.50, 0.51, 0.22, 0.05), (0.86, 0.50, 0.10, 0.28))
#: Most radiographs are stored as they are displayed. So an image counts as inverted only if its
#: lungs are brighter by this much. In 222 JSRT radiographs, displayed correctly, they are darker by
#: 0.16 or more.
MARGIN = 0.05


def looks_inverted(image: npt.NDArray[np.float32]) -> bool:
    """Whether the lungs look brighter than what lies between and below them.

    The answer means nothing for an image without contrast, or one that is not a frontal chest
    radiograph.

    Args:
        image: (H, W) float32 in [0, 1], a frontal chest radiograph as it is stored.
    """
    return _mean(image, DARK) - _mean(image, BRIGHT) > MARGIN


def _mean(image: npt.NDArray[np.float32], ellipses: tuple[tuple[float, ...], ...]) -> float:
    inside = _inside(image.shape, ellipses)
    return float(image[inside].mean()) if inside.any() else 0.0


@lru_cache(maxsize=64)  # images of a folder have few shapes
def _inside(
    shape: tuple[int, ...], ellipses: tuple[tuple[float, ...], ...]
) -> npt.NDArray[np.bool_]:
    rows, columns = ((np.arange(side) + 0.5) / side for side in shape)
    inside = np.zeros(shape, bool)
    for row, column, tall, wide in ellipses:
        inside |= (((rows - row) / tall) ** 2)[:, None] + ((columns - column) / wide) ** 2 < 1
    return inside
