"""TensorFlow graph from probabilities to the cleaned label map.

Reproduces ``kernels.upsample_argmax`` (restoration to the radiograph's resolution) and
``postprocessing.cleanup.clean`` (removal of specks and holes), both exactly and with the library's
constants. ``outline_graph`` smooths ragged hearts before. Cleanup works on runs: maximal stretches
of pixels in a row with the same label. Connected components are found by propagating the lowest run
number between neighbouring runs until nothing changes.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from .._util.tensorflow import tensorflow
from ..labels import BACKGROUND, CLASSES, CLAVICLES, HEART, LUNGS, Organ
from ..postprocessing.cleanup import HOLE_SHARE, SPECK_SHARE


def restore_graph(probabilities: Any, geometry: Any) -> Any:
    """Upsample probabilities bilinearly and take the label of the largest.

    Args:
        probabilities: (S, S, 4) float32.
        geometry: (6,) int32, as ``preprocess_graph`` returns it.

    Returns:
        (H, W) uint8 label map at the radiograph's resolution, before cleanup.
    """
    tf = tensorflow()
    top, left, height, width, rows, columns = tf.unstack(geometry)
    inside = probabilities[top : top + height, left : left + width]
    row, next_row, row_share = _nodes(height, rows)
    column, next_column, column_share = _nodes(width, columns)
    labels = best = None
    for label in range(CLASSES):  # one by one, to avoid an array of (H, W, classes)
        plane = inside[..., label]
        above, below = tf.gather(plane, row), tf.gather(plane, next_row)
        blended = above + (below - above) * row_share[:, None]
        before, after = (tf.gather(blended, each, axis=1) for each in (column, next_column))
        value = before + (after - before) * column_share
        if best is None:
            labels, best = tf.zeros_like(value, tf.uint8), value
        else:
            labels = tf.where(value > best, tf.constant(label, tf.uint8), labels)
            best = tf.maximum(value, best)
    return labels


def _nodes(nodes: Any, pixels: Any) -> tuple[Any, Any, Any]:
    """Interpolation along an axis: for each pixel, two grid nodes and the weight of the second."""
    tf = tensorflow()
    ratio = tf.cast(nodes, tf.float64) / tf.cast(pixels, tf.float64)
    place = (tf.cast(tf.range(pixels), tf.float64) + 0.5) * ratio - 0.5
    place = tf.clip_by_value(place, 0, tf.cast(nodes - 1, tf.float64))
    lower = tf.cast(tf.floor(place), tf.int32)
    share = tf.cast(place - tf.floor(place), tf.float32)
    return lower, tf.minimum(lower + 1, nodes - 1), share


@dataclass(frozen=True)
class _Runs:
    """Runs of a label map in row-major order, and pairs of neighbouring runs.

    Attributes:
        starts, stops: (n,) int64 first and one past the last index in the flattened map.
        one, other: (m,) int64 numbers of the two runs of each pair.
        sides: (m,) int64 number of pixel sides that the two runs share.
    """

    starts: Any
    stops: Any
    one: Any
    other: Any
    sides: Any

    @property
    def lengths(self) -> Any:
        """(n,) int64 pixels of each run."""
        return self.stops - self.starts


def clean_graph(labels: Any) -> Any:
    """Remove specks and fill holes of an (H, W) uint8 label map.

    Reproduces ``postprocessing.cleanup.clean`` exactly, but returns a new label map.
    """
    tf = tensorflow()
    shape = tf.shape(labels, tf.int64)
    runs = _find_runs(labels, shape)
    values = tf.cast(tf.gather(tf.reshape(labels, [-1]), runs.starts), tf.int64)
    values = _without_specks(runs, values, HEART, (HEART,))
    values = _without_specks(runs, values, CLAVICLES, (CLAVICLES,))
    values = _without_specks(runs, values, LUNGS, (LUNGS, CLAVICLES))
    values = _without_holes(runs, values, shape)
    return tf.reshape(tf.repeat(tf.cast(values, tf.uint8), runs.lengths), shape)


def _find_runs(labels: Any, shape: Any) -> _Runs:
    """The runs of a label map of an int64 shape."""
    tf = tensorflow()
    rows, columns = tf.unstack(shape)
    changes = tf.pad(labels[:, 1:] != labels[:, :-1], [[0, 0], [1, 0]], constant_values=True)
    starts = tf.where(tf.reshape(changes, [-1]))[:, 0]
    stops = tf.concat([starts[1:], [rows * columns]], 0)
    # Vertical neighbours: a pixel and the one above it belong to the same pair of runs until one
    # of the two runs ends.
    below = tf.boolean_mask(starts, starts >= columns)
    above = tf.boolean_mask(starts, starts < (rows - 1) * columns) + columns
    bounds = tf.unique(tf.sort(tf.concat([below, above], 0))).y
    ends = tf.concat([bounds[1:], [rows * columns]], 0)[: tf.size(bounds)]
    upper, lower = (
        tf.searchsorted(starts, places, "right", tf.int64) - 1
        for places in (bounds - columns, bounds)
    )
    beside = tf.where(starts[1:] % columns != 0)[:, 0]
    one, other = tf.concat([upper, beside], 0), tf.concat([lower, beside + 1], 0)
    return _Runs(starts, stops, one, other, tf.concat([ends - bounds, tf.ones_like(beside)], 0))


def _connect(runs: _Runs, groups: Any) -> Any:
    """Connected components: (n,) int64 number of the first run of each run's component.

    Neighbouring runs of the same group, (n,) ``groups``, are connected.
    """
    tf = tensorflow()
    same = tf.gather(groups, runs.one) == tf.gather(groups, runs.other)
    one, other = (tf.boolean_mask(each, same) for each in (runs.one, runs.other))

    def step(first: Any, _: Any) -> tuple[Any, Any]:
        a, b = tf.gather(first, one), tf.gather(first, other)
        least = tf.minimum(a, b)
        lower = tf.tensor_scatter_nd_min(first, a[:, None], least)
        lower = tf.tensor_scatter_nd_min(lower, b[:, None], least)
        lower = tf.gather(lower, lower)  # pointer jumping halves the number of steps
        lower = tf.gather(lower, lower)
        return lower, tf.reduce_any(lower != first)

    own = tf.range(tf.size(runs.starts, tf.int64))
    return tf.while_loop(lambda first, changed: changed, step, (own, tf.constant(True)))[0]


def _without_specks(runs: _Runs, values: Any, organ: Organ, joined: tuple[Organ, ...]) -> Any:
    """Turn runs of an organ outside its largest components into background.

    Args:
        runs: runs of the label map.
        values: (n,) int64 label of each run.
        organ: the organ.
        joined: organs that form components together; they are ranked by the pixels of ``organ``.

    Returns:
        (n,) int64 labels.
    """
    tf = tensorflow()
    group = tf.zeros_like(values, tf.bool)
    for each in joined:
        group |= values == each.label
    pieces = _connect(runs, group)
    mine = values == organ.label
    count = tf.size(values, tf.int64)
    areas = tf.math.unsorted_segment_sum(tf.where(mine, runs.lengths, 0), pieces, count)
    # Padded, because top_k needs at least that many values. It prefers the first of equal areas,
    # as the library does.
    largest = tf.math.top_k(tf.pad(areas, [[0, organ.pieces]]), organ.pieces)
    area = tf.cast(largest.values, tf.float64)
    enough = area >= SPECK_SHARE * area[0]
    found = pieces[:, None] == tf.cast(largest.indices, tf.int64)
    kept = tf.reduce_any(found & enough, 1)
    return tf.where(mine & ~kept, tf.constant(BACKGROUND, tf.int64), values)


def _without_holes(runs: _Runs, values: Any, shape: Any) -> Any:
    """Give enclosed background the label that it shares most of its border with.

    Args:
        runs: runs of the label map.
        values: (n,) int64 label of each run.
        shape: (2,) int64 shape of the label map.

    Returns:
        (n,) int64 labels.
    """
    tf = tensorflow()
    rows, columns = tf.unstack(shape)
    empty = values == BACKGROUND
    pieces = _connect(runs, empty)
    count = tf.size(values, tf.int64)
    row, column = runs.starts // columns, runs.starts % columns
    at_border = (row == 0) | (row == rows - 1) | (column == 0) | (runs.stops % columns == 0)
    opens = tf.cast(empty & at_border, tf.int64)
    closed = tf.math.unsorted_segment_sum(opens, pieces, count) == 0
    borders = tf.zeros(count * CLASSES, tf.int64)
    for inside, outside in ((runs.one, runs.other), (runs.other, runs.one)):
        edge = tf.gather(empty, inside) & ~tf.gather(empty, outside)
        index = tf.gather(pieces, inside) * CLASSES + tf.gather(values, outside)
        sides = tf.where(edge, runs.sides, 0)
        borders += tf.math.unsorted_segment_sum(sides, index, count * CLASSES)
    borders = tf.reshape(borders, (-1, CLASSES))
    areas = tf.cast(tf.math.unsorted_segment_sum(runs.lengths, pieces, count), tf.float64)
    one_organ = tf.math.count_nonzero(borders, 1) == 1
    largest = HOLE_SHARE * tf.cast(rows, tf.float64) * tf.cast(columns, tf.float64)
    filled = closed & (one_organ | (areas <= largest))
    label = tf.argmax(borders, 1)
    hole = empty & tf.gather(filled, pieces)
    return tf.where(hole, tf.gather(label, pieces), values)
