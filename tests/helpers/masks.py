"""Cases with random masks."""

import numpy as np

from helpers.tiny import PARTS, write_gif
from xray_seg.data.cases import Case


def write_masks(folder, masks, name="A001"):
    """Write masks by SCR name as GIF files; the case, whose radiograph is not written."""
    paths = {part: write_gif(folder / part / f"{name}.gif", mask) for part, mask in masks.items()}
    return Case(name, folder / f"{name}.png", paths)


def random_masks(seed, shape=(21, 17)):
    random = np.random.default_rng(seed)
    return {part: random.random(shape) < 0.4 for part in PARTS}
