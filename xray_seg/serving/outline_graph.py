"""TensorFlow graph that smooths ragged hearts.

Reproduces ``postprocessing.outlines.smooth_heart`` with its constants. Margins and their sums are
integers, so that both give the same numbers; lengths of outlines agree to rounding.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from .._util.tensorflow import tensorflow
from ..kernels.outlines import HULL_DIRECTIONS
from ..labels import BACKGROUND, CLASSES, HEART
from ..postprocessing.outlines import (
    BITES,
    CERTAIN,
    LEAST_SHARE,
    RAGGED,
    SPIKES,
    STEPS,
    SURROUNDINGS,
    WIDTHS,
)
from .postprocessing_graph import clean_graph


def smooth_heart_graph(probabilities: Any, geometry: Any) -> Any:
    """Smooth the heart of probabilities if its outline is ragged.

    Args:
        probabilities: (S, S, 4) float32.
        geometry: (6,) int32, as ``preprocess_graph`` returns it.

    Returns:
        (S, S, 4) float32, 0 where the radiograph does not lie.
    """
    tf = tensorflow()
    top, left, height, width = tf.unstack(geometry[:4])
    inside = probabilities[top : top + height, left : left + width]
    rivals = tf.reduce_max(tf.gather(inside, _RIVALS, axis=2), 2)
    share = (inside[..., HEART.label] - rivals) / np.float32(CERTAIN)
    field = tf.cast(tf.round(tf.clip_by_value(share, -1, 1) * np.float32(STEPS)), tf.int64)
    heart, area = _largest(field)
    smoothed = tf.cond(
        area > 0, lambda: _smoothed(inside, rivals, field, heart, area), lambda: inside
    )
    size = tf.shape(probabilities)
    around = [[top, size[0] - top - height], [left, size[1] - left - width], [0, 0]]
    return tf.pad(smoothed, around)


_RIVALS = [label for label in range(CLASSES) if label != HEART.label]


def _smoothed(inside: Any, rivals: Any, field: Any, heart: Any, area: Any) -> Any:
    """(h, w, 4) scores for (h, w) margins with a heart of an area above 0."""
    tf = tensorflow()
    root = tf.sqrt(tf.cast(area, tf.float64))
    distance = tf.cast(tf.round(SURROUNDINGS * root), tf.int32)
    bounds = [_bounds(tf.reduce_any(heart, axis), distance) for axis in (1, 0)]
    (first_row, last_row), (first_column, last_column) = bounds
    box = slice(first_row, last_row), slice(first_column, last_column)
    near = _limited(field[box], heart[box])

    def replace() -> Any:
        scores = _smooth_until_plain(near, area, root)
        rows, columns = tf.unstack(tf.shape(field))
        around = [[first_row, rows - last_row], [first_column, columns - last_column]]
        plane = rivals + tf.pad(scores, around, constant_values=-1)
        planes = tf.unstack(_without_specks(inside), CLASSES, axis=2)
        planes[HEART.label] = plane
        # An empty result means that smoothing would leave too little of the heart.
        return tf.cond(tf.reduce_any(scores > 0), lambda: tf.stack(planes, 2), lambda: inside)

    return tf.cond(_raggedness(near) > RAGGED, replace, lambda: inside)


def _smooth_until_plain(field: Any, area: Any, root: Any) -> Any:
    """(h, w) float32 scores of margins, smoothed until the heart is not ragged.

    They are all -1 if already the first leaves less than LEAST_SHARE of the area.
    """
    tf = tensorflow()
    widths = tf.constant(WIDTHS, tf.float64)
    closed = _closed(field > 0, tf.cast(tf.round(BITES * root), tf.int64))
    field = tf.where(closed & (field < 0), tf.constant(STEPS, tf.int64), field)
    opened = ~_closed(field < 0, tf.cast(tf.round(SPIKES * root), tf.int64))
    field = tf.where(~opened & (field > 0), tf.constant(-STEPS, tf.int64), field)

    def step(index: Any, _: Any, scores: Any) -> tuple[Any, Any, Any]:
        half_width = tf.maximum(tf.cast(tf.round(widths[index] * root), tf.int64), 1)
        smoothed = _box_sums(field, half_width, times=3)
        heart, left = _largest(smoothed)
        smoothed = _limited(smoothed, heart)
        unit = tf.cast(STEPS * (2 * half_width + 1) ** 6, tf.float64)
        unit /= tf.cast(half_width + 1, tf.float64)
        found = tf.cast(tf.clip_by_value(tf.cast(smoothed, tf.float64) / unit, -1, 1), tf.float32)
        enough = tf.cast(left, tf.float64) >= LEAST_SHARE * tf.cast(area, tf.float64)
        ragged = tf.cond(enough, lambda: _raggedness(smoothed) > RAGGED, lambda: False)
        return index + 1, ragged, tf.where(enough, found, scores)

    start = tf.constant(0), tf.constant(True), tf.fill(tf.shape(field), tf.constant(-1.0))
    shapes = start[0].shape, start[1].shape, tf.TensorShape([None, None])
    return tf.while_loop(
        lambda index, ragged, _: ragged & (index < len(WIDTHS)), step, start, shapes
    )[2]


def _closed(mask: Any, half_width: Any) -> Any:
    """Morphological closing of an (h, w) mask by a square of 2 ``half_width`` + 1 pixels."""
    tf = tensorflow()
    dilated = _box_sums(tf.cast(mask, tf.int64), half_width) > 0
    return _box_sums(tf.cast(~dilated, tf.int64), half_width) == 0


def _box_sums(field: Any, half_width: Any, times: int = 1) -> Any:
    """The sums of ``kernels.box_sums``."""
    tf = tensorflow()
    size = 2 * half_width + 1
    for axis in (1, 0) * times:
        count = tf.shape(field, tf.int64)[axis]
        places = tf.clip_by_value(tf.range(-half_width - 1, count + half_width), 0, count - 1)
        sums = tf.cumsum(tf.gather(field, places, axis=axis), axis)
        here = tf.range(count)
        field = tf.gather(sums, here + size, axis=axis) - tf.gather(sums, here, axis=axis)
    return field


def _largest(field: Any) -> tuple[Any, Any]:
    """(h, w) largest component of a field's positive pixels, holes filled, and its area."""
    tf = tensorflow()
    labels = tf.where(field > 0, tf.constant(HEART.label, tf.uint8), BACKGROUND)
    heart = clean_graph(labels) == HEART.label
    return heart, tf.math.count_nonzero(heart)


def _limited(field: Any, heart: Any) -> Any:
    """A field with its sign changed, where needed, to be positive in the heart and only there."""
    tf = tensorflow()
    size = tf.maximum(tf.abs(field), 1)
    return tf.where(heart, size, -size)


def _bounds(present: Any, distance: Any) -> tuple[Any, Any]:
    """First row or column that is present and the one after the last, moved by a distance."""
    tf = tensorflow()
    places = tf.cast(tf.where(present)[:, 0], tf.int32)
    last = tf.minimum(places[-1] + 1 + distance, tf.size(present))
    return tf.maximum(places[0] - distance, 0), last


def _without_specks(inside: Any) -> Any:
    """(h, w, 4) probabilities; 1 for background where cleanup turns pixels into background."""
    tf = tensorflow()
    labels = tf.argmax(inside, 2, tf.int32)
    kept = tf.cast(clean_graph(tf.cast(labels, tf.uint8)), tf.int32)
    removed = (kept == BACKGROUND) & (labels != BACKGROUND)
    return tf.where(removed[..., None], tf.one_hot(BACKGROUND, CLASSES), inside)


def _raggedness(field: Any) -> Any:
    """Length of the outline of a field's positive pixels over that of its convex hull."""
    tf = tensorflow()
    padded = tf.pad(field, [[1, 1], [1, 1]], constant_values=-1)
    corners = tf.stack([padded[:-1, :-1], padded[:-1, 1:], padded[1:, :-1], padded[1:, 1:]], 2)
    count = tf.math.count_nonzero(corners > 0, 2)
    cells = tf.where((count > 0) & (count < 4))
    values = tf.cast(tf.gather_nd(corners, cells), tf.float64)
    y, x = (tf.cast(cells[:, axis], tf.float64) for axis in (0, 1))
    one, two, three, four = tf.unstack(values, axis=1)
    # Crossings of the upper, left, right and lower side of each cell, if there are any.
    pairs = (one, two), (one, three), (two, four), (three, four)
    crossed = [(a > 0) != (b > 0) for a, b in pairs]
    upper, left, right, lower = (tf.math.divide_no_nan(a, a - b) for a, b in pairs)
    points = [(x + upper, y), (x, y + left), (x + 1, y + right), (x + lower, y + 1)]

    def between(a: int, b: int) -> Any:
        return tf.sqrt((points[a][0] - points[b][0]) ** 2 + (points[a][1] - points[b][1]) ** 2)

    zero = tf.zeros_like(x)
    diagonal = crossed[0] & crossed[1] & crossed[2] & crossed[3]
    length = zero
    for a in range(4):
        for b in range(a + 1, 4):
            length += tf.where(crossed[a] & crossed[b] & ~diagonal, between(a, b), zero)
    corner_cuts = tf.where(one > 0, between(0, 1) + between(3, 2), between(0, 2) + between(3, 1))
    length += tf.where(diagonal, corner_cuts, zero)
    angles = np.arange(HULL_DIRECTIONS) * (2 * np.pi / HULL_DIRECTIONS)
    present = tf.concat(crossed, 0)
    along, down = (
        tf.boolean_mask(tf.concat([point[axis] for point in points], 0), present) for axis in (0, 1)
    )
    extents = along[:, None] * np.cos(angles) + down[:, None] * np.sin(angles)
    hull = tf.reduce_sum(tf.reduce_max(extents, 0)) * (2 * np.pi / HULL_DIRECTIONS)
    return tf.reduce_sum(length) / hull
