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


def split_sides(labels: npt.NDArray[np.uint8]) -> npt.NDArray[np.uint8]:
    """Turn a label map of organs into one of parts, in which right and left differ.

    Args:
        labels: (H, W) uint8: 0 background, 1 clavicles, 2 heart, 3 lungs.

    Returns:
        (H, W) uint8: 0 background, then the labels of ``anatomy.PARTS``. A piece of lungs and
        clavicles belongs to the side where most of it lies, and is cut at the midline where it
        holds a lung on either side of it.
    """
    from .kernels import paint_runs

    sides = find_sides(labels)
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
    lungs = runs.labels == LUNGS.label
    middle = _rough_middle(runs, lungs)
    if not has_both_sides(runs, middle):
        return middle
    for _ in range(_ROUNDS):
        left = np.clip(middle - runs.starts, 0, runs.lengths)
        right = runs.lengths - left
        if not (left[lungs].sum() and right[lungs].sum()):
            break
        one = np.average(runs.starts[lungs] + left[lungs] / 2, weights=left[lungs])
        two = np.average(runs.stops[lungs] - right[lungs] / 2, weights=right[lungs])
        if abs((one + two) / 2 - middle) < 0.5:
            break
        middle = float((one + two) / 2)
    return middle


def has_both_sides(runs: Runs, middle: float) -> bool:
    """Whether there is a lung on either side of a column."""
    lungs = runs.labels == LUNGS.label
    whole = runs.lengths[lungs].sum()
    if not whole:
        return False
    share = np.clip(middle - runs.starts[lungs], 0, runs.lengths[lungs]).sum() / whole
    return bool(SIDE_SHARE <= share <= 1 - SIDE_SHARE)


def _rough_middle(runs: Runs, lungs: npt.NDArray[np.bool_]) -> float:
    heart = runs.labels == HEART.label
    if heart.any():
        return _mean_column(runs, heart)
    areas = np.bincount(_chest_pieces(runs)[lungs], runs.lengths[lungs])
    two = np.count_nonzero(areas >= max(1.0, SIDE_SHARE * areas.sum())) > 1
    return _mean_column(runs, lungs) if two else runs.shape[1] / 2


def _chest_pieces(runs: Runs) -> Ints:
    """(n,) piece of each run, lungs and clavicles joined: a clavicle cuts off its lung's apex."""
    from .kernels import connect

    group = np.zeros(256, np.int64)
    group[[CLAVICLES.label, LUNGS.label]] = 1
    return connect(runs, group)


def _mean_column(runs: Runs, mine: npt.NDArray[np.bool_]) -> float:
    return float(np.average((runs.starts + runs.stops)[mine] / 2, weights=runs.lengths[mine]))


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
