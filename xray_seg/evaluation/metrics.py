"""Overlap and distance between a predicted and a reference mask.

Definitions as in Taha and Hanbury, BMC Medical Imaging 15:29, 2015. Each function is symmetric in
its two masks.
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

Mask = npt.NDArray[np.bool_]


def dice(prediction: Mask, reference: Mask) -> float:
    """Dice coefficient (Dice 1945): twice the intersection over the sum of both areas.

    Args:
        prediction, reference: bool masks of the same shape.

    Returns:
        A value in [0, 1]; 1 where both masks are empty.
    """
    total = int(prediction.sum()) + int(reference.sum())
    return 2 * int((prediction & reference).sum()) / total if total else 1.0


def jaccard(prediction: Mask, reference: Mask) -> float:
    """Jaccard index (Jaccard 1901): the intersection over the union.

    Args:
        prediction, reference: bool masks of the same shape.

    Returns:
        A value in [0, 1]; 1 where both masks are empty.
    """
    union = int((prediction | reference).sum())
    return int((prediction & reference).sum()) / union if union else 1.0


def surface_distances(
    prediction: Mask, reference: Mask, spacing: tuple[float, float]
) -> npt.NDArray[np.float64] | None:
    """Distances from the boundary pixels of each mask to the boundary of the other, both ways.

    A boundary pixel belongs to the mask and has a 4-neighbour outside it, or lies on the border of
    the image. The mean of the result is the average symmetric surface distance (ASSD), its 95th
    percentile the 95 % Hausdorff distance (HD95).

    Args:
        prediction, reference: (H, W) bool masks.
        spacing: (row, column) spacing in mm.

    Returns:
        (N,) float64 distances in mm, or None where a mask is empty.
    """
    from scipy import ndimage

    if not prediction.any() or not reference.any():
        return None
    rows, columns = np.nonzero(prediction | reference)
    window = np.s_[rows.min() : rows.max() + 1, columns.min() : columns.max() + 1]
    boundaries = [
        mask & ~ndimage.binary_erosion(mask) for mask in (prediction[window], reference[window])
    ]
    distances = [ndimage.distance_transform_edt(~boundary, spacing) for boundary in boundaries]
    return np.concatenate([distances[1][boundaries[0]], distances[0][boundaries[1]]])
