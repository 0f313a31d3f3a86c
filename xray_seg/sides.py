"""Right and left, told apart in a label map.

Right and left are the patient's. By radiological convention the patient faces the viewer, so the
right lung lies on the left of the image.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from .anatomy import BACKGROUND, CLAVICLES, HEART, LUNGS, ORGANS, part_of

if TYPE_CHECKING:
    from .kernels import Runs

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
        parts: (n,) uint8 the label of each run's part, as in ``anatomy.PARTS``.
        middle: column of the midline.
    """

    runs: Runs
    parts: npt.NDArray[np.uint8]
    middle: float


def split_sides(labels: npt.NDArray[np.uint8], sides: Sides | None = None) -> npt.NDArray[np.uint8]:
    """Turn a label map of organs into one of parts, in which right and left differ.

    Args:
        labels: (H, W) uint8: 0 background, 1 clavicles, 2 heart, 3 lungs.
        sides: of it, where they are known already.

    Returns:
        (H, W) uint8: 0 background, then the labels of ``anatomy.PARTS``. A piece of lungs and
        clavicles belongs to the side where most of it lies, and is cut at the midline where it
        holds a lung on either side of it.
    """
    from .kernels import paint_runs

    sides = sides or find_sides(labels)
    out = labels.copy()
    paint_runs(out, sides.runs, sides.parts)
    return out


def find_sides(labels: npt.NDArray[np.uint8]) -> Sides:
    """Tell the side of each run of an (H, W) uint8 label map of organs."""
    from .kernels import find_runs

    runs = find_runs(labels)
    middle = midline(runs)
    pieces = _chest_pieces(runs)
    paired = (runs.labels == CLAVICLES.label) | (runs.labels == LUNGS.label)
    on_right = np.clip(middle - runs.starts, 0, runs.lengths)  # of the patient: left in the image
    right, whole, joined = _shares(runs, pieces, paired, on_right)
    runs, index = _cut(runs, paired & joined[pieces], round(middle))
    pieces, paired = pieces[index], paired[index]
    is_left = np.where(
        joined[pieces], runs.starts + runs.stops > 2 * middle, 2 * right[pieces] < whole[pieces]
    )
    parts = np.full(len(runs.labels), BACKGROUND, np.uint8)
    for organ in ORGANS:
        mine = runs.labels == organ.label
        if organ.pieces == 1:
            parts[mine] = part_of(organ).label
        else:
            parts[mine & ~is_left] = part_of(organ, "right").label
            parts[mine & is_left] = part_of(organ, "left").label
    return Sides(runs, parts, middle)


def midline(runs: Runs) -> float:
    """The column between the sides of the chest.

    Half-way between the mean columns of the lungs on either side; where there is lung on one side
    of the heart alone, the heart's mean column. Without a heart, where there is one piece of lung,
    it is the image's centre.
    """
    from .kernels import split_at

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
    from .kernels import split_at

    left, _, right, _ = split_at(runs, LUNGS.label, middle)
    if not left + right:
        return False
    return SIDE_SHARE <= left / (left + right) <= 1 - SIDE_SHARE


def _rough_middle(runs: Runs) -> float:
    from .kernels import split_at

    heart, heart_sum, _, _ = split_at(runs, HEART.label, runs.shape[1])
    if heart:
        return heart_sum / heart
    lungs = runs.labels == LUNGS.label
    areas = np.bincount(_chest_pieces(runs)[lungs], runs.lengths[lungs])
    if np.count_nonzero(areas >= max(1.0, SIDE_SHARE * areas.sum())) < 2:
        return runs.shape[1] / 2
    area, columns, _, _ = split_at(runs, LUNGS.label, runs.shape[1])
    return columns / area


def _chest_pieces(runs: Runs) -> Ints:
    """(n,) piece of each run, lungs and clavicles joined: a clavicle cuts off its lung's apex."""
    from .kernels import connect

    group = np.zeros(256, np.int64)
    group[[CLAVICLES.label, LUNGS.label]] = 1
    return connect(runs, group)


def _shares(
    runs: Runs, pieces: Ints, paired: npt.NDArray[np.bool_], on_right: npt.NDArray[Any]
) -> tuple[npt.NDArray[Any], npt.NDArray[Any], npt.NDArray[np.bool_]]:
    """By piece: its pixels on the right, all of them, and whether it holds two lungs."""
    count = int(pieces.max()) + 1
    right = np.bincount(pieces[paired], on_right[paired], count)
    whole = np.bincount(pieces[paired], runs.lengths[paired], count)
    lungs = runs.labels == LUNGS.label
    lung_right = np.bincount(pieces[lungs], on_right[lungs], count)
    lung_left = np.bincount(pieces[lungs], runs.lengths[lungs], count) - lung_right
    least = max(1.0, SIDE_SHARE * runs.lengths[lungs].sum())
    return right, whole, (lung_right >= least) & (lung_left >= least)


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
