"""Areas, places and extents of what runs belong to, without going back to pixels."""

from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from ._jit import kernel
from ._types import Ints
from .components import Runs


class Moments(NamedTuple):
    """Of the runs of each value, 0 to 255; all of them (256,) int64.

    Attributes:
        area: pixels.
        x_twice: sum over its pixels of twice the column of their centres, which are at halves.
        y_sum: sum over its pixels of their row.
        x0: its first column; where there is no pixel, the image's width.
        y0: its first row; where there is no pixel, the image's height.
        x1: the column after its last, or 0.
        y1: the row after its last, or 0.
    """

    area: Ints
    x_twice: Ints
    y_sum: Ints
    x0: Ints
    y0: Ints
    x1: Ints
    y1: Ints


def moments(runs: Runs, values: npt.NDArray[np.uint8]) -> Moments:
    """Add up runs by their values.

    Args:
        runs: of a label map.
        values: (n,) uint8 what each run belongs to, its label for instance.

    Raises:
        ValueError: there is not one value for each run.
    """
    if values.shape != runs.rows.shape or values.dtype != np.uint8:
        raise ValueError(f"{len(runs.rows)} runs need as many uint8, not {values.shape}")
    sums = np.zeros((7, 256), np.int64)
    sums[3], sums[4] = runs.shape[1], runs.shape[0]
    _moments(runs.rows, runs.starts, runs.stops, values, sums)
    return Moments(*sums)


def split_at(runs: Runs, label: int, column: float) -> tuple[float, float, float, float]:
    """How much of a label lies on either side of a column, and where.

    Args:
        runs: of a label map.
        label: which of them.
        column: as pixels' sides are counted: the pixel in column x covers x to x + 1.

    Returns:
        The area on the left of it in pixels, and the sum over it of its columns; the same on the
        right. A run that the column crosses is divided there.
    """
    found = _split_at(runs.starts, runs.stops, runs.labels, np.uint8(label), float(column))
    return tuple(float(each) for each in found)  # type: ignore[return-value]


def split_pieces(
    runs: Runs, pieces: Ints, label: int, *, column: float = np.inf
) -> npt.NDArray[np.float64]:
    """How much of a label each piece has on either side of a column.

    Args:
        runs: of a label map.
        pieces: (n,) piece of each run, as ``connect`` numbers them.
        label: which of them.
        column: as of split_at; without it all counts as left.

    Returns:
        (pieces, 2) float64 pixels on the left and on the right.

    Raises:
        ValueError: there is not one piece for each run.
    """
    if pieces.shape != runs.rows.shape:
        raise ValueError(f"{len(runs.rows)} runs need as many pieces, not {pieces.shape}")
    sums = np.zeros((int(pieces.max(initial=-1)) + 1, 2), np.float64)
    column = float(min(column, runs.shape[1]))
    _split_pieces(runs.starts, runs.stops, runs.labels, pieces, np.uint8(label), column, sums)
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
def _split_pieces(starts, stops, labels, pieces, label, column, sums):
    for run in range(len(labels)):
        if labels[run] == label:
            start, stop = np.float64(starts[run]), np.float64(stops[run])
            middle = min(max(column, start), stop)
            sums[pieces[run], 0] += middle - start
            sums[pieces[run], 1] += stop - middle
