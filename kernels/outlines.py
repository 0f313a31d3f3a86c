"""Length of a level line and of its convex hull, and smoothing in exact integers."""

import numpy as np
import numpy.typing as npt

from ._jit import kernel
from ._types import Ints

#: Directions in which the extent of a convex hull is taken. 64 give its length within 0.1 %.
HULL_DIRECTIONS = 64


def outline_lengths(field: Ints) -> tuple[float, float]:
    """Length of the line on which a field crosses zero, and length of its convex hull.

    The line is that of marching squares: it crosses the sides between positive and other pixel
    centres where linear interpolation gives zero, so that a staircase of pixels counts as the
    slope that it stands for. Positive pixels that touch at a corner only are separate. Pixels
    beyond the border count as -1.

    The length of a convex outline is its mean extent over all directions times pi (Cauchy).

    Args:
        field: (h, w) int64.

    Returns:
        Both lengths in pixels, 0 and 0 if no pixel is positive. A disc has equal lengths.

    Raises:
        ValueError: the field is not a 2-D int64 array.
    """
    _check(field)
    angles = np.arange(HULL_DIRECTIONS) * (2 * np.pi / HULL_DIRECTIONS)
    reach = np.full(HULL_DIRECTIONS, -np.inf)
    length = float(
        _outline(np.pad(field, 1, constant_values=-1), np.cos(angles), np.sin(angles), reach)
    )
    return length, float(reach.sum() * (2 * np.pi / HULL_DIRECTIONS)) if length else 0.0


def margins(
    probabilities: npt.NDArray[np.float32], label: int, certain: float, steps: int
) -> tuple[npt.NDArray[np.float32], Ints]:
    """Margins by which a label is more probable than all others, in whole steps.

    Args:
        probabilities: (h, w, classes) float32.
        label: the label, below ``classes``.
        certain: margins are limited to this size.
        steps: integer that stands for a margin of ``certain``.

    Returns:
        (h, w) float32 highest probability of the other labels; (h, w) int64 margins from
        -``steps`` to ``steps``, rounded half to even.

    Raises:
        ValueError: the dtype is another, or there are no two classes with this label.
    """
    if probabilities.ndim != 3 or probabilities.dtype != np.float32:
        raise ValueError(f"(h, w, classes) float32 are needed, not {probabilities.dtype}")
    if not (0 <= label < probabilities.shape[2] > 1):
        raise ValueError(f"there is no label {label} beside others in {probabilities.shape}")
    rivals = np.empty(probabilities.shape[:2], np.float32)
    field = np.empty(probabilities.shape[:2], np.int64)
    _margins(probabilities, label, np.float32(certain), np.float32(steps), rivals, field)
    return rivals, field


def box_sums(field: Ints, half_width: int, *, times: int = 1) -> Ints:
    """Sum a field over squares of 2 ``half_width`` + 1 pixels, once or several times.

    Integers are summed, so that any order of additions gives the same result. The outermost
    values extend beyond the border. Three times is nearly a Gaussian: its standard deviation is
    the square root of k (k + 1) pixels for a half width of k.

    Args:
        field: (h, w) int64 of at most 2**62 / (2 ``half_width`` + 1)**(2 ``times``).
        half_width: pixels, from 0.
        times: how often, from 0.

    Returns:
        (h, w) int64 sums, (2 ``half_width`` + 1)**(2 ``times``) times a mean.

    Raises:
        ValueError: the field is not a 2-D int64 array, or the half width is negative.
    """
    _check(field)
    if half_width < 0:
        raise ValueError(f"a half width from 0 is needed, not {half_width}")
    summed, other = field.copy(), np.empty_like(field)
    for _ in range(times):
        _sum_rows(summed, half_width, other)
        _sum_columns(other, half_width, summed)
    return summed


def _check(field: npt.NDArray[np.int64]) -> None:
    if field.ndim != 2 or field.dtype != np.int64 or 0 in field.shape:
        raise ValueError(f"a 2-D int64 field is needed, not {field.dtype} {field.shape}")


@kernel
def _margins(probabilities, label, certain, steps, rivals, field):
    for y in range(field.shape[0]):
        for x in range(field.shape[1]):
            best = np.float32(-np.inf)
            for c in range(probabilities.shape[2]):
                if c != label:
                    best = max(best, probabilities[y, x, c])
            share = (probabilities[y, x, label] - best) / certain
            rivals[y, x] = best
            share = min(max(share, np.float32(-1)), np.float32(1))
            field[y, x] = np.int64(np.rint(share * steps))


@kernel
def _sum_rows(field, half_width, out):
    last = field.shape[1] - 1
    for y in range(field.shape[0]):
        total = field[y, 0] * (half_width + 1)
        for x in range(1, half_width + 1):
            total += field[y, min(x, last)]
        for x in range(last + 1):
            out[y, x] = total
            total += field[y, min(x + half_width + 1, last)] - field[y, max(x - half_width, 0)]


@kernel
def _sum_columns(field, half_width, out):
    last = field.shape[0] - 1
    totals = field[0] * (half_width + 1)
    for y in range(1, half_width + 1):
        totals += field[min(y, last)]
    for y in range(last + 1):
        arriving, leaving = field[min(y + half_width + 1, last)], field[max(y - half_width, 0)]
        for x in range(field.shape[1]):
            out[y, x] = totals[x]
            totals[x] += arriving[x] - leaving[x]


@kernel
def _outline(field, cosines, sines, reach):
    """Sum the segments of all cells between four pixel centres; note how far they reach."""
    rows, columns = field.shape
    length = 0.0
    xs, ys = np.empty(4), np.empty(4)
    for y in range(rows - 1):
        for x in range(columns - 1):
            one, two = field[y, x], field[y, x + 1]
            three, four = field[y + 1, x], field[y + 1, x + 1]
            positive = (one > 0) + (two > 0) + (three > 0) + (four > 0)
            if positive == 0 or positive == 4:
                continue
            found = 0  # crossings of the upper, left, right and lower side, in this order
            if (one > 0) != (two > 0):
                xs[found], ys[found] = x + one / (one - two), y
                found += 1
            if (one > 0) != (three > 0):
                xs[found], ys[found] = x, y + one / (one - three)
                found += 1
            if (two > 0) != (four > 0):
                xs[found], ys[found] = x + 1, y + two / (two - four)
                found += 1
            if (three > 0) != (four > 0):
                xs[found], ys[found] = x + three / (three - four), y + 1
                found += 1
            if found == 2:
                length += np.hypot(xs[0] - xs[1], ys[0] - ys[1])
            else:  # two diagonal pixels: cut off each
                near, far = (1, 2) if one > 0 else (2, 1)
                length += np.hypot(xs[0] - xs[near], ys[0] - ys[near])
                length += np.hypot(xs[3] - xs[far], ys[3] - ys[far])
            for point in range(found):
                for direction in range(len(reach)):
                    extent = xs[point] * cosines[direction] + ys[point] * sines[direction]
                    reach[direction] = max(reach[direction], extent)
    return length
