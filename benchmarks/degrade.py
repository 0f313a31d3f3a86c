"""Films spoilt as films get spoilt on the way to a program, with their masks spoilt alike."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import numpy.typing as npt
from scipy import ndimage

Film = npt.NDArray[np.float32]
Labels = npt.NDArray[np.uint8]
Random = np.random.Generator
Spoil = Callable[[Film, Labels, Random], tuple[Film, Labels]]


def whole(film: Film, labels: Labels, random: Random) -> tuple[Film, Labels]:
    return film, labels


def turned_by_a_right_angle(film: Film, labels: Labels, random: Random) -> tuple[Film, Labels]:
    turns = int(random.integers(1, 4))
    return np.rot90(film, turns), np.rot90(labels, turns)


def tilted(film: Film, labels: Labels, random: Random) -> tuple[Film, Labels]:
    angle = random.uniform(12, 50) * random.choice((-1, 1))
    return (
        ndimage.rotate(film, angle, reshape=False, order=1),
        ndimage.rotate(labels, angle, reshape=False, order=0),
    )


def cropped(film: Film, labels: Labels, random: Random) -> tuple[Film, Labels]:
    """Up to 45 % cut off at one or two sides."""
    side = len(film)
    top, left = (int(random.uniform(0, 0.45) * side) for _ in range(2))
    window = np.s_[top:, left:]
    flips = [axis for axis in (0, 1) if random.random() < 0.5]
    film, labels = (np.flip(np.flip(a, flips)[window], flips) for a in (film, labels))
    return film, labels


def inverted(film: Film, labels: Labels, random: Random) -> tuple[Film, Labels]:
    return 1 - film, labels


def noisy(film: Film, labels: Labels, random: Random) -> tuple[Film, Labels]:
    grain = ndimage.gaussian_filter(
        random.standard_normal(film.shape, np.float32), random.uniform(0, 3)
    )
    return film + grain * (random.uniform(0.1, 1) / grain.std()), labels


def blurred(film: Film, labels: Labels, random: Random) -> tuple[Film, Labels]:
    return ndimage.gaussian_filter(film, random.uniform(0.008, 0.06) * len(film)), labels


def windowed(film: Film, labels: Labels, random: Random) -> tuple[Film, Labels]:
    """Most of the film black or white."""
    middle, half = random.uniform(20, 80), random.uniform(3, 20)
    low, high = np.percentile(film, (max(middle - half, 0), min(middle + half, 100)))
    return np.clip((film - low) / max(high - low, 1e-3), 0, 1), labels


def covered(film: Film, labels: Labels, random: Random) -> tuple[Film, Labels]:
    """A plate, a letter or a hand over a part of it."""
    film, side = film.copy(), len(film)
    for _ in range(int(random.integers(1, 4))):
        tall, wide = (int(random.uniform(0.2, 0.5) * side) for _ in range(2))
        y, x = int(random.integers(side - tall)), int(random.integers(side - wide))
        film[y : y + tall, x : x + wide] = random.uniform(0, 1)
    return film, labels


def mirrored(film: Film, labels: Labels, random: Random) -> tuple[Film, Labels]:
    return film[:, ::-1], labels[:, ::-1]


FAMILIES: tuple[Spoil, ...] = (
    whole,
    turned_by_a_right_angle,
    tilted,
    cropped,
    inverted,
    noisy,
    blurred,
    windowed,
    covered,
    mirrored,
)


def hand(random: Random, side: int) -> Film:
    """A stand-in for the radiograph of a hand: five jointed fingers, a palm of bones, a wrist."""
    y, x = (axis / side for axis in np.mgrid[:side, :side].astype(np.float32))
    film = np.zeros((side, side), np.float32)
    for finger in range(5):
        lean = (finger - 2) * random.uniform(0.05, 0.12)
        length = random.uniform(0.3, 0.45) * (0.7 if finger in (0, 4) else 1)
        for bone in range(4):
            middle = 0.62 - length * (bone + 0.5) / 3
            across = 0.5 + (finger - 2) * 0.09 + lean * (0.62 - middle)
            near = ((x - across) / 0.018) ** 2 + ((y - middle) / (length / 7)) ** 2
            soft = ((x - across) / 0.04) ** 2 + ((y - middle) / (length / 4)) ** 2
            film += 0.35 * np.exp(-(soft**2)) + 0.5 * np.exp(-(near**2))
    for bone in range(8):
        centre = 0.42 + 0.16 * random.random(), 0.68 + 0.08 * (bone // 4) + 0.02 * random.random()
        film += 0.4 * np.exp(
            -((((x - centre[0]) / 0.03) ** 2 + ((y - centre[1]) / 0.03) ** 2) ** 2)
        )
    for bone in (-0.05, 0.05):
        film += 0.6 * ((np.abs(x - 0.5 - bone) < 0.03) & (y > 0.82))
    film += 0.3 * ((np.abs(x - 0.5) < 0.14) & (y > 0.6))
    film = ndimage.rotate(film, random.uniform(-25, 25), reshape=False, order=1)
    return ndimage.gaussian_filter(film, 1) + 0.02 * random.standard_normal(film.shape, np.float32)


def scene(random: Random, side: int) -> Film:
    """A stand-in for a photograph: 1/f noise, a horizon, things with edges."""
    frequency = np.hypot(np.fft.fftfreq(side)[:, None], np.fft.rfftfreq(side)[None])
    spectrum = np.exp(2j * np.pi * random.random(frequency.shape)) / (frequency + 1 / side)
    film = np.fft.irfft2(spectrum, (side, side)).astype(np.float32)
    film = (film - film.min()) / np.ptp(film)
    y, x = np.mgrid[:side, :side] / side
    film += random.uniform(-0.5, 0.5) * (y > random.uniform(0.3, 0.7))
    for _ in range(int(random.integers(2, 8))):
        centre, size = random.random(2), random.uniform(0.03, 0.25, 2)
        near = np.abs((x - centre[0]) / size[0]), np.abs((y - centre[1]) / size[1])
        thing = near[0] ** 2 + near[1] ** 2 < 1 if random.random() < 0.5 else np.maximum(*near) < 1
        film[thing] += random.uniform(-0.5, 0.5)
    return film


def blank(random: Random, side: int) -> Film:
    return np.full((side, side), random.random(), np.float32) + random.choice((0, 1e-3)) * (
        random.standard_normal((side, side), np.float32)
    )


def static(random: Random, side: int) -> Film:
    return ndimage.gaussian_filter(
        random.standard_normal((side, side), np.float32), random.uniform(0, 8)
    )


#: What is no chest film at all.
OTHERS: tuple[Callable[[Random, int], Film], ...] = (hand, scene, blank, static)
