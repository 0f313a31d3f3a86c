"""Smooth the outline of a heart that is ragged, before probabilities are enlarged."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt

from ..labels import BACKGROUND, CLASSES, HEART
from .cleanup import clean

if TYPE_CHECKING:
    from ..kernels import Runs
    from .prediction import GridPrediction

Ints = npt.NDArray[np.int64]

#: A heart is ragged if its outline is longer than its convex hull by this factor. The 222 SCR
#: hearts reach 1.009 and the hearts predicted for these radiographs 1.04.
RAGGED = 1.05
#: Half of the width up to which bites into a ragged heart are filled, and spikes of it removed, as
#: fractions of the square root of its area.
BITES, SPIKES = 0.12, 0.06
#: Standard deviations of the smoothing, tried in turn until the heart is not ragged, as fractions
#: of the square root of its area.
WIDTHS = (0.04, 0.07, 0.11, 0.16, 0.22, 0.3)
#: What lies farther from a heart does not influence it, as a fraction of the square root of its
#: area.
SURROUNDINGS = 0.5
#: Smoothing may not leave less than this share of a heart's area.
LEAST_SHARE = 0.5
#: A margin is how much more probable heart is than any other label. Beyond this margin a pixel
#: counts as certain. Uncertain pixels weigh less, so that an uncertain spike recedes sooner.
CERTAIN = 1 / 3
#: Steps of a margin between 0 and ``CERTAIN``. Margins are integers, so that sums are exact.
STEPS = 127


def smooth_heart(prediction: GridPrediction) -> npt.NDArray[np.float32]:
    """Smooth the heart of a prediction if its outline is ragged.

    The heart is the largest component of pixels where it is the most probable label, without
    holes. Narrow bites are filled and narrow spikes removed. Then the margin by which heart is
    the most probable label is smoothed, a little more in each step, until the outline is no
    longer ragged. The outlines of other organs stay.

    Returns:
        (h, w, 4) float32: the probabilities as they are if the heart is not ragged or there is
        none. Otherwise a copy with other scores in the heart's plane: above those of all other
        labels inside the smoothed outline, below outside.
    """
    from ..kernels import margins

    probabilities = prediction.probabilities
    if prediction.heart_raggedness <= RAGGED:
        return probabilities
    rivals, field = margins(probabilities, HEART.label, CERTAIN, STEPS)
    heart, area = _largest(field)
    box = _box_around(heart, round(SURROUNDINGS * float(np.sqrt(area))))
    smoothed = _smooth_until_plain(_limited(field[box], heart[box]), area)
    if smoothed is None:
        return probabilities
    scores = _without_specks(probabilities)
    scores[..., HEART.label] = rivals - np.float32(1)
    scores[(*box, HEART.label)] = rivals[box] + smoothed
    return scores


def heart_raggedness(probabilities: npt.NDArray[np.float32], runs: Runs) -> float:
    """Outline of the heart in (h, w, 4) float32 probabilities, over that of its convex hull.

    The heart is the largest component of pixels where it is the most probable label, without
    holes. The ratio is 1 for a convex heart and for none.

    Args:
        probabilities: (h, w, 4) float32.
        runs: of the most probable labels.
    """
    from ..kernels import margins

    chosen = runs.labels == HEART.label
    if not chosen.any():
        return 1.0
    rows, starts, stops = (each[chosen] for each in (runs.rows, runs.starts, runs.stops))
    # One pixel around all hearts: what is outside influences neither holes nor the outline.
    box = probabilities[
        max(0, rows[0] - 1) : rows[-1] + 2, max(0, starts.min() - 1) : stops.max() + 1
    ]
    _, field = margins(np.ascontiguousarray(box), HEART.label, CERTAIN, STEPS)
    heart, area = _largest(field)
    return _raggedness(_limited(field, heart)) if area else 1.0


def _raggedness(field: Ints) -> float:
    """Length of the outline of an int64 field's positive pixels over that of its convex hull."""
    from ..kernels import outline_lengths

    length, hull = outline_lengths(field)
    return length / hull


def _smooth_until_plain(field: Ints, area: int) -> npt.NDArray[np.float32] | None:
    """Fill bites, remove spikes and smooth margins by each of WIDTHS until the heart is not ragged.

    Args:
        field: (h, w) int64 margins.
        area: of the heart, in pixels.

    Returns:
        (h, w) float32 scores in [-1, 1], positive inside the heart; None if already the first of
        WIDTHS leaves less than LEAST_SHARE of the area.
    """
    from ..kernels import box_sums

    root = float(np.sqrt(area))
    closed = _closed(field > 0, round(BITES * root))
    field = np.where(closed & (field < 0), STEPS, field)
    opened = ~_closed(field < 0, round(SPIKES * root))
    field = np.where(~opened & (field > 0), -STEPS, field)
    scores = None
    for width in WIDTHS:
        half_width = max(1, round(width * root))
        smoothed = box_sums(field, half_width, times=3)
        heart, left = _largest(smoothed)
        if left < LEAST_SHARE * area:
            break
        smoothed = _limited(smoothed, heart)
        # Scores rise by about 1 a pixel across the outline, however wide the smoothing: a gentler
        # slope would show where other labels meet between pixels.
        unit = STEPS * (2 * half_width + 1) ** 6 / (half_width + 1)
        scores = np.clip(smoothed / unit, -1, 1).astype(np.float32)
        if _raggedness(smoothed) <= RAGGED:
            break
    return scores


def _closed(mask: npt.NDArray[np.bool_], half_width: int) -> npt.NDArray[np.bool_]:
    """Morphological closing of an (h, w) mask by a square of 2 ``half_width`` + 1 pixels."""
    from ..kernels import box_sums

    dilated = box_sums(mask.astype(np.int64), half_width) > 0
    return box_sums((~dilated).astype(np.int64), half_width) == 0


def _largest(field: Ints) -> tuple[npt.NDArray[np.bool_], int]:
    """(h, w) largest component of a field's positive pixels, holes filled, and its area."""
    labels = (field > 0).view(np.uint8) * np.uint8(HEART.label)
    runs = clean(labels)
    return labels == HEART.label, int(runs.lengths[runs.labels == HEART.label].sum())


def _without_specks(probabilities: npt.NDArray[np.float32]) -> npt.NDArray[np.float32]:
    """A copy in which pixels that cleanup turns into background have a probability of 1 for it.

    Otherwise pixels that a heart leaves to the lungs could connect them to a speck.
    """
    from ..kernels import upsample_argmax

    height, width = probabilities.shape[:2]
    labels = upsample_argmax(probabilities, (height, width))  # several times as fast as numpy
    kept = labels.copy()
    clean(kept)
    scores = probabilities.copy()
    scores[(kept == BACKGROUND) & (labels != BACKGROUND)] = np.eye(CLASSES)[BACKGROUND]
    return scores


def _limited(field: Ints, heart: npt.NDArray[np.bool_]) -> Ints:
    """A field with its sign changed, where needed, to be positive in the heart and only there."""
    size = np.maximum(np.abs(field), 1)
    return np.where(heart, size, -size)


def _box_around(mask: npt.NDArray[np.bool_], distance: int) -> tuple[slice, slice]:
    """Rows and columns of a mask that is not empty, and those up to a distance from it."""
    rows, columns = (np.flatnonzero(mask.any(axis=axis)) for axis in (1, 0))
    return (
        slice(max(0, int(rows[0]) - distance), int(rows[-1]) + 1 + distance),
        slice(max(0, int(columns[0]) - distance), int(columns[-1]) + 1 + distance),
    )
