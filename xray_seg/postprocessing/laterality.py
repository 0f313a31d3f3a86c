"""Tell right from left in a label map.

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
from .cleanup import group_of

if TYPE_CHECKING:
    from ..kernels import Ints, Moments, Runs

#: Lung on one side of the midline counts as a lung from this share of all lung area on. In the 222
#: SCR cases the smaller lung has 0.35.
SIDE_SHARE = 0.1
#: Limit of iterations in the search for the midline.
_MAX_ITERATIONS = 20


@dataclass(frozen=True)
class Sides:
    """Laterality of a label map, by its runs.

    Attributes:
        runs: runs of the label map, with organ labels. Runs of a component that joins both lungs
            are cut at the midline.
        labels: (n,) uint8 label of each run in RIGHT_LEFT_LABELS.
        midline: column of the midline.
    """

    runs: Runs
    labels: npt.NDArray[np.uint8]
    midline: float

    @cached_property
    def moments(self) -> Moments:
        """Areas, centroids and boxes by label of RIGHT_LEFT_LABELS."""
        from ..kernels import moments

        return moments(self.runs, self.labels)

    @cached_property
    def covered(self) -> dict[str, Runs]:
        """By side, the parts of the clavicle that cover the lung of that side.

        These are the clavicle pixels within the convex hull of the lung pixels that touch the
        clavicle: what lies between the apex and the rest of the lung, and neither the clavicle's
        medial end, over the mediastinum, nor its lateral end, over the shoulder. Where a label map
        has no lung above the clavicle, they reach up to the straight line between the ends of the
        lung's edge along the clavicle. There are none where lung and clavicle do not touch.
        """
        from ..kernels import covered_runs, neighbours, relabelled

        runs = relabelled(self.runs, self.labels)
        adjacent = neighbours(runs)
        return {
            side: covered_runs(
                runs,
                adjacent,
                cover=RIGHT_LEFT_LABELS.find(CLAVICLES, side).label,
                covered=RIGHT_LEFT_LABELS.find(LUNGS, side).label,
            )
            for side in LUNGS.sides
        }


def split_sides(labels: npt.NDArray[np.uint8], sides: Sides | None = None) -> npt.NDArray[np.uint8]:
    """Relabel a label map from ORGAN_LABELS to RIGHT_LEFT_LABELS.

    Args:
        labels: (H, W) uint8: 0 background, 1 clavicles, 2 heart, 3 lungs.
        sides: its laterality, if known already.

    Returns:
        (H, W) uint8 with RIGHT_LEFT_LABELS. A component of lungs and clavicles belongs to the side
        on which most of it lies. A component with a lung on each side is cut at the midline.
    """
    from ..kernels import paint_runs

    sides = sides or find_sides(labels)
    out = labels.copy()
    paint_runs(out, sides.runs, sides.labels)
    return out


def find_sides(labels: npt.NDArray[np.uint8]) -> Sides:
    """Find the laterality of an (H, W) uint8 label map with ORGAN_LABELS."""
    from ..kernels import find_runs

    return sides_from_runs(find_runs(labels))


def sides_from_runs(runs: Runs) -> Sides:
    """Find the laterality of a label map with ORGAN_LABELS, given its runs."""
    midline = find_midline(runs)
    components = _chest_components(runs)
    right, left, has_both = _areas_by_side(runs, components, midline)
    is_paired = (runs.labels == CLAVICLES.label) | (runs.labels == LUNGS.label)
    is_left = (left > right)[components]
    joined = is_paired & has_both[components]
    if joined.any():
        runs, index = _cut(runs, joined, round(midline))
        is_left = np.where(joined[index], runs.starts + runs.stops > 2 * midline, is_left[index])
    return Sides(runs, _SIDE_LABELS[runs.labels, is_left.view(np.uint8)], midline)


def with_stated_side(sides: Sides, side: str) -> Sides:
    """Assign a lung that is seen alone, and all clavicles, to the side that the file states.

    Args:
        sides: of the label map.
        side: ``right`` or ``left``. It is ignored where both lungs are seen.
    """
    if has_both_sides(sides.runs, sides.midline):
        return sides
    column = ORGANS[0].sides.index(side)
    return replace(sides, labels=_SIDE_LABELS[sides.runs.labels, column])


def _side_labels() -> npt.NDArray[np.uint8]:
    """(256, 2) label in RIGHT_LEFT_LABELS of each organ label, on the right and on the left."""
    table = np.full((256, 2), BACKGROUND, np.uint8)
    for organ in ORGANS:
        table[organ.label] = [RIGHT_LEFT_LABELS.find(organ, side).label for side in organ.sides]
    return table


_SIDE_LABELS = _side_labels()


def find_midline(runs: Runs) -> float:
    """Find the column that separates the sides of the chest.

    It starts from an estimate: the heart's mean column; without a heart, the lungs' mean column,
    or the centre of the image if only one component holds lung. With lung on both sides, it then
    moves half-way between the mean columns of the lung on either side, until it moves by less than
    half a pixel.
    """
    from ..kernels import split_at

    midline = _estimate_midline(runs)
    if not has_both_sides(runs, midline):
        return midline
    for _ in range(_MAX_ITERATIONS):
        left, left_sum, right, right_sum = split_at(runs, LUNGS.label, midline)
        if not (left and right):
            break
        between = (left_sum / left + right_sum / right) / 2
        if abs(between - midline) < 0.5:
            break
        midline = between
    return midline


def has_both_sides(runs: Runs, column: float) -> bool:
    """Whether there is a lung on either side of a column."""
    from ..kernels import split_at

    left, _, right, _ = split_at(runs, LUNGS.label, column)
    if not left + right:
        return False
    return SIDE_SHARE <= left / (left + right) <= 1 - SIDE_SHARE


def _estimate_midline(runs: Runs) -> float:
    from ..kernels import split_at, split_pieces

    heart, heart_sum, _, _ = split_at(runs, HEART.label, runs.shape[1])
    if heart:
        return heart_sum / heart
    areas = split_pieces(runs, _chest_components(runs), LUNGS.label)[:, 0]
    if np.count_nonzero(areas >= max(1.0, SIDE_SHARE * areas.sum())) < 2:
        return runs.shape[1] / 2
    area, columns, _, _ = split_at(runs, LUNGS.label, runs.shape[1])
    return columns / area


def _chest_components(runs: Runs) -> Ints:
    """(n,) component of each run, with lungs and clavicles joined.

    A clavicle separates the apex from the rest of its lung.
    """
    from ..kernels import connect

    return connect(runs, group_of(CLAVICLES, LUNGS))


def _areas_by_side(
    runs: Runs, components: Ints, midline: float
) -> tuple[npt.NDArray[np.float64], npt.NDArray[np.float64], npt.NDArray[np.bool_]]:
    """Area of each component on the right and on the left, and whether it has a lung on both.

    The patient's right is the left of the image.
    """
    from ..kernels import split_pieces

    lungs = split_pieces(runs, components, LUNGS.label, column=midline)
    clavicles = split_pieces(runs, components, CLAVICLES.label, column=midline)
    right, left = (lungs + clavicles).T
    smallest = max(1.0, SIDE_SHARE * lungs.sum())
    return right, left, (lungs >= smallest).all(axis=1)


def _cut(runs: Runs, chosen: npt.NDArray[np.bool_], column: int) -> tuple[Runs, Ints]:
    """Cut the chosen runs that cross a column there; also (m,) the original index of each run."""
    crossing = chosen & (runs.starts < column) & (column < runs.stops)
    index = np.repeat(np.arange(len(crossing)), 1 + crossing)
    starts, stops = runs.starts[index], runs.stops[index]
    is_second_half = np.zeros(len(index), np.bool_)
    is_second_half[1:] = index[1:] == index[:-1]
    starts[is_second_half] = column
    stops[np.flatnonzero(is_second_half) - 1] = column
    cut = replace(
        runs, rows=runs.rows[index], starts=starts, stops=stops, labels=runs.labels[index]
    )
    return cut, index
