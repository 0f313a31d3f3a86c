"""Anatomy, radiographic appearance and exposure of a phantom.

Anatomy is drawn by inequalities in a slightly distorted coordinate system. Brightness is additive
along a ray, as optical density is. Lengths are shares of the side of the canvas; proportions follow
the average outlines of adult frontal radiographs.

Every function draws its random numbers in a fixed order: a changed order changes every phantom.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt

if TYPE_CHECKING:
    from numpy.random import Generator

Plane = npt.NDArray[np.float32]
Mask = npt.NDArray[np.bool_]


@dataclass(frozen=True)
class Frame:
    """Coordinates of each pixel in the patient's frame: tilted and bent.

    Attributes:
        x: (H, W) float32, grows to the image's right, 0 on the midline, about 1 wide.
        y: (H, W) float32, grows downwards from about 0 to 1.
    """

    x: Plane
    y: Plane


def _smooth(random: Generator, size: int, scale: float) -> Plane:
    """Noise with mean 0 and standard deviation 1 that varies over ``scale`` of the canvas."""
    from scipy import ndimage

    from ..kernels import upsample_plane

    coarse = max(8, min(size, round(6 / scale)))
    noise = ndimage.gaussian_filter(
        random.standard_normal((coarse, coarse)), scale * coarse, mode="reflect"
    ).astype(np.float32)
    noise = (noise - noise.mean()) / (noise.std() + 1e-6)
    return upsample_plane(noise, (size, size))


def _soften(mask: Mask, scale: float) -> Plane:
    """Blur a mask with a Gaussian whose sigma is ``scale`` of the canvas."""
    from scipy import ndimage

    return ndimage.gaussian_filter(mask.astype(np.float32), scale * mask.shape[0])


def dilate(mask: Mask, pixels: int) -> Mask:
    """Add the pixels within a distance of the mask."""
    from scipy import ndimage

    return ndimage.distance_transform_edt(~mask) <= pixels


def make_frame(random: Generator, size: int) -> Frame:
    """Draw the scale, tilt, shift and bend of the patient in front of the detector."""
    y, x = np.mgrid[:size, :size].astype(np.float32) / size + np.float32(0.5 / size)
    x -= 0.5 + random.uniform(-0.03, 0.03)
    y -= 0.5 + random.uniform(-0.04, 0.04)
    tilt = random.normal(0, 0.035)
    wide, tall = random.uniform(0.9, 1.12), random.uniform(0.92, 1.1)
    x, y = (
        (np.cos(tilt) * x - np.sin(tilt) * y) * wide,
        (np.sin(tilt) * x + np.cos(tilt) * y) * tall,
    )
    x += 0.007 * _smooth(random, size, 0.15)
    y += 0.007 * _smooth(random, size, 0.15)
    return Frame(x.astype(np.float32), (y + 0.5).astype(np.float32))


def lung(random: Generator, frame: Frame, side: int) -> Mask:
    """Draw the whole lung field of a side (-1: the patient's right, on the image's left)."""
    out = frame.x * side  # grows from the midline outwards, on both sides
    apex = random.uniform(0.06, 0.11)
    s = np.clip((frame.y - apex) / (0.78 - apex), 0, 1)
    axis = 0.13 + 0.02 * s
    lateral = axis + random.uniform(0.2, 0.25) * (1 - (1 - s) ** 2.3) ** 0.62
    hilum = 0.025 * np.exp(-(((frame.y - 0.5) / 0.12) ** 2))
    medial = axis - random.uniform(0.075, 0.095) * (1 - (1 - s) ** 4) ** 0.5 + hilum
    dome = random.uniform(0.66, 0.76) + (0.02 if side > 0 else 0.0)
    peak = random.uniform(0.14, 0.18)
    steep = np.where(out > peak, random.uniform(1.4, 2.4), 0.5)
    floor = dome + steep * (out - peak) ** 2 + 4 * np.clip(out - 0.33, 0, None) ** 1.5
    return (frame.y > apex) & (out > medial) & (out < lateral) & (frame.y < floor)


def heart(random: Generator, frame: Frame) -> Mask:
    """Draw the heart: an egg whose tip points down and to the patient's left."""
    size = random.uniform(0.135, 0.185)
    x, y = frame.x - random.uniform(0.035, 0.06), frame.y - random.uniform(0.6, 0.65)
    turn = random.uniform(0.35, 0.7)
    along, across = np.cos(turn) * x + np.sin(turn) * y, -np.sin(turn) * x + np.cos(turn) * y
    narrow = 1 - random.uniform(0.1, 0.3) * along / size
    egg = np.abs(along / (1.13 * size)) ** 2.2 + np.abs(across / (0.95 * size * narrow)) ** 2.2
    return (egg < 1) & (y < size * random.uniform(0.85, 1.0))


def clavicle(random: Generator, frame: Frame, side: int) -> Mask:
    """Draw a clavicle: an S-shaped bar from beside the sternum outwards and upwards."""
    out = frame.x * side
    inner, outer = random.uniform(0.045, 0.075), 0.42
    s = np.clip((out - inner) / (outer - inner), 0, 1)
    lift = random.uniform(0.04, 0.12)
    axis = random.uniform(0.15, 0.2) - lift * s + 0.016 * np.sin(2 * np.pi * (s - 0.1))
    thick = random.uniform(0.014, 0.02) * (1 + 0.5 * (1 - s) ** 4)
    return (np.abs(frame.y - axis) < thick) & (out > inner) & (out < outer)


def disc(frame: Frame, x: float, y: float, radius: float) -> Mask:
    """Draw a disc around (x, y)."""
    return np.hypot(frame.x - x, frame.y - y) < radius


def soft_tissue(random: Generator, frame: Frame, fields: Mask, dense: Mask) -> Plane:
    """Brightness of torso, neck, arms, air in lungs and trachea, abdomen and stomach gas.

    Args:
        random: source of the proportions.
        frame: coordinates.
        fields: lung fields without the heart.
        dense: heart and aortic knob.
    """
    x, y = np.abs(frame.x), frame.y
    trunk = random.uniform(0.43, 0.5)
    shoulders = 0.11 + (trunk + 0.06 - 0.11) * np.clip((y + 0.02) / 0.16, 0, 1) ** 0.6
    flank = trunk + 0.14 * np.clip(1 - (y - 0.1) / 0.5, 0, 1)
    edge = np.minimum(shoulders, flank)
    light = 0.62 * np.sqrt(np.clip(1 - (x / edge) ** 2, 0, 1)) ** 0.5
    arms = (x > trunk + 0.02) & (x < trunk + 0.2) & (y > 0.3 + 1.5 * (x - trunk))
    light = np.maximum(light, 0.5 * _soften(arms, 0.01))
    abdomen = _soften((y > 0.7) & (x < trunk), 0.03) * 0.2
    light += abdomen * (1 - _soften(fields, 0.003))
    light -= random.uniform(0.27, 0.36) * (
        0.75 * _soften(fields, 0.004) + 0.25 * _soften(fields, 0.03)
    )
    light += 0.07 * _soften(dense, 0.006) + 0.12 * np.exp(-((x / 0.05) ** 2))
    light -= 0.1 * np.exp(-((frame.x / 0.018) ** 2)) * (y < random.uniform(0.26, 0.32))
    gas = np.hypot((frame.x - 0.17) / 0.07, (y - random.uniform(0.82, 0.9)) / 0.04)
    light -= random.choice([0.0, 0.12]) * _soften(gas < 1, 0.006)
    return (light + 0.015 * _smooth(random, light.shape[0], 0.05)).astype(np.float32)


def bones(random: Generator, frame: Frame, fields: Mask, clavicles: list[Mask]) -> Plane:
    """Brightness of clavicles, ribs (brighter at their edges), vertebrae and shoulder blades."""
    size = frame.x.shape[0]
    x, y = np.abs(frame.x), frame.y
    light = np.zeros_like(x)
    for clavicle in clavicles:
        light += random.uniform(0.07, 0.11) * (
            0.6 * _soften(clavicle, 0.002) + 0.4 * _soften(clavicle, 0.006)
        )
    chest = _soften(dilate(fields, size // 60), 0.004) * (x > 0.05)
    step = random.uniform(0.07, 0.082)
    # Posterior ribs slope downwards from the spine, anterior ribs towards it; those are fainter.
    back = (
        y - 0.6 * x + 1.9 * (x - 0.15) ** 2 * np.sign(x - 0.15) + random.uniform(0, step)
    ) / step
    front = (y + 1.1 * x - 0.4 * x**2 + random.uniform(0, step)) / (1.5 * step)
    for phase, strength in ((back, 0.05), (front * (y > 0.25), 0.03)):
        across = np.abs(phase - np.floor(phase) - 0.5)  # 0 on the rib's axis, 0.5 between ribs
        rib = np.clip((0.26 - across) / 0.05, 0, 1)
        rim = np.exp(-(((across - 0.22) / 0.035) ** 2))
        light += strength * random.uniform(0.7, 1.2) * (0.6 * rib + 0.5 * rim) * chest
    body = 0.03 * np.sin(2 * np.pi * y / random.uniform(0.05, 0.065)) * (x < 0.04)
    blade = np.hypot((x - random.uniform(0.37, 0.42)) / 0.06, (y - 0.28) / 0.15) < 1
    return light + body.astype(np.float32) + 0.05 * _soften(blade, 0.006)


def vessels(random: Generator, frame: Frame, fields: Mask) -> Plane:
    """Brightness of vessels: thin ridges of noise, dense at the hila and fading outwards."""
    size = frame.x.shape[0]
    hila = np.hypot((np.abs(frame.x) - 0.11) / 0.16, (frame.y - 0.45) / 0.24)
    ridges = np.zeros_like(frame.x)
    for scale, weight in ((0.03, 1.0), (0.014, 0.8), (0.007, 0.5)):
        ridges += weight * np.exp(-((_smooth(random, size, scale) / 0.25) ** 2))
    fade = 0.25 + np.exp(-(hila**2))
    return (random.uniform(0.03, 0.06) * ridges * fade * _soften(fields, 0.003)).astype(np.float32)


def expose(random: Generator, light: Plane) -> Plane:
    """Apply scatter, grain, exposure and label blocks; the result lies in [0, 1]."""
    from scipy import ndimage

    size = light.shape[0]
    scatter = ndimage.gaussian_filter(light[::4, ::4], size / 80)
    scatter = np.repeat(np.repeat(scatter, 4, 0), 4, 1)[:size, :size]
    light = 0.85 * light + 0.15 * scatter
    low, high = np.percentile(light, (0.5, 99.5))
    light = np.clip((light - low) / (high - low), 0, 1) ** random.uniform(0.7, 1.5)
    light = random.uniform(0.03, 0.2) + random.uniform(0.6, 0.78) * light
    light += random.uniform(0.003, 0.01) * random.standard_normal(light.shape, np.float32)
    for corner in random.permutation(2)[: random.integers(0, 3)]:
        tall, wide = int(size * random.uniform(0.03, 0.07)), int(size * random.uniform(0.1, 0.15))
        left = int(size * random.uniform(0, 0.12))
        left = size - left - wide if corner else left
        light[:tall, left : left + wide] = 0
    return np.clip(light, 0, 1).astype(np.float32)
