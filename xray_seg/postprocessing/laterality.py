"""Right and left, told apart in a label map.

Right and left are the patient's. By radiological convention the patient faces the viewer, so the
right lung lies on the left of the image.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import cached_property
from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt

from ..labels import BACKGROUND, CLAVICLES, HEART, LUNGS, ORGANS, RIGHT_LEFT_LABELS

if TYPE_CHECKING:
    from ..kernels import Moments, Runs

#: The least share of the lungs that counts as a lung of its own. In 222 SCR cases the smaller
#: lung has 0.35 of both.
SIDE_SHARE = 0.1
_ROUNDS = 20

Ints = npt.NDArray[np.int64]


@dataclass(frozen=True)
class Sides:
    """The parts of one label map, by its runs; those that cross the midline are cut there.

    Attributes:
        runs: of the label map.
        parts: (n,) uint8 the label of each run's part, as in ``labels.RIGHT_LEFT_LABELS``.
        middle: column of the midline.
    """

    runs: Runs
    parts: npt.NDArray[np.uint8]
    middle: float

    @cached_property
    def moments(self) -> Moments:
        """Areas, places and extents of the parts, by their labels."""
        from ..kernels import moments

        return moments(self.runs, self.parts)


def split_sides(labels: npt.NDArray[np.uint8], sides: Sides | None = None) -> npt.NDArray[np.uint8]:
    """Turn a label map of organs into one of parts, in which right and left differ.

    Args:
        labels: (H, W) uint8: 0 background, 1 clavicles, 2 heart, 3 lungs.
        sides: of it, where they are known already.

    Returns:
        (H, W) uint8 with RIGHT_LEFT_LABELS. A piece of lungs and clavicles belongs to the side
        where most of it lies. A piece that holds a lung on both sides of the midline is cut there.
    """
    from ..kernels import paint_runs

    sides = sides or find_sides(labels)
    out = labels.copy()
    paint_runs(out, sides.runs, sides.parts)
    return out


def find_sides(labels: npt.NDArray[np.uint8]) -> Sides:
    """Tell the side of each run of an (H, W) uint8 label map of organs."""
    from ..kernels import find_runs

    return sides_of(find_runs(labels))


def sides_of(runs: Runs) -> Sides:
    """The same, where the runs of the label map are known already."""
    middle = midline(runs)
    pieces = _chest_pieces(runs)
    right, left, joined = _shares(runs, pieces, middle)
    paired = (runs.labels == CLAVICLES.label) | (runs.labels == LUNGS.label)
    is_left = (left > right)[pieces]
    divided = paired & joined[pieces]
    if divided.any():
        runs, index = _cut(runs, divided, round(middle))
        is_left = np.where(divided[index], runs.starts + runs.stops > 2 * middle, is_left[index])
    return Sides(runs, _PART_LABELS[runs.labels, is_left.view(np.uint8)], middle)


def _part_labels() -> npt.NDArray[np.uint8]:
    """(256, 2) the label of the part that a label stands for on the right and on the left."""
    table = np.full((256, 2), BACKGROUND, np.uint8)
    for organ in ORGANS:
        table[organ.label] = [RIGHT_LEFT_LABELS.find(organ, side).label for side in organ.sides]
    return table


_PART_LABELS = _part_labels()


def midline(runs: Runs) -> float:
    """The column between the sides of the chest.

    Half-way between the mean columns of the lungs on either side; where there is lung on one side
    of the heart alone, the heart's mean column. Without a heart, where there is one piece of lung,
    it is the image's centre.
    """
    from ..kernels import split_at

    middle = _rough_middle(runs)
    if not has_both_sides(runs, middle):
        return middle
    for _ in range(_ROUNDS):
        left, left_sum, right, right_sum = split_at(runs, LUNGS.label, middle)
        if not (left and right):
            break
        between = (left_sum / left + right_sum / right) / 2
        if abs(between - middle) < 0.5:
            break
        middle = between
    return middle


def has_both_sides(runs: Runs, middle: float) -> bool:
    """Whether there is a lung on either side of a column."""
    from ..kernels import split_at

    left, _, right, _ = split_at(runs, LUNGS.label, middle)
    if not left + right:
        return False
    return SIDE_SHARE <= left / (left + right) <= 1 - SIDE_SHARE


def _rough_middle(runs: Runs) -> float:
    from ..kernels import split_at, split_pieces

    heart, heart_sum, _, _ = split_at(runs, HEART.label, runs.shape[1])
    if heart:
        return heart_sum / heart
    areas = split_pieces(runs, _chest_pieces(runs), LUNGS.label)[:, 0]
    if np.count_nonzero(areas >= max(1.0, SIDE_SHARE * areas.sum())) < 2:
        return runs.shape[1] / 2
    area, columns, _, _ = split_at(runs, LUNGS.label, runs.shape[1])
    return columns / area


def _chest_pieces(runs: Runs) -> Ints:
    """(n,) piece of each run, lungs and clavicles joined: a clavicle cuts off its lung's apex."""
    from ..kernels import connect

    group = np.zeros(256, np.int64)
    group[[CLAVICLES.label, LUNGS.label]] = 1
    return connect(runs, group)


def _shares(
    runs: Runs, pieces: Ints, middle: float
) -> tuple[npt.NDArray[np.float64], npt.NDArray[np.float64], npt.NDArray[np.bool_]]:
    """By piece: its pixels on the right and on the left, and whether it holds two lungs.

    The patient's right is the left of the image.
    """
    from ..kernels import split_pieces

    lungs = split_pieces(runs, pieces, LUNGS.label, middle)
    right, left = (lungs + split_pieces(runs, pieces, CLAVICLES.label, middle)).T
    least = max(1.0, SIDE_SHARE * lungs.sum())
    return right, left, (lungs >= least).all(axis=1)


def _cut(runs: Runs, chosen: npt.NDArray[np.bool_], column: int) -> tuple[Runs, Ints]:
    """Cut the chosen runs that cross a column there; also (n,) the run each one was part of."""
    crossing = chosen & (runs.starts < column) & (column < runs.stops)
    index = np.repeat(np.arange(len(crossing)), 1 + crossing)
    starts, stops = runs.starts[index], runs.stops[index]
    again = np.zeros(len(index), np.bool_)
    again[1:] = index[1:] == index[:-1]
    starts[again] = column
    stops[np.flatnonzero(again) - 1] = column
    cut = replace(
        runs, rows=runs.rows[index], starts=starts, stops=stops, labels=runs.labels[index]
    )
    return cut, index
