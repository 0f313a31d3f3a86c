"""Cases with random masks."""

from pathlib import Path

import numpy as np

from helpers.tiny import PARTS, write_gif
from xray_seg.data.cases import Case


def write_masks(folder: Path, masks: dict[str, np.ndarray], name: str = "A001") -> Case:
    """Write masks by SCR name as GIF files; returns a case without an image file."""
    paths = {part: write_gif(folder / part / f"{name}.gif", mask) for part, mask in masks.items()}
    return Case(name, folder / f"{name}.png", paths)


def random_masks(seed: int, shape: tuple[int, int] = (21, 17)) -> dict[str, np.ndarray]:
    random = np.random.default_rng(seed)
    return {part: random.random(shape) < 0.4 for part in PARTS}
