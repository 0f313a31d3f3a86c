"""Trace the outlines of a label along pixel edges, and simplify lines."""

import numpy as np
import numpy.typing as npt

from ._jit import kernel
from ._types import Ints


def trace(labels: npt.NDArray[np.uint8], label: int) -> list[Ints]:
    """Trace the outlines of a label as closed rings.

    Coordinates are pixel corners: the pixel in row y and column x covers x to x + 1 and y to
    y + 1. Rings keep the label on their right: outer rings run clockwise in the image, rings of
    holes counter-clockwise, so that their signed areas add up to the label's number of pixels.
    Components are 4-connected: pixels that touch at a corner only are separate.

    Args:
        labels: (H, W) uint8.
        label: 0 to 255.

    Returns:
        (n, 2) int64 (x, y) corners of each ring, without repeating the first. The first edge of a
        ring is the upper edge of a pixel: the topmost, then leftmost one whose upper edge belongs
        to the ring. Rings are in the order of these pixels; there are none without the label.

    Raises:
        ValueError: the label map is not a 2-D uint8 array.
    """
    if labels.ndim != 2 or labels.dtype != np.uint8:
        raise ValueError(f"a 2-D uint8 label map is needed, not {labels.dtype} {labels.shape}")
    mask = labels == label
    rows, columns = (np.flatnonzero(mask.any(axis=axis)) for axis in (1, 0))
    if not len(rows):
        return []
    top, left = rows[0], columns[0]
    mask = mask[top : rows[-1] + 1, left : columns[-1] + 1]
    # A margin of one pixel makes checks for the border unnecessary.
    inside = np.zeros((mask.shape[0] + 2, mask.shape[1] + 2), np.uint8)
    inside[1:-1, 1:-1] = mask
    corners, rings = _count(inside)
    points = np.empty((corners, 2), np.int64)
    stops = np.empty(rings, np.int64)
    found = _trace(inside, points, stops)
    points += (left, top)
    return np.split(points, stops[: found - 1])


def simplify(points: npt.NDArray[np.float64], tolerance: float) -> npt.NDArray[np.bool_]:
    """Simplify a line by the algorithm of Douglas and Peucker (Cartographica 10:112-122, 1973).

    Args:
        points: (n, 2) float64 points of the line; the first and the last are kept.
        tolerance: highest distance of a dropped point from the simplified line, in the same unit.

    Returns:
        (n,) whether each point is kept.

    Raises:
        ValueError: ``points`` has another shape or dtype, or is empty.
    """
    if points.ndim != 2 or points.shape[1] != 2 or points.dtype != np.float64 or not len(points):
        raise ValueError(f"(n, 2) float64 points are needed, not {points.dtype} {points.shape}")
    kept = np.zeros(len(points), np.bool_)
    kept[[0, -1]] = True
    _simplify(np.ascontiguousarray(points), tolerance, kept)
    return kept


@kernel
def _simplify(points, tolerance, kept):
    """Split each span at the point farthest from its chord, until all are within tolerance."""
    spans = np.empty((len(points), 2), np.int64)  # a stack, never higher than the number of points
    spans[0] = 0, len(points) - 1
    waiting = 1
    while waiting:
        waiting -= 1
        first, last = spans[waiting]
        x, y = points[first]
        across, down = points[last, 0] - x, points[last, 1] - y
        length = np.hypot(across, down)
        farthest, middle = tolerance, 0
        for place in range(first + 1, last):
            right, below = points[place, 0] - x, points[place, 1] - y
            area = abs(across * below - down * right)
            away = area / length if length else np.hypot(right, below)
            if away > farthest:
                farthest, middle = away, place
        if middle:
            kept[middle] = True
            spans[waiting] = first, middle
            spans[waiting + 1] = middle, last
            waiting += 2


@kernel
def _count(inside):
    """Number of corners of all rings, and an upper bound for the number of rings."""
    corners, starts = 0, 0
    for y in range(inside.shape[0] - 1):
        for x in range(inside.shape[1] - 1):
            one, two = inside[y, x], inside[y, x + 1]
            three, four = inside[y + 1, x], inside[y + 1, x + 1]
            total = one + two + three + four
            if total == 1 or total == 3:
                corners += 1
            elif total == 2 and one == four:
                corners += 2
            # A ring starts at the upper left corner of a run of upper edges.
            if four == 1 and two == 0 and (one == 1 or three == 0):
                starts += 1
    return corners, starts


@kernel
def _trace(inside, points, stops):
    """List the rings. Upper edges are marked once followed, so that no ring is listed twice."""
    rows, columns = inside.shape
    walked = np.zeros((rows, columns), np.uint8)
    place, rings = 0, 0
    for y in range(1, rows - 1):
        for x in range(1, columns - 1):
            if inside[y, x] and not inside[y - 1, x] and not walked[y, x]:
                place = _walk(inside, walked, y, x, points, place)
                stops[rings] = place
                rings += 1
    return rings


@kernel
def _walk(inside, walked, y, x, points, place):
    """Follow a ring from the upper edge of pixel (y, x) until it closes."""
    # Corner (y, x) is the upper left one of pixel (y, x).
    first_y, first_x = y, x
    down, right = 0, 1
    points[place, 0], points[place, 1] = x - 1, y - 1  # without the margin
    place += 1
    while True:
        if right == 1:
            walked[y, x] = 1
        y += down
        x += right
        if right == 1:
            left_ahead, right_ahead = inside[y - 1, x], inside[y, x]
        elif right == -1:
            left_ahead, right_ahead = inside[y, x - 1], inside[y - 1, x - 1]
        elif down == 1:
            left_ahead, right_ahead = inside[y, x], inside[y, x - 1]
        else:
            left_ahead, right_ahead = inside[y - 1, x - 1], inside[y - 1, x]
        if not right_ahead:
            down, right = right, -down
        elif left_ahead:
            down, right = -right, down
        else:
            continue
        if y == first_y and x == first_x and right == 1:
            return place
        points[place, 0], points[place, 1] = x - 1, y - 1
        place += 1
