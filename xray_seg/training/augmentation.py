"""Random changes of a case for training: a radiograph and its soft target bend together.

Meant to cover what other hospitals' films do that JSRT's do not: digital detectors' contrast,
low-contrast exports, crops and borders, large hearts and small lungs, markers and text.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from ..labels import HEART, LUNGS
from ..preprocessing.normalisation import normalise

if TYPE_CHECKING:
    from numpy.random import Generator

Plane = npt.NDArray[np.float32]

#: Recorded with a run, and raised when a case comes out otherwise than before.
REVISION = 3

#: Share of the samples whose grey values are made to look like another hospital's.
FOREIGN_SHARE = 0.7

#: Nodes along a side of the coarse grid of random local shifts.
_BEND_NODES = 6


def augment(
    image: Plane, fractions: npt.NDArray[np.uint8], size: int, random: Generator
) -> tuple[Plane, Plane]:
    """A changed copy of a case on the network's grid.

    Args:
        image: (H, H) float32 in [0, 1]; best twice as fine as ``size``.
        fractions: (H, H, 4) uint8 class shares in 255ths.
        size: side of the result.
        random: source of all choices.

    Returns:
        (size, size) float32 image in [0, 1] and (size, size, 4) float32 soft target.
    """
    from ..kernels import warp

    places = _identity(size, image.shape[0])
    places = _affine(places, image.shape[0], random)
    places = _bend(places, image.shape[0], random)
    places = _bulge(places, fractions, random)  # last: where the heart is, in source pixels
    bent, target = warp(image, fractions, places, 0.0 if random.random() < 0.8 else random.random())
    if random.random() < FOREIGN_SHARE:
        bent = _veil(bent, target, random)
        bent = _expose(bent, random)
        bent = _degrade(bent, random)
        _occlude(bent, random)
    normalise(bent, inverted=False)
    return bent, target


def augment_as_study(
    image: Plane, fractions: npt.NDArray[np.uint8], size: int, random: Generator
) -> tuple[Plane, Plane]:
    """The 2019 study's changes: zoom by 1 %, turn by 10 degrees, mirror, turn upside down.

    Arguments and result as of ``augment``.
    """
    from ..kernels import warp

    turn = np.deg2rad(random.uniform(-10, 10))
    cos, sin = np.cos(turn), np.sin(turn)
    mirror = random.choice([-1, 1], 2)[:, None]
    matrix = np.array([[cos, -sin], [sin, cos]]) * random.uniform(0.99, 1.01, 2)[:, None] * mirror
    centre = (image.shape[0] - 1) / 2
    places = (_identity(size, image.shape[0]) - centre) @ matrix.T + centre
    # As Keras' generator did: what lies outside repeats the border.
    places = places.clip(0, image.shape[0] - 1).astype(np.float32)
    bent, target = warp(image, fractions, places)
    normalise(bent, inverted=False)
    return bent, target


#: By the names that Recipe.augmentation takes.
AUGMENTATIONS = {"full": augment, "study": augment_as_study}


def unchanged(image: Plane, fractions: npt.NDArray[np.uint8], size: int) -> tuple[Plane, Plane]:
    """A case on the network's grid as inference sees it, in the form that augment returns."""
    from ..kernels import warp

    plain, target = warp(image, fractions, _identity(size, image.shape[0]))
    normalise(plain, inverted=False)
    return plain, target


def _identity(size: int, source: int) -> Plane:
    """(2 size, 2 size, 2) places of two samples a pixel and axis, in source pixels."""
    axis = (np.arange(2 * size, dtype=np.float32) + 0.5) * (source / (2 * size)) - 0.5
    return np.stack(np.meshgrid(axis, axis, indexing="ij"), axis=-1)


def _affine(places: Plane, source: int, random: Generator) -> Plane:
    """Turn, zoom, stretch, shear and shift about the centre."""
    turn = np.deg2rad(np.clip(random.normal(0, 6), -18, 18))
    zoom = np.exp(random.normal(0, 0.1)) if random.random() < 0.75 else random.uniform(0.62, 1.4)
    stretch = np.exp(random.normal(0, 0.05))
    cos, sin, shear = np.cos(turn), np.sin(turn), random.normal(0, 0.04)
    matrix = np.array([[cos, -sin + shear], [sin, cos]]) * [[zoom * stretch], [zoom / stretch]]
    centre = (source - 1) / 2
    shift = random.normal(0, 0.035, 2) * source
    if zoom < 0.9 and random.random() < 0.5:  # cut off more on one side than on the other
        shift += random.uniform(-0.5, 0.5, 2) * (1 - zoom) * source
    return ((places - centre) @ matrix.T + centre + shift).astype(np.float32)


def _bend(places: Plane, source: int, random: Generator) -> Plane:
    """Shift smoothly and locally by up to a few per cent of the side."""
    from scipy import ndimage

    from ..kernels import upsample_plane

    # Bounded, so that nothing is folded over.
    strength = min(abs(random.normal(0, 0.018)), 0.03) * source
    nodes = random.standard_normal((2, _BEND_NODES, _BEND_NODES)).clip(-2, 2)
    side = places.shape[0] // 4  # smooth enough to be interpolated linearly from here on
    bends = [ndimage.zoom(axis, side / _BEND_NODES, order=3, mode="nearest") for axis in nodes]
    for axis, bend in enumerate(bends):
        fine = upsample_plane(bend.astype(np.float32), places.shape[:2])
        places[..., axis] += np.float32(strength) * fine
    return places


def _bulge(places: Plane, fractions: npt.NDArray[np.uint8], random: Generator) -> Plane:
    """Sometimes swell or shrink the surroundings of the heart."""
    if random.random() > 0.35:
        return places
    share = fractions[::4, ::4, HEART.label].astype(np.float32)
    total = share.sum()
    if not total:
        return places
    rows, columns = np.indices(share.shape)
    centre = np.array([(rows * share).sum(), (columns * share).sum()]) / total * 4
    reach = random.uniform(0.12, 0.2) * fractions.shape[0]
    offset = places - centre.astype(np.float32)
    near = np.exp(-(offset**2).sum(axis=-1, keepdims=True) / (2 * reach**2))
    swell = random.uniform(-0.2, 0.32)
    return (places - np.float32(swell) * near * offset).astype(np.float32)


def _veil(image: Plane, target: Plane, random: Generator) -> Plane:
    """Sometimes a soft opacity in a lung, as infiltrates and effusions make."""
    if random.random() > 0.15:
        return image
    rows, columns = np.nonzero(target[..., LUNGS.label] > 0.5)
    if not len(rows):
        return image
    axis = np.arange(len(image), dtype=np.float32)
    image = image.copy()
    for _ in range(random.integers(1, 4)):
        place = random.integers(len(rows))
        tall, wide = random.uniform(0.02, 0.1, 2) * len(image)
        spot = np.exp(
            -(((axis[:, None] - rows[place]) / tall) ** 2) - ((axis - columns[place]) / wide) ** 2
        )
        image += np.float32(random.uniform(0.1, 0.4)) * spot
    return image


def _expose(image: Plane, random: Generator) -> Plane:
    """Another detector, tube voltage or window: gamma, sigmoid, uneven light, local contrast."""
    from scipy import ndimage

    size = image.shape[0]
    image = np.clip(image, 0, 1) ** np.float32(np.exp(random.normal(0, 0.35)))
    if random.random() < 0.3:
        middle, steep = random.uniform(0.35, 0.65), random.uniform(3, 9)
        image = 1 / (1 + np.exp(-steep * (image - np.float32(middle))))
    if random.random() < 0.4:
        slope = random.normal(0, 0.2, 2)
        axis = np.linspace(-0.5, 0.5, size, dtype=np.float32)
        image = image + axis[:, None] * slope[0] + axis * slope[1]
    if random.random() < 0.3:
        local = ndimage.gaussian_filter(image, size * random.uniform(0.02, 0.12))
        image = image - random.uniform(0.2, 0.8) * local
    tails = (4, 6) if random.random() < 0.8 else (25, 25)  # sometimes a narrow window
    shares = random.uniform(0, tails[0]), 100 - random.uniform(0, tails[1])
    low, high = np.percentile(image, shares)
    return np.clip((image - low) / max(high - low, 1e-3), 0, 1).astype(np.float32)


def _degrade(image: Plane, random: Generator) -> Plane:
    """Blur or sharpen, grain, few grey levels."""
    from scipy import ndimage

    chance = random.random()
    if chance < 0.25:
        # In shares of the side: a thumbnail is as blurred on a fine grid as on a coarse one.
        image = ndimage.gaussian_filter(image, random.uniform(0.002, 0.009) * len(image))
    elif chance < 0.4:
        soft = ndimage.gaussian_filter(image, random.uniform(0.004, 0.01) * len(image))
        image = image + random.uniform(0.3, 1.5) * (image - soft)
    if random.random() < 0.35:
        image = image + _grain(len(image), random)
    if random.random() < 0.15:
        levels = random.integers(12, 64)
        image = (np.round(image * levels) / levels).astype(np.float32)
    return image.astype(np.float32)


def _grain(size: int, random: Generator) -> Plane:
    """Noise, white or clumped as films and low doses have it."""
    from scipy import ndimage

    grain = random.standard_normal((size, size), np.float32)
    if random.random() < 0.6:
        return random.uniform(0, 0.07) * grain
    grain = ndimage.gaussian_filter(grain, random.uniform(0.4, 1.6))
    return random.uniform(0, 0.045) / grain.std() * grain


def _occlude(image: Plane, random: Generator) -> None:
    """Draw label blocks, lines of text, wires, collimator borders and letterbox bars, in place."""
    size = len(image)
    if random.random() < 0.4:
        for _ in range(random.integers(1, 4)):
            tall, wide = (random.uniform(0.03, 0.16, 2) * size).astype(int) + 1
            _place(image, np.full((tall, wide), random.choice([0, 1, random.random()])), random)
    if random.random() < 0.25:
        for _ in range(random.integers(1, 4)):
            _place(image, _text(size, random), random)
    if random.random() < 0.2:
        _draw_wire(image, random)
    if random.random() < 0.15:
        edge = int(random.uniform(0.01, 0.08) * size) + 1
        np.rot90(image, int(random.integers(0, 4)))[:edge] = random.choice([0, 1])
    if random.random() < 0.1:
        edge = int(random.uniform(0.02, 0.2) * size) + 1
        turned = np.rot90(image, int(random.integers(0, 2)))
        turned[:edge] = turned[-edge:] = 0


def _place(image: Plane, patch: npt.NDArray[Any], random: Generator) -> None:
    """Lay a patch somewhere on the image; where it is not a number, the image shows."""
    tall, wide = patch.shape
    top, left = (random.integers(0, max(1, len(image) - side)) for side in (tall, wide))
    under = image[top : top + tall, left : left + wide]
    patch = patch[: under.shape[0], : under.shape[1]]
    np.copyto(under, patch, where=~np.isnan(patch), casting="same_kind")


def _text(size: int, random: Generator) -> npt.NDArray[Any]:
    """A line of made-up letters of 5 x 4 dots, white or black, with or without a ground."""
    letters = random.integers(2, 16)
    dots = random.random((5, 5 * letters)) < 0.55
    dots[:, 4::5] = False  # between letters
    ink = float(random.integers(0, 2))
    ground = 1 - ink if random.random() < 0.3 else np.nan
    scale = max(1, round(random.uniform(0.003, 0.012) * size))
    return np.kron(np.where(dots, ink, ground), np.ones((scale, scale)))


def _draw_wire(image: Plane, random: Generator) -> None:
    """A straight bright line, as thick on a fine grid as on a coarse one."""
    size = len(image)
    place = random.uniform(0, size, 2)
    step = random.normal(0, 1, 2)
    step /= np.hypot(*step) + 1e-6
    line = place + np.outer(np.arange(random.integers(size // 12, size)), step)
    value = random.uniform(0.5, 1)
    thick = max(1, size // 128)
    for row in range(thick):
        for column in range(thick):
            rows, columns = (line + np.array([row, column])).astype(int).T
            inside = (rows >= 0) & (rows < size) & (columns >= 0) & (columns < size)
            image[rows[inside], columns[inside]] = value
