"""Raggedness of the masks of a label map, from its runs: perimeter, convex hull, thin parts."""

from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from ._jit import kernel
from .components import Runs


class Raggedness(NamedTuple):
    """Measures of the outline of each value; each (count,) int64, 0 where there is no pixel.

    Attributes:
        perimeter: pixel sides between its pixels and others, or the border of the image.
        hull_twice: twice the area of the convex hull of its pixels, as squares.
        thin: pixels in rows of fewer than ``thickness`` of its pixels.
    """

    perimeter: npt.NDArray[np.int64]
    hull_twice: npt.NDArray[np.int64]
    thin: npt.NDArray[np.int64]


def raggedness(runs: Runs, values: npt.NDArray[np.uint8], count: int, thickness: int) -> Raggedness:
    """Measure how ragged the masks are.

    Args:
        runs: runs of a label map.
        values: (n,) uint8 value of each run, for instance its label.
        count: values are below it.
        thickness: runs of fewer pixels are thin.

    Raises:
        ValueError: ``values`` is not (n,) uint8, or a value is out of range.
    """
    if values.shape != runs.rows.shape or values.dtype != np.uint8:
        raise ValueError(f"{len(runs.rows)} runs need as many uint8, not {values.shape}")
    if values.max(initial=0) >= count:
        raise ValueError(f"values must be below {count}, not {values.max()}")
    sums = np.zeros((3, count), np.int64)
    extents = np.zeros((2, count, runs.shape[0]), np.int64)
    _raggedness(runs.rows, runs.starts, runs.stops, values, thickness, sums, extents)
    return Raggedness(*sums)


@kernel
def _raggedness(rows, starts, stops, values, thickness, sums, extents):
    """Extents: (2, count, H) negated first column and stop of each value in each row."""
    above = 0
    for run in range(len(values)):
        value, row, start, stop = values[run], rows[run], starts[run], stops[run]
        sums[0, value] += 2 + 2 * (stop - start)
        if run and rows[run - 1] == row and values[run - 1] == value:
            sums[0, value] -= 2
        while above < run and (
            rows[above] < row - 1 or (rows[above] == row - 1 and stops[above] <= start)
        ):
            above += 1
        other = above
        while other < run and rows[other] == row - 1 and starts[other] < stop:
            if values[other] == value:
                sums[0, value] -= 2 * (min(stops[other], stop) - max(starts[other], start))
            other += 1
        if stop - start < thickness:
            sums[2, value] += stop - start
        if extents[1, value, row] == 0:
            extents[0, value, row] = -start
        extents[1, value, row] = stop
    for value in range(sums.shape[1]):
        sums[1, value] = _twice_hull_area(extents[0, value], extents[1, value])


@kernel
def _twice_hull_area(left, right):
    """Twice the area of the convex hull, by one chain of corners on each side."""
    area = 0
    xs, ys = np.empty(2 * len(left), np.int64), np.empty(2 * len(left), np.int64)
    for side in (left, right):
        size = 0
        for y in range(len(side)):
            if right[y] == 0:
                continue
            x = side[y]
            for corner in (y, y + 1):
                while size > 1 and (x - xs[size - 2]) * (ys[size - 1] - ys[size - 2]) >= (
                    xs[size - 1] - xs[size - 2]
                ) * (corner - ys[size - 2]):
                    size -= 1
                xs[size], ys[size] = x, corner
                size += 1
        for place in range(size - 1):
            area += (xs[place] + xs[place + 1]) * (ys[place + 1] - ys[place])
    return area
