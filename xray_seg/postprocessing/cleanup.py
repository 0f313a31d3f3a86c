"""What anatomy allows: one heart, two lungs, two clavicles, no holes."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt

from ..labels import BACKGROUND, CLAVICLES, HEART, LUNGS, Organ

if TYPE_CHECKING:
    from ..kernels import Runs

#: A second lung or clavicle this much smaller than the first is a speck. In 222 SCR cases the
#: smaller clavicle has at least 0.67 of the larger's pixels, the smaller lung 0.54.
SPECK_SHARE = 0.05
#: Holes larger than this share of the radiograph stay, where more than one organ bounds them:
#: the mediastinum may be ringed by lungs, heart and clavicles.
HOLE_SHARE = 0.001

Values = npt.NDArray[np.uint8]
Ints = npt.NDArray[np.int64]


def clean(labels: Values) -> Runs:
    """Remove specks and fill holes of an (H, W) uint8 label map, in place.

    Kept are the largest heart, the two largest clavicles, and the lung pixels of the two pieces
    of lungs and clavicles together that hold most of them: a clavicle cuts the apex off its lung,
    which is still lung. What is removed becomes what surrounds it.

    Returns:
        The runs of the cleaned map.
    """
    from ..kernels import connect, find_runs, paint_runs, relabelled

    found = find_runs(labels)
    runs = replace(found, labels=found.labels.copy())  # labels are changed, places are not
    alike = connect(runs, _EACH)
    _drop_specks(runs, alike, HEART)
    _drop_specks(runs, alike, CLAVICLES)
    _drop_specks(runs, connect(runs, _CHEST), LUNGS)
    _fill_holes(runs)
    paint_runs(labels, found, runs.labels)
    return relabelled(found, runs.labels)


def _groups(*organs: Organ) -> Ints:
    """Groups of labels, as ``connect`` takes them: some organs, and all else."""
    group = np.zeros(256, np.int64)
    group[[organ.label for organ in organs]] = 1
    return group


#: Each label for itself; lungs and clavicles together.
_EACH, _CHEST = np.arange(256), _groups(LUNGS, CLAVICLES)


def _drop_specks(runs: Runs, pieces: Ints, organ: Organ) -> None:
    """Turn an organ's runs outside its largest pieces into background.

    Pieces may be those of more organs together; they rank by their pixels of ``organ``.
    """
    from ..kernels import split_pieces

    areas = split_pieces(runs, pieces, organ.label)[:, 0]
    some = np.flatnonzero(areas)
    largest = some[np.argsort(-areas[some], kind="stable")][: organ.pieces]
    kept = largest[areas[largest] >= SPECK_SHARE * areas[largest[:1]]]
    if len(kept) < len(some):
        speck = np.ones(len(areas), np.bool_)
        speck[kept] = False
        runs.labels[speck[pieces] & (runs.labels == organ.label)] = BACKGROUND


def _fill_holes(runs: Runs) -> None:
    """Give background that organs enclose the label that it shares most of its border with."""
    from ..kernels import connect, neighbours

    values = runs.labels
    empty = values == BACKGROUND
    pieces = connect(runs, (_EACH != BACKGROUND).astype(np.int64))
    rows, columns = runs.shape
    at_border = (
        (runs.rows == 0) | (runs.rows == rows - 1) | (runs.starts == 0) | (runs.stops == columns)
    )
    enclosed = np.ones(int(pieces.max()) + 1, np.bool_)
    enclosed[pieces[at_border | ~empty]] = False
    holes = np.flatnonzero(enclosed)
    if not len(holes):
        return
    borders = np.zeros((len(enclosed), 256), np.int64)
    one, other, sides = neighbours(runs)
    for inside, outside in ((one, other), (other, one)):
        edge = empty[inside] & ~empty[outside]
        np.add.at(borders, (pieces[inside[edge]], values[outside[edge]]), sides[edge])
    areas = np.bincount(pieces, runs.lengths)
    for hole in holes:
        alone = np.count_nonzero(borders[hole]) == 1
        if alone or areas[hole] <= HOLE_SHARE * rows * columns:
            values[pieces == hole] = borders[hole].argmax()
