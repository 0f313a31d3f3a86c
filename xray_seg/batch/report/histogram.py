"""Histograms of measurements, for the review page."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

#: Columns of results.csv with a histogram, and their titles.
HISTOGRAM_COLUMNS = {
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
    """The distribution of one measurement.

    Attributes:
        name: title of the measurement.
        count: number of radiographs with a value.
        median: of the values, as text.
        low: lowest value, as text.
        high: highest value, as text.
        bars: (x, height) of each bar in percent of the drawing.
    """

    name: str
    count: int
    median: str
    low: str
    high: str
    bars: list[tuple[float, float]]


class Distributions:
    """Collects the values of HISTOGRAM_COLUMNS row by row."""

    def __init__(self) -> None:
        self._values: dict[str, list[float]] = {column: [] for column in HISTOGRAM_COLUMNS}

    def add(self, row: dict[str, Any]) -> None:
        """Add the values of a row; empty cells are ignored."""
        for column, values in self._values.items():
            if row.get(column) is not None:
                values.append(float(row[column]))

    def histograms(self) -> list[Histogram]:
        """Make a histogram for each column with at least two different values."""
        return [
            _histogram(HISTOGRAM_COLUMNS[column], np.array(values))
            for column, values in self._values.items()
            if values and min(values) < max(values)
        ]


def _histogram(name: str, values: Any) -> Histogram:
    counts, edges = np.histogram(values, _BINS)
    heights = 100 * counts / counts.max()
    bars = [(100 * index / _BINS, float(height)) for index, height in enumerate(heights)]
    low, median, high = (f"{value:.3g}" for value in (edges[0], np.median(values), edges[-1]))
    return Histogram(name, len(values), median, low, high, bars)
