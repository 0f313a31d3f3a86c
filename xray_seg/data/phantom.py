"""Synthetic posterior-anterior chest radiographs with true masks, in the JSRT and SCR layouts.

Phantoms are drawn from random numbers and average proportions, not from images of people: they may
be copied, published and shipped.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt

from ..readers.raw import JSRT_SHAPE, JSRT_WHITE
from . import phantom_drawing as drawing
from .phantom_drawing import Mask, Plane
from .scr import SCR_MASKS

#: Side in pixels of the masks in the SCR database, and of a phantom unless given.
MASK_SIZE = 1024


@dataclass(frozen=True)
class Phantom:
    """A synthetic radiograph and its masks.

    Attributes:
        radiograph: (S, S) float32 in [0, 1], bones bright.
        masks: (S, S) bool each, by SCR name; they may overlap, as in the SCR database.
    """

    radiograph: Plane
    masks: dict[str, Mask]


def make_phantom(seed: int, size: int = MASK_SIZE) -> Phantom:
    """Draw a phantom. The same seed and size give the same phantom.

    Args:
        seed: selects proportions, tilt, heart size, exposure, noise and label blocks.
        size: side S of the square image in pixels, at least 64.

    Raises:
        ValueError: ``size`` is below 64.
    """
    if size < 64:
        raise ValueError(f"a phantom needs at least 64 pixels a side, not {size}")
    random = np.random.default_rng(seed)
    frame = drawing.make_frame(random, size)
    lungs = [drawing.lung(random, frame, side) for side in (-1, 1)]
    heart = drawing.heart(random, frame)
    clavicles = [drawing.clavicle(random, frame, side) for side in (-1, 1)]
    knob = drawing.disc(frame, 0.055, random.uniform(0.22, 0.27), random.uniform(0.03, 0.05))
    # The area between heart and spine, below the heart, shows no lung.
    below = np.maximum.accumulate(heart, axis=0) & (frame.x < 0.12)
    fields = [lungs[0] & ~heart & ~below, lungs[1] & ~heart & ~below & ~knob]
    inside = fields[0] | fields[1]
    light = drawing.soft_tissue(random, frame, inside, heart | knob)
    light += drawing.bones(random, frame, inside, clavicles)
    light += drawing.vessels(random, frame, inside)
    radiograph = drawing.expose(random, light)
    reach = drawing.dilate(lungs[0] | lungs[1], size // 50)
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
    """Merge the masks of a phantom into an (S, S) uint8 label map."""
    from ..kernels import merge_masks

    return merge_masks(
        [phantom.masks[name] for name, _ in SCR_MASKS], [organ.label for _, organ in SCR_MASKS]
    )


def write_phantoms(
    folder: str | Path,
    count: int,
    *,
    seed: int = 0,
    on_progress: Callable[[int], None] = lambda done: None,
) -> list[str]:
    """Write phantoms as JSRT-format files, with masks in the SCR layout.

    ``folder/images/PHANTOM001.IMG`` is 2048 x 2048, big-endian uint16, 12 bits, high values dark.
    ``folder/scr/fold1|fold2/masks/<structure>/PHANTOM001.gif`` is 1024 x 1024; odd numbers are in
    fold1.

    Args:
        folder: created if it does not exist.
        count: number of phantoms; their names are numbered from 1.
        seed: seed of the first phantom; the n-th has ``seed + n - 1``.
        on_progress: called after each phantom with the number written so far.

    Returns:
        The names of the phantoms, without suffix.
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
        on_progress(number)
    return names


def to_jsrt(radiograph: Plane) -> npt.NDArray[np.uint16]:
    """Convert an image to the pixels of a JSRT file.

    Args:
        radiograph: (H, W) float32 in [0, 1], bones bright.

    Returns:
        (2048, 2048) big-endian uint16 of 12 bits, high values dark.
    """
    from ..kernels import area_mean, upsample_plane

    resize = area_mean if radiograph.shape[0] >= JSRT_SHAPE[0] else upsample_plane
    resized = resize(radiograph, JSRT_SHAPE)
    return ((1 - resized) * JSRT_WHITE).round().astype(">u2")
