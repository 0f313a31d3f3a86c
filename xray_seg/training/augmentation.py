"""Data augmentation: random geometric and intensity changes of a radiograph and its soft target.

The changes imitate radiographs unlike those of JSRT: contrast of digital detectors, low-contrast
exports, crops, margins and collimators, large hearts and small lungs, effusions, devices, markers
and text. Polarity is left as it is.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt

from ..labels import HEART
from ..preprocessing.normalisation import normalise
from .artefacts import add_artefacts, add_collimator
from .pathology import add_pathology

if TYPE_CHECKING:
    from numpy.random import Generator

Plane = npt.NDArray[np.float32]

#: Recorded with a run; increase it when the same seed gives another result than before.
REVISION = 4

#: Share of the samples whose intensities are changed too.
INTENSITY_SHARE = 0.7

#: Nodes along each side of the coarse grid of random displacements.
_DEFORMATION_NODES = 6


def augment(
    image: Plane, fractions: npt.NDArray[np.uint8], size: int, random: Generator
) -> tuple[Plane, Plane]:
    """Return an augmented copy of a case on the network's grid.

    Args:
        image: (H, H) float32 in [0, 1]; H should be twice ``size``.
        fractions: (H, H, 4) uint8 class shares in 255ths.
        size: side S of the result.
        random: source of all random numbers.

    Returns:
        (S, S) float32 image in [0, 1] and (S, S, 4) float32 soft target whose classes sum to 1.
    """
    from ..kernels import warp

    positions = _identity(size, image.shape[0])
    positions = _affine(positions, image.shape[0], random)
    positions = _deform(positions, image.shape[0], random)
    positions = _scale_heart(positions, fractions, random)  # last: needs source coordinates
    border = random.choice([0.0, 1.0, random.random()], p=[0.7, 0.15, 0.15])
    warped, target = warp(image, fractions, positions, border)
    if random.random() < INTENSITY_SHARE:
        warped = add_pathology(warped, target, random)
        warped = _change_contrast(warped, random)
        warped = _degrade(warped, random)
        add_artefacts(warped, random)
        add_collimator(warped, random)
    normalise(warped, inverted=False)
    return warped, target


def augment_as_study(
    image: Plane, fractions: npt.NDArray[np.uint8], size: int, random: Generator
) -> tuple[Plane, Plane]:
    """Augment a case as the 2019 study did: zoom by 1 %, rotation by 10 degrees, both flips.

    Arguments and result are those of ``augment``.
    """
    from ..kernels import warp

    angle = np.deg2rad(random.uniform(-10, 10))
    cos, sin = np.cos(angle), np.sin(angle)
    flips = random.choice([-1, 1], 2)[:, None]
    matrix = np.array([[cos, -sin], [sin, cos]]) * random.uniform(0.99, 1.01, 2)[:, None] * flips
    centre = (image.shape[0] - 1) / 2
    positions = (_identity(size, image.shape[0]) - centre) @ matrix.T + centre
    # Positions outside the image take the border's pixels, as in Keras' ImageDataGenerator.
    positions = positions.clip(0, image.shape[0] - 1).astype(np.float32)
    warped, target = warp(image, fractions, positions)
    normalise(warped, inverted=False)
    return warped, target


#: Augmentations by the names that ``TrainingConfig.augmentation`` takes.
AUGMENTATIONS = {"full": augment, "study": augment_as_study}


def resample(image: Plane, fractions: npt.NDArray[np.uint8], size: int) -> tuple[Plane, Plane]:
    """Resample a case to the network's grid without augmentation, as in inference.

    Arguments and result are those of ``augment``.
    """
    from ..kernels import warp

    resampled, target = warp(image, fractions, _identity(size, image.shape[0]))
    normalise(resampled, inverted=False)
    return resampled, target


def _identity(size: int, source: int) -> Plane:
    """Return (2 size, 2 size, 2) sampling positions in source pixels: two per pixel and axis."""
    axis = (np.arange(2 * size, dtype=np.float32) + 0.5) * (source / (2 * size)) - 0.5
    return np.stack(np.meshgrid(axis, axis, indexing="ij"), axis=-1)


def _affine(positions: Plane, source: int, random: Generator) -> Plane:
    """Rotate, zoom, stretch and shear about the centre, and shift."""
    angle = np.deg2rad(np.clip(random.normal(0, 7), -25, 25))
    zoom = np.exp(random.normal(0, 0.1)) if random.random() < 0.75 else random.uniform(0.62, 1.6)
    stretch = np.exp(random.normal(0, 0.07))
    cos, sin, shear = np.cos(angle), np.sin(angle), random.normal(0, 0.04)
    matrix = np.array([[cos, -sin + shear], [sin, cos]]) * [[zoom * stretch], [zoom / stretch]]
    centre = (source - 1) / 2
    shift = random.normal(0, 0.035, 2) * source
    if not 0.9 < zoom < 1.1 and random.random() < 0.5:
        # Crop, or add a margin, more on one side than on the other.
        shift += random.uniform(-0.5, 0.5, 2) * (1 - zoom) * source
    return ((positions - centre) @ matrix.T + centre + shift).astype(np.float32)


def _deform(positions: Plane, source: int, random: Generator) -> Plane:
    """Add a smooth random displacement of up to a few per cent of the side, in place."""
    from scipy import ndimage

    from ..kernels import upsample_plane

    # Limited so that the displacement never folds the image.
    strength = min(abs(random.normal(0, 0.018)), 0.03) * source
    nodes = random.standard_normal((2, _DEFORMATION_NODES, _DEFORMATION_NODES)).clip(-2, 2)
    # Cubic up to a quarter of the resolution, then linear, which is faster.
    side = positions.shape[0] // 4
    zoom = side / _DEFORMATION_NODES
    coarse = [ndimage.zoom(axis, zoom, order=3, mode="nearest") for axis in nodes]
    for axis, displacement in enumerate(coarse):
        fine = upsample_plane(displacement.astype(np.float32), positions.shape[:2])
        positions[..., axis] += np.float32(strength) * fine
    return positions


def _scale_heart(positions: Plane, fractions: npt.NDArray[np.uint8], random: Generator) -> Plane:
    """Enlarge or shrink the region around the heart, in 40 % of the cases."""
    if random.random() > 0.4:
        return positions
    share = fractions[::4, ::4, HEART.label].astype(np.float32)
    total = share.sum()
    if not total:
        return positions
    rows, columns = np.indices(share.shape)
    centre = np.array([(rows * share).sum(), (columns * share).sum()]) / total * 4
    radius = random.uniform(0.12, 0.2) * fractions.shape[0]
    offset = positions - centre.astype(np.float32)
    weight = np.exp(-(offset**2).sum(axis=-1, keepdims=True) / (2 * radius**2))
    # Up to 0.4 the displacement folds nothing. Many large hearts lie across: wider, not higher.
    across = random.uniform(-0.2, 0.4)
    down = across * random.uniform(0.2, 1)
    strength = np.array([down, across], np.float32)
    return (positions - strength * weight * offset).astype(np.float32)


def _change_contrast(image: Plane, random: Generator) -> Plane:
    """Imitate other detectors, tube voltages and windows.

    Applies a gamma curve, and at random a sigmoid curve, an intensity gradient and a local
    contrast enhancement; then stretches the result to [0, 1] between two percentiles.
    """
    from scipy import ndimage

    size = image.shape[0]
    image = np.clip(image, 0, 1) ** np.float32(np.exp(random.normal(0, 0.35)))
    if random.random() < 0.3:
        middle, slope = random.uniform(0.35, 0.65), random.uniform(3, 9)
        image = 1 / (1 + np.exp(-slope * (image - np.float32(middle))))
    if random.random() < 0.4:
        gradient = random.normal(0, 0.2, 2)
        axis = np.linspace(-0.5, 0.5, size, dtype=np.float32)
        image = image + axis[:, None] * gradient[0] + axis * gradient[1]
    if random.random() < 0.3:
        local_mean = ndimage.gaussian_filter(image, size * random.uniform(0.02, 0.12))
        image = image - random.uniform(0.2, 0.8) * local_mean
    tails = (4, 6) if random.random() < 0.8 else (25, 25)  # 25 % makes a narrow window
    window = random.uniform(0, tails[0]), 100 - random.uniform(0, tails[1])
    low, high = np.percentile(image, window)
    return np.clip((image - low) / max(high - low, 1e-3), 0, 1).astype(np.float32)


def _degrade(image: Plane, random: Generator) -> Plane:
    """Blur or sharpen, add noise, and reduce the number of grey levels, each at random."""
    from scipy import ndimage

    chance = random.random()
    if chance < 0.25:
        # The widths are shares of the side, so that blur does not depend on the grid.
        image = ndimage.gaussian_filter(image, random.uniform(0.002, 0.009) * len(image))
    elif chance < 0.4:
        blurred = ndimage.gaussian_filter(image, random.uniform(0.004, 0.01) * len(image))
        image = image + random.uniform(0.3, 1.5) * (image - blurred)
    if random.random() < 0.35:
        image = image + _noise(len(image), random)
    if random.random() < 0.15:
        levels = random.integers(12, 64)
        image = (np.round(image * levels) / levels).astype(np.float32)
    return image.astype(np.float32)


def _noise(size: int, random: Generator) -> Plane:
    """Return (size, size) noise: white, or correlated between neighbouring pixels."""
    from scipy import ndimage

    noise = random.standard_normal((size, size), np.float32)
    if random.random() < 0.6:
        return random.uniform(0, 0.07) * noise
    noise = ndimage.gaussian_filter(noise, random.uniform(0.4, 1.6))
    return random.uniform(0, 0.045) / noise.std() * noise
