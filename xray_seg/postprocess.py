"""What anatomy allows: one heart, two lungs, two clavicles, no holes."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt

from .anatomy import BACKGROUND, CLAVICLES, HEART, LUNGS, Organ

if TYPE_CHECKING:
    from .kernels import Runs

#: A second lung or clavicle this much smaller than the first is a speck. In 222 SCR cases the
#: smaller clavicle has at least 0.67 of the larger's pixels, the smaller lung 0.54.
SPECK_SHARE = 0.05
#: Holes larger than this share of the radiograph stay, where more than one organ bounds them:
#: the mediastinum may be ringed by lungs, heart and clavicles.
HOLE_SHARE = 0.001

Values = npt.NDArray[np.uint8]
Ints = npt.NDArray[np.int64]


def clean(labels: Values) -> None:
    """Remove specks and fill holes of an (H, W) uint8 label map, in place.

    Kept are the largest heart, the two largest clavicles, and the lung pixels of the two pieces
    of lungs and clavicles together that hold most of them: a clavicle cuts the apex off its lung,
    which is still lung. What is removed becomes what surrounds it.
    """
    from .kernels import find_runs, paint_runs

    runs = find_runs(labels)
    values = runs.labels.copy()
    _drop_specks(runs, values, HEART, (HEART,))
    _drop_specks(runs, values, CLAVICLES, (CLAVICLES,))
    _drop_specks(runs, values, LUNGS, (LUNGS, CLAVICLES))
    _fill_holes(runs, values)
    paint_runs(labels, runs, values)


def _drop_specks(runs: Runs, values: Values, organ: Organ, joined: tuple[Organ, ...]) -> None:
    """Turn an organ's pixels outside its largest pieces into background.

    Pieces are those of the ``joined`` organs together, and rank by their pixels of ``organ``.
    """
    from .kernels import connect

    mine = values == organ.label
    if not mine.any():
        return
    group = np.zeros(256, np.int64)
    group[[each.label for each in joined]] = 1
    pieces = connect(replace(runs, labels=values), group)
    areas = np.bincount(pieces[mine], runs.lengths[mine], pieces.max() + 1)
    largest = np.argsort(-areas, kind="stable")[: organ.pieces]
    kept = largest[areas[largest] >= SPECK_SHARE * areas[largest[0]]]
    values[mine & ~np.isin(pieces, kept)] = BACKGROUND


def _fill_holes(runs: Runs, values: Values) -> None:
    """Give background that organs enclose the label that it shares most of its border with."""
    from .kernels import connect, neighbours

    group = np.ones(256, np.int64)
    group[BACKGROUND] = 0
    pieces = connect(replace(runs, labels=values), group)
    empty = values == BACKGROUND
    rows, columns = runs.shape
    at_border = (
        (runs.rows == 0) | (runs.rows == rows - 1) | (runs.starts == 0) | (runs.stops == columns)
    )
    holes = np.setdiff1d(pieces[empty], pieces[empty & at_border])
    if not len(holes):
        return
    borders = np.zeros((pieces.max() + 1, 256), np.int64)
    one, other, sides = neighbours(runs)
    for inside, outside in ((one, other), (other, one)):
        edge = empty[inside] & ~empty[outside]
        np.add.at(borders, (pieces[inside[edge]], values[outside[edge]]), sides[edge])
    areas = np.bincount(pieces, runs.lengths)
    for hole in holes:
        alone = np.count_nonzero(borders[hole]) == 1
        if alone or areas[hole] <= HOLE_SHARE * rows * columns:
            values[pieces == hole] = borders[hole].argmax()
