"""Outlines of an organ as polygons, holes included.

The polygons run along the sides of pixels: the pixel in row y and column x covers x to x + 1 and
y to y + 1. So their areas add up to the organ's pixels, and whoever fills them gets its mask back.
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

Ring = npt.NDArray[np.int64]


def polygons(labels: npt.NDArray[np.uint8], label: int) -> list[Ring]:
    """Outline each piece that has a label by one polygon.

    Args:
        labels: (H, W) uint8.
        label: which of them.

    Returns:
        (n, 2) int64 (x, y) pixel corners of each polygon, clockwise in the image, without
        repeating the first. The formats that take polygons know no holes, so a hole is joined to
        its outline by a cut of no width, there and back.
    """
    from ..kernels import trace

    outlines: dict[int, Ring] = {}
    holes: list[tuple[int, Ring]] = []
    rings = trace(labels, label)
    for piece, ring in zip(_pieces(labels, rings), rings, strict=True):
        if signed_area(ring) > 0:
            outlines[piece] = ring
        else:
            holes.append((piece, ring))
    for piece, hole in holes:
        outlines[piece] = _joined(outlines[piece], hole)
    return list(outlines.values())


def signed_area(ring: Ring) -> float:
    """The area within a ring of (x, y) points; negative where it runs counter-clockwise."""
    x, y = ring[:, 0], ring[:, 1]
    return float(np.sum(x * np.roll(y, -1) - y * np.roll(x, -1)) / 2)


def _pieces(labels: npt.NDArray[np.uint8], rings: list[Ring]) -> list[int]:
    """The piece that each ring bounds, by the pixel under its first side."""
    from ..kernels import connect, find_runs

    runs = find_runs(labels)
    pieces = connect(runs, np.arange(256))
    columns, rows = np.array([ring[0] for ring in rings]).reshape(-1, 2).T
    width = labels.shape[1]
    index = np.searchsorted(runs.rows * width + runs.starts, rows * width + columns, side="right")
    return [int(piece) for piece in pieces[index - 1]]


def _joined(outline: Ring, hole: Ring) -> Ring:
    """Cut from the hole's first corner to the outline's nearest, round the hole, and back."""
    near = int(np.abs(outline - hole[0]).sum(axis=1).argmin())
    return np.concatenate([outline[: near + 1], hole, hole[:1], outline[near:]])
