"""Find what one structure covers of another in a label map, where each pixel has one label.

A clavicle crosses its lung and covers a part of it. That part lies between the lung pixels that
touch the clavicle: it is what the clavicle has within their convex hull. The hull is computed in
integers on the runs of the label map, so that it is exact, and the same for images that are turned.
"""

import numpy as np

from ._jit import kernel
from ._types import Ints
from .components import Runs


def covered_runs(
    runs: Runs, adjacent: tuple[Ints, Ints, Ints], *, cover: int, covered: int
) -> Runs:
    """Find the pixels of one label that lie within the convex hull of another's contacts with it.

    Contacts are the pixels of the label ``covered`` that have a pixel of the label ``cover`` above,
    below, or beside them. A pixel counts by its centre.

    Args:
        runs: runs of a label map.
        adjacent: pairs of adjacent runs, as ``neighbours`` finds them.
        cover: label of the structure in front, for instance a clavicle.
        covered: label of the structure behind it, for instance a lung.

    Returns:
        Runs of the pixels found, with the label ``cover``, in row-major order; none where the two
        structures do not touch.
    """
    height, width = runs.shape
    # In each row the first and last column of the contacts, then of their hull.
    first, last = np.full(height, width, np.int64), np.full(height, -1, np.int64)
    one, other, _ = adjacent
    _find_contacts(
        *(runs.rows, runs.starts, runs.stops, runs.labels, one, other),
        *(np.uint8(cover), np.uint8(covered), first, last),
    )
    _fill_hull(first, last)
    inside = np.flatnonzero(runs.labels == cover)
    rows = runs.rows[inside]
    starts = np.maximum(runs.starts[inside], first[rows])
    stops = np.minimum(runs.stops[inside], last[rows] + 1)
    found = starts < stops
    labels = np.full(np.count_nonzero(found), cover, np.uint8)
    return Runs(rows[found], starts[found], stops[found], labels, runs.shape)


@kernel
def _find_contacts(rows, starts, stops, labels, one, other, cover, covered, first, last):
    """Extend first and last of each row by the covered pixels there that touch the cover."""
    for pair in range(len(one)):
        a, b = one[pair], other[pair]  # a is left of b, or above it
        if labels[a] == covered and labels[b] == cover:
            behind = a
        elif labels[a] == cover and labels[b] == covered:
            behind = b
        else:
            continue
        row = rows[behind]
        if rows[a] != rows[b]:
            start, end = max(starts[a], starts[b]), min(stops[a], stops[b]) - 1
        elif behind == a:
            start = end = stops[a] - 1
        else:
            start = end = starts[b]
        first[row] = min(first[row], start)
        last[row] = max(last[row], end)


@kernel
def _fill_hull(first, last):
    """Replace the first and last column of the points in each row by those of their convex hull.

    Rows without points have a last column below the first one; between points, all get columns.
    """
    count = 0
    rows = np.empty(len(first), np.int64)
    for row in range(len(first)):
        if last[row] >= 0:
            rows[count] = row
            count += 1
    corners = np.empty(count, np.int64)
    for side in (1, -1):  # the left outline; the right one, mirrored, is a left one
        columns = first if side == 1 else last
        size = 0
        for place in range(count):
            row = rows[place]
            while size > 1:
                top, middle = corners[size - 2], corners[size - 1]
                ahead = side * (columns[row] - columns[top]) * (middle - top)
                if side * (columns[middle] - columns[top]) * (row - top) < ahead:
                    break  # the middle one lies outside the line of its neighbours
                size -= 1
            corners[size] = row
            size += 1
        for corner in range(1, size):
            top, bottom = corners[corner - 1], corners[corner]
            rise, span = side * (columns[bottom] - columns[top]), bottom - top
            for row in range(top + 1, bottom):
                # Rounded inwards: up on the left, and down, mirrored up, on the right.
                step = -((-rise * (row - top)) // span)
                columns[row] = columns[top] + side * step
