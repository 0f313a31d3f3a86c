"""Checks of anatomical plausibility that need no reference: what looks wrong, in words."""

from __future__ import annotations

from itertools import permutations

import numpy as np
import numpy.typing as npt

from ..labels import CLAVICLES, HEART, LUNGS
from ..postprocessing.prediction import GridPrediction

# Texts of warnings; an interface like those in ``quality``.
RAGGED_HEART = "ragged heart outline"
HEART_IN_PIECES = "heart in pieces"
LUNG_BELOW = "lung below the diaphragm?"

# Limits. Of the 222 radiographs of JSRT, one exceeds one of them, and of 566 of another hospital
# (Shenzhen) ten do, most of them with poor masks.
#: The outline of a predicted heart, before it is smoothed, over that of its convex hull.
RAGGEDNESS_LIMIT = 1.15
#: Area of a predicted heart's second largest piece over that of the largest, before cleanup.
PIECE_LIMIT = 0.05
#: Share of all lung that lies below the heart.
BELOW_HEART_LIMIT = 0.1
#: Smallest area of a core of lung that counts, as a share of the area of all cores.
CORE_SHARE = 0.004
#: A core hangs below another one that is larger by this factor,
LARGER = 2
#: of whose area at least this share is above its top,
SHARE_ABOVE = 0.8
#: and whose columns are at most this share of the grid's width away.
ASIDE = 1 / 32


def implausible(labels: npt.NDArray[np.uint8], prediction: GridPrediction) -> tuple[str, ...]:
    """Name what is anatomically implausible in a segmentation.

    Args:
        labels: (h, w) uint8 label map on the part of the grid that the radiograph covers.
        prediction: probabilities on the same part.

    Returns:
        Warnings: the heart was predicted with a ragged outline; it was predicted in pieces; much
        lung lies below the heart, or a part of a lung hangs below the rest by a narrow neck or
        separately, as where the stomach's bubble or the bowel is taken for lung.
    """
    checks = {
        RAGGED_HEART: prediction.heart_raggedness > RAGGEDNESS_LIMIT,
        HEART_IN_PIECES: _second_piece(prediction.pieces[HEART.name]) > PIECE_LIMIT,
        LUNG_BELOW: _below_heart(labels) > BELOW_HEART_LIMIT or _hangs(labels),
    }
    return tuple(text for text, applies in checks.items() if applies)


def _second_piece(areas: npt.NDArray[np.float64]) -> float:
    """Area of the second largest of an organ's pieces over that of the largest, 0 without one."""
    return float(areas[1] / areas[0]) if len(areas) > 1 and areas[0] else 0.0


def _below_heart(labels: npt.NDArray[np.uint8]) -> float:
    """Share of the lungs that lies below the heart, 0 if either is missing."""
    rows = np.flatnonzero((labels == HEART.label).any(axis=1))
    lungs = labels == LUNGS.label
    if not len(rows) or not lungs.any():
        return 0.0
    return float(lungs[rows[-1] + 1 :].sum() / lungs.sum())


def _hangs(labels: npt.NDArray[np.uint8]) -> bool:
    """Whether a part of a lung hangs below a larger one.

    Parts are the components that remain of lungs and clavicles 3 pixels away from their outline,
    so that a neck of up to 6 pixels separates them. A costophrenic angle is no part: it tapers.
    """
    from ..kernels import connect, find_runs

    cores = _eroded((labels == LUNGS.label) | (labels == CLAVICLES.label), 3)
    runs = find_runs(cores.view(np.uint8))
    inside = runs.labels == 1
    components = connect(runs, np.arange(256))[inside]
    rows, lengths = runs.rows[inside], runs.lengths[inside]
    starts, stops = runs.starts[inside], runs.stops[inside]
    areas = np.bincount(components, lengths)
    parts = [components == core for core in np.flatnonzero(areas >= CORE_SHARE * areas.sum())]
    near = ASIDE * labels.shape[1]
    for lower, upper in permutations(parts, 2):
        area = lengths[upper].sum()
        above = lengths[upper & (rows < rows[lower].min())].sum()
        beside = (
            starts[upper].min() <= stops[lower].max() + near
            and starts[lower].min() <= stops[upper].max() + near
        )
        if beside and above > SHARE_ABOVE * area and area >= LARGER * lengths[lower].sum():
            return True
    return False


def _eroded(mask: npt.NDArray[np.bool_], distance: int) -> npt.NDArray[np.bool_]:
    """Morphological erosion of an (h, w) mask by a square of 2 ``distance`` + 1 pixels."""
    for axis in (0, 1):
        lines = mask.swapaxes(0, axis)
        kept = lines.copy(order="K")
        for shift in range(1, distance + 1):
            kept[shift:] &= lines[:-shift]
            kept[:-shift] &= lines[shift:]
        mask = kept.swapaxes(0, axis)
    return mask
