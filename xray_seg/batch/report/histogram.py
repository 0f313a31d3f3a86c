"""Small distributions of what was measured, drawn as SVG."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

#: Columns, and what they are called; those that no film has, or all alike, are not shown.
SHOWN = {
    "quality": "predicted Dice",
    "cardiothoracic_ratio": "cardiothoracic ratio",
    "right_lung_area_cm2": "right lung, cm²",
    "left_lung_area_cm2": "left lung, cm²",
    "heart_area_cm2": "heart, cm²",
    "row_spacing_mm": "spacing, mm",
}
_BINS = 24


@dataclass(frozen=True)
class Histogram:
    """A distribution.

    Attributes:
        name: of the measure.
        count: films that have it.
        median: of them.
        low: left end of the first bar.
        high: right end of the last.
        bars: (x, height) of each in percent of the drawing.
    """

    name: str
    count: int
    median: str
    low: str
    high: str
    bars: list[tuple[float, float]]


class Distributions:
    """Values of SHOWN, gathered row by row."""

    def __init__(self) -> None:
        self._values: dict[str, list[float]] = {column: [] for column in SHOWN}

    def add(self, row: dict[str, Any]) -> None:
        """Take what a row has of them."""
        for column, found in self._values.items():
            if row.get(column) is not None:
                found.append(float(row[column]))

    def histograms(self) -> list[Histogram]:
        """One for each of SHOWN that differs between rows."""
        return [
            _histogram(SHOWN[column], np.array(found))
            for column, found in self._values.items()
            if found and min(found) < max(found)  # one value for all films is no distribution
        ]


def _histogram(name: str, values: Any) -> Histogram:
    counts, edges = np.histogram(values, _BINS)
    heights = 100 * counts / counts.max()
    bars = [(100 * place / _BINS, float(height)) for place, height in enumerate(heights)]
    low, median, high = (f"{value:.3g}" for value in (edges[0], np.median(values), edges[-1]))
    return Histogram(name, len(values), median, low, high, bars)
