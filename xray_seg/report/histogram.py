"""Small distributions of what was measured, drawn as SVG."""

from __future__ import annotations

from collections.abc import Iterable
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


def histograms(rows: Iterable[dict[str, Any]]) -> list[Histogram]:
    """One for each of SHOWN that some row has."""
    values: dict[str, list[float]] = {column: [] for column in SHOWN}
    for row in rows:
        for column, found in values.items():
            if row.get(column) is not None:
                found.append(float(row[column]))
    return [
        _histogram(SHOWN[column], np.array(found))
        for column, found in values.items()
        if found and min(found) < max(found)  # one value for all films is no distribution
    ]


def _histogram(name: str, values: Any) -> Histogram:
    counts, edges = np.histogram(values, _BINS)
    heights = 100 * counts / counts.max()
    bars = [(100 * place / _BINS, float(height)) for place, height in enumerate(heights)]
    low, median, high = (f"{value:.3g}" for value in (edges[0], np.median(values), edges[-1]))
    return Histogram(name, len(values), median, low, high, bars)
