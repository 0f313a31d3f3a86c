"""Areas, centroids and boxes of runs, without visiting pixels."""

from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from ._jit import kernel
from ._types import Ints
from .components import Runs


class Moments(NamedTuple):
    """Moments and boxes of the runs of each value, 0 to 255; each (256,) int64.

    Attributes:
        area: number of pixels.
        x_twice: sum over pixels of twice the x of their centres, which is column + 0.5.
        y_sum: sum over pixels of their row.
        x0: first column; the image's width where there is no pixel.
        y0: first row; the image's height where there is no pixel.
        x1: column after the last; 0 where there is no pixel.
        y1: row after the last; 0 where there is no pixel.
    """

    area: Ints
    x_twice: Ints
    y_sum: Ints
    x0: Ints
    y0: Ints
    x1: Ints
    y1: Ints


def moments(runs: Runs, values: npt.NDArray[np.uint8]) -> Moments:
    """Compute the moments and boxes of runs by value.

    Args:
        runs: runs of a label map.
        values: (n,) uint8 value of each run, for instance its label.

    Raises:
        ValueError: ``values`` is not (n,) uint8.
    """
    if values.shape != runs.rows.shape or values.dtype != np.uint8:
        raise ValueError(f"{len(runs.rows)} runs need as many uint8, not {values.shape}")
    sums = np.zeros((7, 256), np.int64)
    sums[3], sums[4] = runs.shape[1], runs.shape[0]
    _moments(runs.rows, runs.starts, runs.stops, values, sums)
    return Moments(*sums)


def split_at(runs: Runs, label: int, column: float) -> tuple[float, float, float, float]:
    """Area and first moment of a label on either side of a column.

    Args:
        runs: runs of a label map.
        label: the label.
        column: x coordinate at which to split; the pixel in column x covers x to x + 1, and a run
            that it crosses is divided there.

    Returns:
        Area in pixels and integral of x over it, on the left; the same on the right.
    """
    found = _split_at(runs.starts, runs.stops, runs.labels, np.uint8(label), float(column))
    return tuple(float(each) for each in found)  # type: ignore[return-value]


def split_pieces(
    runs: Runs, components: Ints, label: int, *, column: float = np.inf
) -> npt.NDArray[np.float64]:
    """Area of a label in each component, on either side of a column.

    Args:
        runs: runs of a label map.
        components: (n,) component of each run, as ``connect`` numbers them.
        label: the label.
        column: x coordinate at which to split, as in ``split_at``; by default all is on the left.

    Returns:
        (components, 2) float64 area in pixels, on the left and on the right.

    Raises:
        ValueError: ``components`` is not (n,).
    """
    if components.shape != runs.rows.shape:
        raise ValueError(f"{len(runs.rows)} runs need as many components, not {components.shape}")
    sums = np.zeros((int(components.max(initial=-1)) + 1, 2), np.float64)
    column = float(min(column, runs.shape[1]))
    _split_pieces(runs.starts, runs.stops, runs.labels, components, np.uint8(label), column, sums)
    return sums


@kernel
def _moments(rows, starts, stops, values, sums):
    for run in range(len(values)):
        value = values[run]
        start, stop, row = starts[run], stops[run], rows[run]
        length = stop - start
        sums[0, value] += length
        sums[1, value] += length * (start + stop)
        sums[2, value] += length * row
        sums[3, value] = min(sums[3, value], start)
        sums[4, value] = min(sums[4, value], row)
        sums[5, value] = max(sums[5, value], stop)
        sums[6, value] = max(sums[6, value], row + 1)


@kernel
def _split_at(starts, stops, labels, label, column):
    left, left_sum, right, right_sum = 0.0, 0.0, 0.0, 0.0
    for run in range(len(labels)):
        if labels[run] == label:
            start, stop = np.float64(starts[run]), np.float64(stops[run])
            middle = min(max(column, start), stop)
            left += middle - start
            left_sum += (middle - start) * (start + middle) / 2
            right += stop - middle
            right_sum += (stop - middle) * (middle + stop) / 2
    return left, left_sum, right, right_sum


@kernel
def _split_pieces(starts, stops, labels, components, label, column, sums):
    for run in range(len(labels)):
        if labels[run] == label:
            start, stop = np.float64(starts[run]), np.float64(stops[run])
            middle = min(max(column, start), stop)
            sums[components[run], 0] += middle - start
            sums[components[run], 1] += stop - middle
