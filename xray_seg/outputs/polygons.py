"""Outlines of an organ as polygons, holes included.

The polygons run along the sides of pixels: the pixel in row y and column x covers x to x + 1 and
y to y + 1. Their total area is the organ's number of pixels, and filling them gives its mask.
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

Ring = npt.NDArray[np.int64]


def polygons(labels: npt.NDArray[np.uint8], label: int) -> list[Ring]:
    """Outline each connected component of a label by one polygon.

    Args:
        labels: (H, W) uint8 label map.
        label: the label to outline.

    Returns:
        (n, 2) int64 (x, y) pixel corners of each polygon, clockwise in the image, the first not
        repeated. Polygon formats have no holes, so each hole is connected to its outline by a cut
        of zero width.
    """
    from ..kernels import trace

    outlines: dict[int, Ring] = {}
    holes: list[tuple[int, Ring]] = []
    rings = trace(labels, label)
    for component, ring in zip(_components(labels, rings), rings, strict=True):
        if signed_area(ring) > 0:
            outlines[component] = ring
        else:
            holes.append((component, ring))
    for component, hole in holes:
        outlines[component] = _connect_hole(outlines[component], hole)
    return list(outlines.values())


def signed_area(ring: Ring) -> float:
    """Area within a ring of (x, y) points; negative if counter-clockwise in the image."""
    x, y = ring[:, 0], ring[:, 1]
    return float(np.sum(x * np.roll(y, -1) - y * np.roll(x, -1)) / 2)


def _components(labels: npt.NDArray[np.uint8], rings: list[Ring]) -> list[int]:
    """Index of the connected component that each ring bounds."""
    from ..kernels import connect, find_runs

    runs = find_runs(labels)
    components = connect(runs, np.arange(256))
    columns, rows = np.array([ring[0] for ring in rings]).reshape(-1, 2).T
    width = labels.shape[1]
    index = np.searchsorted(runs.rows * width + runs.starts, rows * width + columns, side="right")
    return [int(component) for component in components[index - 1]]


def _connect_hole(outline: Ring, hole: Ring) -> Ring:
    """Insert a hole into an outline, by a cut to the outline's corner nearest its first corner."""
    nearest = int(np.abs(outline - hole[0]).sum(axis=1).argmin())
    return np.concatenate([outline[: nearest + 1], hole, hole[:1], outline[nearest:]])
