"""Markers, text, devices, borders and collimators drawn into radiographs, for augmentation."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

if TYPE_CHECKING:
    from numpy.random import Generator

Plane = npt.NDArray[np.float32]

#: Share of the samples that get collimator edges.
_COLLIMATORS = 0.15


def add_artefacts(image: Plane, random: Generator) -> None:
    """Draw labels, text, wires, a pacemaker, borders and letterbox bars, at random, in place.

    Args:
        image: (S, S) float32 in [0, 1].
        random: source of all random numbers.
    """
    size = len(image)
    if random.random() < 0.4:
        for _ in range(random.integers(1, 4)):
            height, width = (random.uniform(0.03, 0.16, 2) * size).astype(int) + 1
            _paste(image, np.full((height, width), random.choice([0, 1, random.random()])), random)
    if random.random() < 0.25:
        for _ in range(random.integers(1, 4)):
            _paste(image, _text(size, random), random)
    if random.random() < 0.2:
        for _ in range(random.integers(1, 4)):
            _draw_wire(image, random)
    if random.random() < 0.06:
        _draw_pacemaker(image, random)
    if random.random() < 0.15:
        edge = int(random.uniform(0.01, 0.08) * size) + 1
        np.rot90(image, int(random.integers(0, 4)))[:edge] = random.choice([0, 1])
    if random.random() < 0.1:
        edge = int(random.uniform(0.02, 0.2) * size) + 1
        rotated = np.rot90(image, int(random.integers(0, 2)))
        rotated[:edge] = rotated[-edge:] = 0


def _paste(image: Plane, patch: npt.NDArray[Any], random: Generator) -> None:
    """Copy a patch to a random position, in place; pixels that are NaN are transparent."""
    height, width = patch.shape
    top, left = (random.integers(0, max(1, len(image) - side)) for side in (height, width))
    region = image[top : top + height, left : left + width]
    patch = patch[: region.shape[0], : region.shape[1]]
    np.copyto(region, patch, where=~np.isnan(patch), casting="same_kind")


def _text(size: int, random: Generator) -> npt.NDArray[Any]:
    """Return a line of random letters of 5 x 4 dots, black or white, with or without background."""
    letters = random.integers(2, 16)
    dots = random.random((5, 5 * letters)) < 0.55
    dots[:, 4::5] = False  # between letters
    ink = float(random.integers(0, 2))
    background = 1 - ink if random.random() < 0.3 else np.nan
    scale = max(1, round(random.uniform(0.003, 0.012) * size))
    return np.kron(np.where(dots, ink, background), np.ones((scale, scale)))


def _draw_wire(image: Plane, random: Generator) -> None:
    """Draw a bright curve in place, like a tube or an electrode's lead."""
    size = len(image)
    length = random.integers(size // 12, size)
    heading = random.uniform(0, 2 * np.pi) + np.cumsum(random.normal(0, 0.25 / size**0.5, length))
    # A constant drift bends the curve one way.
    heading += np.linspace(0, random.normal(0, 1.2), length)
    steps = np.stack([np.sin(heading), np.cos(heading)], axis=-1)
    line = random.uniform(0, size, 2) + np.cumsum(steps, axis=0)
    value = random.uniform(0.5, 1)
    width = max(1, round(random.uniform(0.5, 1.5) * size / 128))
    for row in range(width):
        for column in range(width):
            rows, columns = (line + np.array([row, column])).astype(int).T
            inside = (rows >= 0) & (rows < size) & (columns >= 0) & (columns < size)
            image[rows[inside], columns[inside]] = value


def _draw_pacemaker(image: Plane, random: Generator) -> None:
    """Draw a bright rounded box in the upper half, in place, with a lead."""
    size = len(image)
    radius = random.uniform(0.03, 0.06) * size
    centre = random.uniform([0.1, 0.1], [0.45, 0.9]) * size
    axis = np.arange(size, dtype=np.float32)
    box = ((axis[:, None] - centre[0]) / radius) ** 4 + ((axis - centre[1]) / radius / 1.2) ** 4
    np.copyto(image, np.float32(random.uniform(0.85, 1)), where=box < 1)
    _draw_wire(image, random)


def add_collimator(image: Plane, random: Generator) -> None:
    """Cover the image outside one to four straight edges, often slightly tilted, in place.

    Args:
        image: (S, S) float32 in [0, 1].
        random: source of all random numbers.
    """
    if random.random() > _COLLIMATORS:
        return
    size = len(image)
    axis = (np.arange(size, dtype=np.float32) + 0.5) / size - 0.5
    tilt = np.deg2rad(random.normal(0, 3))
    value = np.float32(random.choice([0.0, 1.0, random.random()], p=[0.75, 0.1, 0.15]))
    for quarter in random.permutation(4)[: random.integers(1, 5)]:
        angle = quarter * np.pi / 2 + tilt
        reach = axis[:, None] * np.sin(angle) + axis * np.cos(angle)
        np.copyto(image, value, where=reach > 0.5 - random.uniform(0.01, 0.18))
