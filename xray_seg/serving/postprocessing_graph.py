"""From probabilities to the cleaned label map in TensorFlow operations alone, for servers.

What kernels.restore and postprocess do, on the same runs and with the same constants. Pieces are
found by passing the least number of a run from neighbour to neighbour until nothing changes.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from .._util.tensorflow import tensorflow
from ..labels import BACKGROUND, CLASSES, CLAVICLES, HEART, LUNGS, Organ
from ..postprocessing.cleanup import HOLE_SHARE, SPECK_SHARE


def restore_graph(probabilities: Any, geometry: Any) -> Any:
    """(S, S, 4) float32 and fit_graph's geometry to the (H, W) uint8 label map, not yet clean."""
    tf = tensorflow()
    top, left, height, width, rows, columns = tf.unstack(geometry)
    inside = probabilities[top : top + height, left : left + width]
    row, next_row, row_share = _nodes(height, rows)
    column, next_column, column_share = _nodes(width, columns)
    labels = best = None
    for label in range(CLASSES):  # one by one: nothing of size (H, W, classes) is made
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
    """For each pixel of an axis: the nodes before and after it, and the weight of the latter."""
    tf = tensorflow()
    ratio = tf.cast(nodes, tf.float64) / tf.cast(pixels, tf.float64)
    place = (tf.cast(tf.range(pixels), tf.float64) + 0.5) * ratio - 0.5
    place = tf.clip_by_value(place, 0, tf.cast(nodes - 1, tf.float64))
    lower = tf.cast(tf.floor(place), tf.int32)
    share = tf.cast(place - tf.floor(place), tf.float32)
    return lower, tf.minimum(lower + 1, nodes - 1), share


@dataclass(frozen=True)
class _Runs:
    """The runs of a label map in row-major order, int64 (n,), and which lie side by side.

    ``starts`` and ``stops`` are places in the flattened map; run ``one[k]`` and run ``other[k]``
    share ``sides[k]`` pixel sides.
    """

    starts: Any
    stops: Any
    one: Any
    other: Any
    sides: Any

    @property
    def lengths(self) -> Any:
        return self.stops - self.starts


def clean_graph(labels: Any) -> Any:
    """The (H, W) uint8 label map without specks and holes, as postprocess.clean makes it."""
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
    tf = tensorflow()
    rows, columns = tf.unstack(shape)
    changes = tf.pad(labels[:, 1:] != labels[:, :-1], [[0, 0], [1, 0]], constant_values=True)
    starts = tf.where(tf.reshape(changes, [-1]))[:, 0]
    stops = tf.concat([starts[1:], [rows * columns]], 0)
    # From the second row on, a pixel and the one above it belong to the same two runs until one of
    # these ends.
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
    """(n,) the first run of each run's piece; neighbours of one group belong together."""
    tf = tensorflow()
    same = tf.gather(groups, runs.one) == tf.gather(groups, runs.other)
    one, other = (tf.boolean_mask(each, same) for each in (runs.one, runs.other))

    def step(first: Any, _: Any) -> tuple[Any, Any]:
        a, b = tf.gather(first, one), tf.gather(first, other)
        least = tf.minimum(a, b)
        lower = tf.tensor_scatter_nd_min(first, a[:, None], least)
        lower = tf.tensor_scatter_nd_min(lower, b[:, None], least)
        lower = tf.gather(lower, lower)  # halve the way to the first run
        lower = tf.gather(lower, lower)
        return lower, tf.reduce_any(lower != first)

    start = tf.range(tf.size(runs.starts, tf.int64))
    return tf.while_loop(lambda first, going: going, step, (start, tf.constant(True)))[0]


def _without_specks(runs: _Runs, values: Any, organ: Organ, joined: tuple[Organ, ...]) -> Any:
    tf = tensorflow()
    group = tf.zeros_like(values, tf.bool)
    for each in joined:
        group |= values == each.label
    pieces = _connect(runs, group)
    mine = values == organ.label
    count = tf.size(values, tf.int64)
    areas = tf.math.unsorted_segment_sum(tf.where(mine, runs.lengths, 0), pieces, count)
    # At least as many as there may be pieces; of equal ones the first, as in the library.
    largest = tf.math.top_k(tf.pad(areas, [[0, organ.pieces]]), organ.pieces)
    area = tf.cast(largest.values, tf.float64)
    enough = area >= SPECK_SHARE * area[0]
    found = pieces[:, None] == tf.cast(largest.indices, tf.int64)
    kept = tf.reduce_any(found & enough, 1)
    return tf.where(mine & ~kept, tf.constant(BACKGROUND, tf.int64), values)


def _without_holes(runs: _Runs, values: Any, shape: Any) -> Any:
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
        place = tf.gather(pieces, inside) * CLASSES + tf.gather(values, outside)
        sides = tf.where(edge, runs.sides, 0)
        borders += tf.math.unsorted_segment_sum(sides, place, count * CLASSES)
    borders = tf.reshape(borders, (-1, CLASSES))
    areas = tf.cast(tf.math.unsorted_segment_sum(runs.lengths, pieces, count), tf.float64)
    alone = tf.math.count_nonzero(borders, 1) == 1
    most = HOLE_SHARE * tf.cast(rows, tf.float64) * tf.cast(columns, tf.float64)
    filled = closed & (alone | (areas <= most))
    label = tf.argmax(borders, 1)
    hole = empty & tf.gather(filled, pieces)
    return tf.where(hole, tf.gather(label, pieces), values)
