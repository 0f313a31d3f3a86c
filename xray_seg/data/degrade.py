"""Degrade radiographs and their masks alike, as it happens between acquisition and analysis.

Images are (H, W) float32 in [0, 1], bones bright; label maps are (H, W) uint8 with ORGAN_LABELS.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import numpy.typing as npt
from scipy import ndimage

from ..labels import LUNGS

Image = npt.NDArray[np.float32]
Labels = npt.NDArray[np.uint8]
Random = np.random.Generator
Degrade = Callable[[Image, Labels, Random], tuple[Image, Labels]]


def whole(image: Image, labels: Labels, random: Random) -> tuple[Image, Labels]:
    return image, labels


def turned_by_a_right_angle(image: Image, labels: Labels, random: Random) -> tuple[Image, Labels]:
    turns = int(random.integers(1, 4))
    return np.rot90(image, turns), np.rot90(labels, turns)


def tilted(image: Image, labels: Labels, random: Random) -> tuple[Image, Labels]:
    angle = random.uniform(12, 50) * random.choice((-1, 1))
    return (
        ndimage.rotate(image, angle, reshape=False, order=1),
        ndimage.rotate(labels, angle, reshape=False, order=0),
    )


def cropped(image: Image, labels: Labels, random: Random) -> tuple[Image, Labels]:
    """Up to 45 % cut off at one or two sides."""
    top, left = (int(random.uniform(0, 0.45) * side) for side in image.shape)
    window = np.s_[top:, left:]
    flips = tuple(axis for axis in (0, 1) if random.random() < 0.5)
    image, labels = np.flip(image, flips)[window], np.flip(labels, flips)[window]
    return np.flip(image, flips), np.flip(labels, flips)


def inverted(image: Image, labels: Labels, random: Random) -> tuple[Image, Labels]:
    return 1 - image, labels


def noisy(image: Image, labels: Labels, random: Random) -> tuple[Image, Labels]:
    grain = ndimage.gaussian_filter(
        random.standard_normal(image.shape, np.float32), random.uniform(0, 3)
    )
    return image + grain * (random.uniform(0.1, 1) / grain.std()), labels


def blurred(image: Image, labels: Labels, random: Random) -> tuple[Image, Labels]:
    return ndimage.gaussian_filter(image, random.uniform(0.008, 0.06) * len(image)), labels


def windowed(image: Image, labels: Labels, random: Random) -> tuple[Image, Labels]:
    """A narrow window that saturates most of the image."""
    middle, half = random.uniform(20, 80), random.uniform(3, 20)
    low, high = np.percentile(image, (max(middle - half, 0), min(middle + half, 100)))
    return np.clip((image - low) / max(high - low, 1e-3), 0, 1), labels


def covered(image: Image, labels: Labels, random: Random) -> tuple[Image, Labels]:
    """Opaque rectangles over parts of the image."""
    image = image.copy()
    for _ in range(int(random.integers(1, 4))):
        tall, wide = (max(1, int(random.uniform(0.2, 0.5) * side)) for side in image.shape)
        y, x = (
            int(random.integers(side - size + 1))
            for side, size in zip(image.shape, (tall, wide), strict=True)
        )
        image[y : y + tall, x : x + wide] = random.uniform(0, 1)
    return image, labels


def faded(image: Image, labels: Labels, random: Random) -> tuple[Image, Labels]:
    """Another tone curve, fewer grey levels, some blur and some grain."""
    image = np.clip(image, 0, 1) ** np.exp(random.uniform(-1.2, 1.2))
    image = ndimage.gaussian_filter(image, random.uniform(0, 0.006) * max(image.shape))
    image = np.round(image * random.uniform(12, 100))
    grain = random.standard_normal(image.shape, np.float32)
    return image + grain * float(image.std() * random.uniform(0, 0.3)), labels


def opaque(image: Image, labels: Labels, random: Random) -> tuple[Image, Labels]:
    """Bright, soft-edged shadows over a part of one lung or of both; the masks keep that part."""
    image = image.copy()
    rows, columns = np.nonzero(labels == LUNGS.label)
    if not len(rows):
        return image, labels
    y, x = np.mgrid[: image.shape[0], : image.shape[1]].astype(np.float32)
    for _ in range(int(random.integers(1, 5))):
        place = int(random.integers(len(rows)))
        tall, wide = (random.uniform(0.06, 0.3) * max(image.shape) for _ in range(2))
        near = ((y - rows[place]) / tall) ** 2 + ((x - columns[place]) / wide) ** 2
        weight = random.uniform(0.4, 1) / (1 + near ** random.uniform(1, 4))
        image += weight.astype(np.float32) * (random.uniform(0.6, 0.95) - image)
    return image, labels


def mirrored(image: Image, labels: Labels, random: Random) -> tuple[Image, Labels]:
    return image[:, ::-1], labels[:, ::-1]


FAMILIES: tuple[Degrade, ...] = (
    whole,
    turned_by_a_right_angle,
    tilted,
    cropped,
    inverted,
    noisy,
    blurred,
    windowed,
    covered,
    faded,
    opaque,
    mirrored,
)


def hand(random: Random, side: int) -> Image:
    """A simulated radiograph of a hand: five jointed fingers, a palm of bones, a wrist."""
    y, x = (axis / side for axis in np.mgrid[:side, :side].astype(np.float32))
    image = np.zeros((side, side), np.float32)
    for finger in range(5):
        lean = (finger - 2) * random.uniform(0.05, 0.12)
        length = random.uniform(0.3, 0.45) * (0.7 if finger in (0, 4) else 1)
        for bone in range(4):
            middle = 0.62 - length * (bone + 0.5) / 3
            across = 0.5 + (finger - 2) * 0.09 + lean * (0.62 - middle)
            near = ((x - across) / 0.018) ** 2 + ((y - middle) / (length / 7)) ** 2
            soft = ((x - across) / 0.04) ** 2 + ((y - middle) / (length / 4)) ** 2
            image += 0.35 * np.exp(-(soft**2)) + 0.5 * np.exp(-(near**2))
    for bone in range(8):
        centre = 0.42 + 0.16 * random.random(), 0.68 + 0.08 * (bone // 4) + 0.02 * random.random()
        image += 0.4 * np.exp(
            -((((x - centre[0]) / 0.03) ** 2 + ((y - centre[1]) / 0.03) ** 2) ** 2)
        )
    for across in (-0.05, 0.05):
        image += 0.6 * ((np.abs(x - 0.5 - across) < 0.03) & (y > 0.82))
    image += 0.3 * ((np.abs(x - 0.5) < 0.14) & (y > 0.6))
    image = ndimage.rotate(image, random.uniform(-25, 25), reshape=False, order=1)
    return ndimage.gaussian_filter(image, 1) + 0.02 * random.standard_normal(
        image.shape, np.float32
    )


def scene(random: Random, side: int) -> Image:
    """A simulated photograph: 1/f noise, a horizon, objects with edges."""
    frequency = np.hypot(np.fft.fftfreq(side)[:, None], np.fft.rfftfreq(side)[None])
    spectrum = np.exp(2j * np.pi * random.random(frequency.shape)) / (frequency + 1 / side)
    image = np.fft.irfft2(spectrum, (side, side)).astype(np.float32)
    image = (image - image.min()) / np.ptp(image)
    y, x = np.mgrid[:side, :side] / side
    image += random.uniform(-0.5, 0.5) * (y > random.uniform(0.3, 0.7))
    for _ in range(int(random.integers(2, 8))):
        centre, size = random.random(2), random.uniform(0.03, 0.25, 2)
        near = np.abs((x - centre[0]) / size[0]), np.abs((y - centre[1]) / size[1])
        thing = near[0] ** 2 + near[1] ** 2 < 1 if random.random() < 0.5 else np.maximum(*near) < 1
        image[thing] += random.uniform(-0.5, 0.5)
    return image


def blank(random: Random, side: int) -> Image:
    return np.full((side, side), random.random(), np.float32) + random.choice((0, 1e-3)) * (
        random.standard_normal((side, side), np.float32)
    )


def static(random: Random, side: int) -> Image:
    return ndimage.gaussian_filter(
        random.standard_normal((side, side), np.float32), random.uniform(0, 8)
    )


#: Images that are not chest radiographs.
OTHERS: tuple[Callable[[Random, int], Image], ...] = (hand, scene, blank, static)
