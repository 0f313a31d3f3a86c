"""Connected components of a label map, found on its runs.

A run is a stretch of equal labels in one row. A label map of 2048 x 2048 has a few thousand runs,
so that components are found, measured and relabelled without visiting its pixels again: 28 times
as fast as cc3d and 110 times as fast as OpenCV (benchmarks/alternatives.py).
"""

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from ._jit import kernel
from ._types import Ints


@dataclass(frozen=True)
class Runs:
    """The runs of an (H, W) label map in row-major order.

    Attributes:
        rows: (n,) row of each run.
        starts: (n,) its first column.
        stops: (n,) the column after its last.
        labels: (n,) uint8 its label, or any other value given to it.
        shape: (H, W) of the label map.
    """

    rows: Ints
    starts: Ints
    stops: Ints
    labels: npt.NDArray[np.uint8]
    shape: tuple[int, int]

    @property
    def lengths(self) -> Ints:
        """(n,) pixels in each run."""
        return self.stops - self.starts


def find_runs(labels: npt.NDArray[np.uint8]) -> Runs:
    """Find the runs of an (H, W) uint8 label map.

    Raises:
        ValueError: the label map is not a non-empty 2-D uint8 array.
    """
    _check(labels)
    labels = np.ascontiguousarray(labels)
    words = labels[:, : labels.shape[1] // 8 * 8].view(np.uint64)
    room, count = 0, _RUNS_A_ROW * labels.shape[0]
    while count > room:  # repeated once if there are more runs than space for them
        room = count
        places, values = np.empty((3, room), np.int64), np.empty(room, np.uint8)
        count = int(_find_runs(labels, words, places, values))
    rows, starts, stops = places[:, :count]
    return Runs(rows, starts, stops, values[:count], (labels.shape[0], labels.shape[1]))


def connect(runs: Runs, groups: npt.NDArray[np.int64]) -> Ints:
    """Number the 4-connected components of a label map.

    Args:
        runs: runs of the label map.
        groups: (256,) group of each label; labels of one group connect to each other.

    Returns:
        (n,) component of each run, numbered from 0 in the order of their first runs.

    Raises:
        ValueError: ``groups`` is not (256,).
    """
    if groups.shape != (256,):
        raise ValueError(f"groups must have shape (256,), one group per label, not {groups.shape}")
    components = np.empty(len(runs.rows), np.int64)
    _connect(runs.rows, runs.starts, runs.stops, groups[runs.labels], components)
    return components


def neighbours(runs: Runs) -> tuple[Ints, Ints, Ints]:
    """Find adjacent runs: (m,) index of one, of the other, and pixel sides that they share."""
    count = int(_neighbours(runs.rows, runs.starts, runs.stops, _NONE, _NONE, _NONE))
    one, other, sides = (np.empty(count, np.int64) for _ in range(3))
    _neighbours(runs.rows, runs.starts, runs.stops, one, other, sides)
    return one, other, sides


def paint_runs(labels: npt.NDArray[np.uint8], runs: Runs, values: npt.NDArray[np.uint8]) -> None:
    """Write new labels into a label map, in place, for the runs whose label changes.

    Args:
        labels: the (H, W) uint8 label map that the runs were found in.
        runs: its runs.
        values: (n,) uint8 new label of each run.

    Raises:
        ValueError: the shapes do not match.
    """
    if labels.shape != runs.shape or values.shape != runs.labels.shape:
        raise ValueError(
            f"runs of {runs.shape} and {values.shape} values do not fit {labels.shape}"
        )
    _paint(labels, runs.rows, runs.starts, runs.stops, runs.labels, values)


def relabelled(runs: Runs, values: npt.NDArray[np.uint8]) -> Runs:
    """The runs that the label map has after ``paint_runs`` with these values.

    Raises:
        ValueError: ``values`` is not (n,) uint8.
    """
    if values.shape != runs.labels.shape or values.dtype != np.uint8:
        raise ValueError(f"{len(runs.labels)} runs need as many uint8, not {values.shape}")
    if np.array_equal(values, runs.labels):
        return runs
    begins = np.ones(len(values), np.bool_)
    begins[1:] = (values[1:] != values[:-1]) | (runs.rows[1:] != runs.rows[:-1])
    ends = np.roll(begins, -1)  # rolled from the front: the last run is an end
    return Runs(
        runs.rows[begins], runs.starts[begins], runs.stops[ends], values[begins], runs.shape
    )


def _check(labels: npt.NDArray[np.uint8]) -> None:
    if labels.ndim != 2 or labels.dtype != np.uint8 or 0 in labels.shape:
        raise ValueError(f"a 2-D uint8 label map is needed, not {labels.dtype} {labels.shape}")


_NONE = np.empty(0, np.int64)
#: Initial space, in runs per row; more than the masks of a chest have.
_RUNS_A_ROW = 12
#: Multiplied by a label: a word of eight pixels with that label, in either byte order.
_EIGHT = np.uint64(0x0101010101010101)


@kernel
def _find_runs(labels, words, places, values):
    """Count the runs and list those that fit the arrays, comparing eight pixels at a time."""
    room = len(values)
    columns = labels.shape[1]
    run = 0
    for y in range(labels.shape[0]):
        start = 0
        while start < columns:
            value = labels[y, start]
            eight = np.uint64(value) * _EIGHT
            stop = start + 1
            while stop < columns and stop % 8 != 0 and labels[y, stop] == value:
                stop += 1
            if stop % 8 == 0:
                word = stop // 8
                while word < words.shape[1] and words[y, word] == eight:
                    word += 1
                stop = word * 8
                while stop < columns and labels[y, stop] == value:
                    stop += 1
            if run < room:
                places[0, run], places[1, run], places[2, run] = y, start, stop
                values[run] = value
            run += 1
            start = stop
    return run


@kernel
def _paint(labels, rows, starts, stops, before, values):
    for run in range(len(rows)):
        if values[run] != before[run]:
            labels[rows[run], starts[run] : stops[run]] = values[run]


@kernel
def _root(parents, run):
    while parents[run] != run:
        parents[run] = parents[parents[run]]
        run = parents[run]
    return run


@kernel
def _connect(rows, starts, stops, groups, parents):
    """Union-find over runs. The root of a set is its first run; sets are numbered in order."""
    count = len(rows)
    for run in range(count):
        parents[run] = run
    above = 0
    for run in range(count):
        if run and rows[run - 1] == rows[run] and groups[run - 1] == groups[run]:
            _join(parents, run - 1, run)
        while above < count and (
            rows[above] < rows[run] - 1
            or (rows[above] == rows[run] - 1 and stops[above] <= starts[run])
        ):
            above += 1
        other = above
        while other < run and rows[other] == rows[run] - 1 and starts[other] < stops[run]:
            if groups[other] == groups[run]:
                _join(parents, other, run)
            other += 1
    for run in range(count):
        parents[run] = _root(parents, run)
    number = 0
    for run in range(count):
        if parents[run] == run:
            parents[run] = number
            number += 1
        else:
            parents[run] = parents[parents[run]]


@kernel
def _join(parents, one, other):
    a, b = _root(parents, one), _root(parents, other)
    if a < b:
        parents[b] = a
    else:
        parents[a] = b


@kernel
def _neighbours(rows, starts, stops, one, other, sides):
    """Count the pairs of adjacent runs, and list them unless the arrays are empty."""
    listing = len(one) > 0
    pairs, above = 0, 0
    for run in range(len(rows)):
        if run and rows[run - 1] == rows[run]:
            if listing:
                one[pairs], other[pairs], sides[pairs] = run - 1, run, 1
            pairs += 1
        while above < run and (
            rows[above] < rows[run] - 1
            or (rows[above] == rows[run] - 1 and stops[above] <= starts[run])
        ):
            above += 1
        upper = above
        while upper < run and rows[upper] == rows[run] - 1 and starts[upper] < stops[run]:
            if listing:
                shared = min(stops[upper], stops[run]) - max(starts[upper], starts[run])
                one[pairs], other[pairs], sides[pairs] = upper, run, shared
            pairs += 1
            upper += 1
    return pairs
