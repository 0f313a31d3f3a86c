"""Opacities, pleural effusions and stomach bubbles drawn into radiographs, for augmentation.

The masks stay as they are: they outline anatomy, which disease hides but does not move.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt

from ..labels import LUNGS

if TYPE_CHECKING:
    from numpy.random import Generator

Plane = npt.NDArray[np.float32]

#: Shares of the samples that get opacities, effusions and a stomach bubble.
_OPACITIES, _EFFUSIONS, _BUBBLES = 0.12, 0.1, 0.1
#: Fewest rows and columns of a lung field, as shares of the side, to draw in.
_SMALLEST = 0.1


def add_pathology(image: Plane, target: Plane, random: Generator) -> Plane:
    """Add opacities, effusions and a stomach bubble, each at random.

    Args:
        image: (S, S) float32 in [0, 1], bones bright.
        target: (S, S, 4) label shares. Nothing is drawn where it shows no lungs.
        random: source of all random numbers.

    Returns:
        The (S, S) float32 image, changed or as it was.
    """
    chances = random.random(3)
    lungs = target[..., LUNGS.label] > 0.5
    if chances[0] < _OPACITIES:
        image = _add_opacities(image, lungs, random)
    if chances[1] < _EFFUSIONS:
        image = _add_effusion(image, lungs, random)
    if chances[2] < _BUBBLES:
        image = _add_stomach_bubble(image, lungs, random)
    return image


def _add_opacities(image: Plane, lungs: npt.NDArray[np.bool_], random: Generator) -> Plane:
    """Add soft bright spots to the lungs, like infiltrates."""
    rows, columns = np.nonzero(lungs)
    if not len(rows):
        return image
    axis = np.arange(len(image), dtype=np.float32)
    image = image.copy()
    for _ in range(random.integers(1, 4)):
        centre = random.integers(len(rows))
        height, width = random.uniform(0.02, 0.1, 2) * len(image)
        image += np.float32(random.uniform(0.1, 0.4)) * np.exp(
            -(((axis[:, None] - rows[centre]) / height) ** 2)
            - ((axis - columns[centre]) / width) ** 2
        )
    return image


def _add_effusion(image: Plane, lungs: npt.NDArray[np.bool_], random: Generator) -> Plane:
    """Make a lung opaque from its base up to a level that rises towards the chest wall."""
    field = _side_of(lungs, is_left=random.random() < 0.5)
    if field is None:
        return image
    top, bottom, first, last, outwards = field
    level = bottom - random.uniform(0.1, 0.75) * (bottom - top)
    axis = np.arange(len(image), dtype=np.float32)
    across = np.clip((axis - first) / (last - first), 0, 1)
    outer = across if outwards > 0 else 1 - across
    meniscus = level - random.uniform(0, 0.25) * (bottom - top) * outer**2
    softness = random.uniform(0.01, 0.05) * len(image)
    fluid = 1 / (1 + np.exp(np.clip((meniscus - axis[:, None]) / softness, -50, 50)))
    margin = 0.03 * len(image)
    beside = np.clip(np.minimum(axis - first, last - axis) / margin + 1, 0, 1)
    below = np.clip((bottom + 2 * margin - axis[:, None]) / margin, 0, 1)
    weight = np.float32(random.uniform(0.5, 0.95)) * fluid * beside * below
    brightness = np.percentile(image, random.uniform(60, 90))
    return (image + weight * np.maximum(brightness - image, 0)).astype(np.float32)


def _add_stomach_bubble(image: Plane, lungs: npt.NDArray[np.bool_], random: Generator) -> Plane:
    """Draw dark gas with a soft edge below the left hemidiaphragm."""
    field = _side_of(lungs, is_left=True)
    if field is None:
        return image
    _, bottom, first, last, _ = field
    height = random.uniform(0.03, 0.09) * len(image)
    width = height * random.uniform(0.8, 2)
    row = bottom + height * random.uniform(0.4, 1.2)
    column = random.uniform(first, last)
    axis = np.arange(len(image), dtype=np.float32)
    distance = np.hypot((axis[:, None] - row) / height, (axis - column) / width)
    gas = np.float32(random.uniform(0.4, 1)) / (1 + np.exp(np.clip((distance - 1) * 12, None, 50)))
    gas = np.where(lungs, 0, gas)
    darkness = np.percentile(image, random.uniform(2, 25))
    return (image + gas * np.minimum(darkness - image, 0)).astype(np.float32)


def _side_of(
    lungs: npt.NDArray[np.bool_], *, is_left: bool
) -> tuple[int, int, int, int, int] | None:
    """Top, bottom, first and last column of a patient's lung, and the direction outwards.

    The patient's left lung is on the right of the image. None where the lungs are too small.
    """
    columns = np.flatnonzero(lungs.any(axis=0))
    if not len(columns):
        return None
    middle = (columns[0] + columns[-1]) // 2
    half = np.zeros_like(lungs)
    part = slice(middle, None) if is_left else slice(None, middle)
    half[:, part] = lungs[:, part]
    rows, columns = np.flatnonzero(half.any(axis=1)), np.flatnonzero(half.any(axis=0))
    least = max(2, _SMALLEST * len(lungs))
    if len(rows) < least or len(columns) < least:
        return None
    return int(rows[0]), int(rows[-1]), int(columns[0]), int(columns[-1]), 1 if is_left else -1
