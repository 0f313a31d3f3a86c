"""What a label map measures: areas and the cardiothoracic ratio."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt

from .anatomy import CLASSES, HEART, LUNGS, ORGANS, Organ
from .sides import has_both_sides, midline

if TYPE_CHECKING:
    from .kernels import Runs


@dataclass(frozen=True)
class Measurements:
    """Sizes taken from a label map; None where something cannot be measured.

    Attributes:
        area_px: pixels of each organ by name.
        area_cm2: the same in cm2 at the spacing of the film (in its plane: organs nearer to the
            tube are enlarged on it); None where the spacing is not known.
        heart_width_px: columns from the heart's leftmost to its rightmost pixel, inclusive.
        thorax_width_px: the same of both lungs together.
        cardiothoracic_ratio: heart width by thorax width (Danzer, American Journal of the
            Medical Sciences 157:513-521, 1919).
        notes: what is missing of the anatomy, in words.
    """

    area_px: dict[str, int]
    area_cm2: dict[str, float] | None
    heart_width_px: int | None
    thorax_width_px: int | None
    cardiothoracic_ratio: float | None
    notes: tuple[str, ...] = ()


def measure(
    labels: npt.NDArray[np.uint8], spacing: tuple[float, float] | None = None
) -> Measurements:
    """Measure an (H, W) uint8 label map; ``spacing`` is (row, column) in mm."""
    from .kernels import find_runs

    runs = find_runs(labels)
    counts = np.bincount(runs.labels, runs.lengths, CLASSES)
    areas = {organ.name: int(counts[organ.label]) for organ in ORGANS}
    cm2 = None
    if spacing is not None:
        cm2 = {name: area * spacing[0] * spacing[1] / 100 for name, area in areas.items()}
    notes = [f"no {organ.name} found" for organ in ORGANS if not areas[organ.name]]
    heart = _width(runs, HEART)
    thorax = _width(runs, LUNGS)
    if thorax and not has_both_sides(runs, midline(runs)):
        thorax = None  # one lung's width is not the thorax's
        notes.append("a lung on one side only")
    ratio = heart / thorax if heart and thorax else None
    return Measurements(areas, cm2, heart, thorax, ratio, tuple(notes))


def _width(runs: Runs, organ: Organ) -> int | None:
    mine = runs.labels == organ.label
    return int(runs.stops[mine].max() - runs.starts[mine].min()) if mine.any() else None
