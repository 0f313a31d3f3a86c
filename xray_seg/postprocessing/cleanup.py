"""Clean a label map anatomically: one heart, two lungs, two clavicles, no holes."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt

from ..labels import BACKGROUND, CLAVICLES, HEART, LUNGS, Organ

if TYPE_CHECKING:
    from ..kernels import Ints, Runs

#: A second lung or clavicle with less than this share of the first one's area is a speck. In the
#: 222 SCR cases the smaller clavicle has at least 0.67 of the larger one's area, the smaller lung
#: 0.54.
SPECK_SHARE = 0.05
#: A hole between several organs is filled up to this share of the image's area. Larger ones stay:
#: lungs, heart and clavicles may enclose the mediastinum.
HOLE_SHARE = 0.001


def clean(labels: npt.NDArray[np.uint8]) -> Runs:
    """Remove specks and fill holes of a label map, in place.

    1. Keep the largest heart and the two largest clavicles.
    2. Keep lung pixels in the two connected components of lungs and clavicles that hold the most
       lung. Both organs are joined because a clavicle separates the apex from the rest of a lung.
    3. Fill background that organs enclose, if one organ alone encloses it or if it is small. A
       hole gets the label with which it shares the longest border.

    Components are 4-connected. Removed pixels become background before holes are filled.

    Args:
        labels: (H, W) uint8: 0 background, 1 clavicles, 2 heart, 3 lungs.

    Returns:
        The runs of the cleaned map.
    """
    from ..kernels import connect, find_runs, paint_runs, relabelled

    found = find_runs(labels)
    runs = replace(found, labels=found.labels.copy())  # positions are shared, labels are edited
    components = connect(runs, _EACH_LABEL)
    _drop_specks(runs, components, HEART)
    _drop_specks(runs, components, CLAVICLES)
    _drop_specks(runs, connect(runs, _LUNGS_AND_CLAVICLES), LUNGS)
    _fill_holes(runs)
    paint_runs(labels, found, runs.labels)
    return relabelled(found, runs.labels)


def components_by_organ(runs: Runs) -> dict[str, Ints]:
    """(n,) component of each run, by name of the organ whose pieces they tell apart.

    Lungs are joined with clavicles, as in ``clean``.
    """
    from ..kernels import connect

    by_label = connect(runs, _EACH_LABEL)
    joined = connect(runs, _LUNGS_AND_CLAVICLES)
    return {CLAVICLES.name: by_label, HEART.name: by_label, LUNGS.name: joined}


def group_of(*organs: Organ) -> Ints:
    """(256,) groups for ``connect``: 1 for the labels of some organs, 0 for all others."""
    groups = np.zeros(256, np.int64)
    groups[[organ.label for organ in organs]] = 1
    return groups


#: Groups for ``connect``: every label on its own; lungs and clavicles together.
_EACH_LABEL, _LUNGS_AND_CLAVICLES = np.arange(256), group_of(LUNGS, CLAVICLES)


def _drop_specks(runs: Runs, components: Ints, organ: Organ) -> None:
    """Set an organ's runs outside its largest components to background.

    Components may join several organs; they are ranked by their area of ``organ``.
    """
    from ..kernels import split_pieces

    areas = split_pieces(runs, components, organ.label)[:, 0]
    present = np.flatnonzero(areas)
    largest = present[np.argsort(-areas[present], kind="stable")][: organ.pieces]
    kept = largest[areas[largest] >= SPECK_SHARE * areas[largest[:1]]]
    if len(kept) < len(present):
        is_speck = np.ones(len(areas), np.bool_)
        is_speck[kept] = False
        runs.labels[is_speck[components] & (runs.labels == organ.label)] = BACKGROUND


def _fill_holes(runs: Runs) -> None:
    """Give enclosed background the label with which it shares the longest border."""
    from ..kernels import connect, neighbours

    values = runs.labels
    empty = values == BACKGROUND
    components = connect(runs, (_EACH_LABEL != BACKGROUND).astype(np.int64))
    rows, columns = runs.shape
    at_border = (
        (runs.rows == 0) | (runs.rows == rows - 1) | (runs.starts == 0) | (runs.stops == columns)
    )
    enclosed = np.ones(int(components.max()) + 1, np.bool_)
    enclosed[components[at_border | ~empty]] = False
    holes = np.flatnonzero(enclosed)
    if not len(holes):
        return
    borders = np.zeros((len(enclosed), 256), np.int64)  # pixel sides, by component and label
    one, other, sides = neighbours(runs)
    for inside, outside in ((one, other), (other, one)):
        edge = empty[inside] & ~empty[outside]
        np.add.at(borders, (components[inside[edge]], values[outside[edge]]), sides[edge])
    areas = np.bincount(components, runs.lengths)
    for hole in holes:
        one_organ = np.count_nonzero(borders[hole]) == 1
        if one_organ or areas[hole] <= HOLE_SHARE * rows * columns:
            values[components == hole] = borders[hole].argmax()
