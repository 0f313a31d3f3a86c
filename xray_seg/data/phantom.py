"""Synthetic posterior-anterior chest radiographs with true masks, in the JSRT and SCR layouts.

Anatomy is drawn by inequalities on a gently bent coordinate system, and grey values add up as
optical densities do along a ray. Proportions follow the average outlines of adult frontal films.
The shapes are those of no person: a phantom may be copied, published and shipped.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt

from ..readers.raw import JSRT_SHAPE, JSRT_WHITE
from .scr import SCR_MASKS

if TYPE_CHECKING:
    from numpy.random import Generator

Plane = npt.NDArray[np.float32]
Mask = npt.NDArray[np.bool_]

#: Side of the masks in the SCR database, and of the canvas that anatomy is drawn on.
MASK_SIZE = 1024


@dataclass(frozen=True)
class Phantom:
    """A synthetic radiograph and its truth.

    Attributes:
        radiograph: (1024, 1024) float32 in [0, 1], bones bright.
        masks: by SCR name, (1024, 1024) bool each; organs may overlap, as in the SCR database.
    """

    radiograph: Plane
    masks: dict[str, Mask]


@dataclass(frozen=True)
class _Frame:
    """Bent and tilted coordinates: x to the right and y down in [0, 1], midline at x = 0."""

    x: Plane
    y: Plane


def make_phantom(seed: int, size: int = MASK_SIZE) -> Phantom:
    """Draw a phantom; the same seed and size give the same one.

    Args:
        seed: chooses proportions, tilt, heart size, exposure, noise and label blocks.
        size: side of the square canvas in pixels, at least 64.

    Raises:
        ValueError: ``size`` is below 64.
    """
    if size < 64:
        raise ValueError(f"a phantom needs at least 64 pixels a side, not {size}")
    random = np.random.default_rng(seed)
    frame = _frame(random, size)
    lungs = [_lung(random, frame, side) for side in (-1, 1)]
    heart = _heart(random, frame)
    clavicles = [_clavicle(random, frame, side) for side in (-1, 1)]
    knob = _disc(frame, 0.055, random.uniform(0.22, 0.27), random.uniform(0.03, 0.05))
    # No free lung beneath the heart, between it and the spine.
    below = np.maximum.accumulate(heart, axis=0) & (frame.x < 0.12)
    fields = [lungs[0] & ~heart & ~below, lungs[1] & ~heart & ~below & ~knob]
    inside = fields[0] | fields[1]
    light = _soft_tissue(random, frame, inside, heart | knob)
    light += _bones(random, frame, inside, clavicles)
    light += _vessels(random, frame, inside)
    radiograph = _expose(random, light)
    reach = _widened(lungs[0] | lungs[1], size // 50)
    return Phantom(
        radiograph,
        {
            "right lung": fields[0],
            "left lung": fields[1],
            "heart": heart,
            "right clavicle": clavicles[0] & reach,
            "left clavicle": clavicles[1] & reach,
        },
    )


def phantom_labels(phantom: Phantom) -> npt.NDArray[np.uint8]:
    """The label map of a phantom's masks, (H, W) uint8."""
    from ..kernels import merge_masks

    pairs = [(phantom.masks[name], organ.label) for name, organ in SCR_MASKS]
    return merge_masks([mask for mask, _ in pairs], [label for _, label in pairs])


def write_phantoms(
    folder: str | Path, count: int, seed: int = 0, tell: Callable[[int], None] = lambda done: None
) -> list[str]:
    """Write phantoms as JSRT-format files with masks in the SCR layout.

    ``folder/images/PHANTOM001.IMG`` is 2048 x 2048, big-endian uint16, 12 bits, high = dark;
    ``folder/scr/fold1|fold2/masks/<organ>/PHANTOM001.gif`` is 1024 x 1024, odd numbers in fold1.

    Args:
        folder: made if it is not there.
        count: how many, numbered from 1.
        seed: of the first; the n-th phantom has seed + n - 1.
        tell: called with the number done after each.

    Returns:
        The names, without suffix.
    """
    import imagecodecs

    folder = Path(folder)
    (folder / "images").mkdir(parents=True, exist_ok=True)
    names = []
    for number in range(1, count + 1):
        name = f"PHANTOM{number:03d}"
        phantom = make_phantom(seed + number - 1)
        to_jsrt(phantom.radiograph).tofile(folder / "images" / f"{name}.IMG")
        for structure, _ in SCR_MASKS:
            target = folder / "scr" / f"fold{2 - number % 2}" / "masks" / structure
            target.mkdir(parents=True, exist_ok=True)
            mask = np.where(phantom.masks[structure], np.uint8(255), np.uint8(0))
            (target / f"{name}.gif").write_bytes(imagecodecs.gif_encode(mask))
        names.append(name)
        tell(number)
    return names


def to_jsrt(radiograph: Plane) -> npt.NDArray[np.uint16]:
    """A radiograph in [0, 1], bones bright, as (2048, 2048) big-endian 12-bit optical density."""
    from ..kernels import area_mean, upsample_plane

    same = radiograph.shape[0] >= JSRT_SHAPE[0]
    resized = (area_mean if same else upsample_plane)(radiograph, JSRT_SHAPE)
    return ((1 - resized) * JSRT_WHITE).round().astype(">u2")


def _smooth(random: Generator, size: int, scale: float) -> Plane:
    """Noise of zero mean and unit spread that varies over ``scale`` of the canvas."""
    from scipy import ndimage

    from ..kernels import upsample_plane

    coarse = max(8, min(size, round(6 / scale)))
    noise = ndimage.gaussian_filter(
        random.standard_normal((coarse, coarse)), scale * coarse, mode="reflect"
    ).astype(np.float32)
    noise = (noise - noise.mean()) / (noise.std() + 1e-6)
    return upsample_plane(noise, (size, size))


def _soften(mask: Mask, scale: float) -> Plane:
    """The mask with edges as wide as ``scale`` of the canvas."""
    from scipy import ndimage

    return ndimage.gaussian_filter(mask.astype(np.float32), scale * mask.shape[0])


def _widened(mask: Mask, pixels: int) -> Mask:
    from scipy import ndimage

    return ndimage.distance_transform_edt(~mask) <= pixels


def _frame(random: Generator, size: int) -> _Frame:
    """Random scale, tilt, shift and bend of the patient before the film."""
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
    return _Frame(x.astype(np.float32), (y + 0.5).astype(np.float32))


def _lung(random: Generator, frame: _Frame, side: int) -> Mask:
    """The whole lung field of a side (-1: the patient's right, on the image's left)."""
    out = frame.x * side  # grows from the midline outwards on either side
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


def _heart(random: Generator, frame: _Frame) -> Mask:
    """An egg whose tip points down and to the patient's left."""
    size = random.uniform(0.135, 0.185)
    x, y = frame.x - random.uniform(0.035, 0.06), frame.y - random.uniform(0.6, 0.65)
    turn = random.uniform(0.35, 0.7)
    along, across = np.cos(turn) * x + np.sin(turn) * y, -np.sin(turn) * x + np.cos(turn) * y
    narrow = 1 - random.uniform(0.1, 0.3) * along / size
    egg = np.abs(along / (1.13 * size)) ** 2.2 + np.abs(across / (0.95 * size * narrow)) ** 2.2
    return (egg < 1) & (y < size * random.uniform(0.85, 1.0))


def _clavicle(random: Generator, frame: _Frame, side: int) -> Mask:
    """An S-shaped bar from beside the sternum outwards and up."""
    out = frame.x * side
    inner, outer = random.uniform(0.045, 0.075), 0.42
    s = np.clip((out - inner) / (outer - inner), 0, 1)
    lift = random.uniform(0.04, 0.12)
    axis = random.uniform(0.15, 0.2) - lift * s + 0.016 * np.sin(2 * np.pi * (s - 0.1))
    thick = random.uniform(0.014, 0.02) * (1 + 0.5 * (1 - s) ** 4)
    return (np.abs(frame.y - axis) < thick) & (out > inner) & (out < outer)


def _disc(frame: _Frame, x: float, y: float, radius: float) -> Mask:
    return np.hypot(frame.x - x, frame.y - y) < radius


def _soft_tissue(random: Generator, frame: _Frame, fields: Mask, dense: Mask) -> Plane:
    """Torso, neck, arms, air in the lungs and trachea, abdomen, stomach gas."""
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


def _bones(random: Generator, frame: _Frame, fields: Mask, clavicles: list[Mask]) -> Plane:
    """Clavicles, ribs (brighter at their edges), vertebrae, shoulder blades."""
    size = frame.x.shape[0]
    x, y = np.abs(frame.x), frame.y
    light = np.zeros_like(x)
    for clavicle in clavicles:
        light += random.uniform(0.07, 0.11) * (
            0.6 * _soften(clavicle, 0.002) + 0.4 * _soften(clavicle, 0.006)
        )
    chest = _soften(_widened(fields, size // 60), 0.004) * (x > 0.05)
    step = random.uniform(0.07, 0.082)
    # Back ribs leave the spine and sink outwards; front ribs sink inwards and are fainter.
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


def _vessels(random: Generator, frame: _Frame, fields: Mask) -> Plane:
    """Branching markings: thin ridges of noise, dense at the hila and fading outwards."""
    size = frame.x.shape[0]
    hila = np.hypot((np.abs(frame.x) - 0.11) / 0.16, (frame.y - 0.45) / 0.24)
    ridges = np.zeros_like(frame.x)
    for scale, weight in ((0.03, 1.0), (0.014, 0.8), (0.007, 0.5)):
        ridges += weight * np.exp(-((_smooth(random, size, scale) / 0.25) ** 2))
    fade = 0.25 + np.exp(-(hila**2))
    return (random.uniform(0.03, 0.06) * ridges * fade * _soften(fields, 0.003)).astype(np.float32)


def _expose(random: Generator, light: Plane) -> Plane:
    """Scatter, grain, exposure and label blocks; the result lies in [0, 1]."""
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
