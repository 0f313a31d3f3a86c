"""Small cases, and a network of 3,216 parameters, for tests that train or export."""

import shutil
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path

import imagecodecs
import numpy as np
import pytest

from xray_seg.data.cases import Case, find_cases
from xray_seg.data.phantom import make_phantom
from xray_seg.models import network
from xray_seg.models.model_folder import load_model, write_card
from xray_seg.training.config import TrainingConfig

TINY_CONFIG = TrainingConfig(
    network="tiny",
    size=16,
    epochs=3,
    batch_size=2,
    learning_rate=0.01,
    phantoms=0,
    precision="float32",
)

PARTS = ("heart", "left clavicle", "left lung", "right clavicle", "right lung")


@contextmanager
def tiny_network() -> Iterator[None]:
    """A network of two levels, known by the name ``tiny`` within the block."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setitem(network.FILTERS, "tiny", (8, 4))
        yield


@contextmanager
def copied_exports(model: Path) -> Iterator[None]:
    """Publish copies of a model folder instead of exports, which take seconds, within the block."""

    def export(network: object, folder: Path, name: str, facts: dict[str, object]) -> Path:
        shutil.copytree(model, folder)
        write_card(folder, {**load_model(model).card, "name": name, **facts})
        return folder

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("xray_seg.training.publish.export", export)
        yield


def write_gif(path: Path, mask: np.ndarray) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(imagecodecs.gif_encode(np.where(mask, np.uint8(255), np.uint8(0))))
    return path


def write_png(path: Path, pixels: np.ndarray) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(imagecodecs.png_encode(pixels))
    return path


def write_cases(folder: Path, count: int, size: int = 64) -> list[Case]:
    """Write phantoms as 8-bit PNG images with GIF masks, and find them as cases."""
    for number in range(1, count + 1):
        phantom = make_phantom(number, size)
        image = (phantom.radiograph * 255).round().astype(np.uint8)
        write_png(folder / "images" / f"SMALL{number:03d}.png", image)
        for part, mask in phantom.masks.items():
            write_gif(folder / "scr" / "masks" / part / f"SMALL{number:03d}.gif", mask)
    return find_cases(folder / "images", folder / "scr")


def touch(path: Path) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.touch()
    return path


def fold_of(name: str) -> str:
    """SCR's fold of a case: odd numbers in fold1, even ones in fold2."""
    return f"fold{2 - int(name[-3:]) % 2}"


def lay_out(
    root: Path,
    names: Iterable[str],
    suffix: str = ".IMG",
    fold: Callable[[str], str] = fold_of,
) -> tuple[Path, Path]:
    """Make empty files in SCR's layout; returns the folders of images and of masks."""
    for name in names:
        touch(root / "images" / f"{name}{suffix}")
        for part in PARTS:
            touch(root / "scr" / fold(name) / "masks" / part / f"{name}.gif")
    return root / "images", root / "scr"


def slow_merge(masks: dict[str, np.ndarray]) -> np.ndarray:
    """Label map of masks by SCR name, pixel by pixel: clavicles before heart before lungs."""
    order = (
        ("left clavicle", 1),
        ("right clavicle", 1),
        ("heart", 2),
        ("left lung", 3),
        ("right lung", 3),
    )
    labels = np.zeros(masks["heart"].shape, np.uint8)
    for place in np.ndindex(labels.shape):
        labels[place] = next((label for part, label in order if masks[part][place]), 0)
    return labels


def slow_normalise(plane: np.ndarray) -> np.ndarray:
    """1st and 99th percentile, by sorting, to 0 and 1; clipped."""
    ranked = np.sort(plane.astype(np.float64), axis=None)

    def percentile(share: float) -> float:
        place = share * (len(ranked) - 1)
        below = int(place)
        above = min(below + 1, len(ranked) - 1)
        return float(ranked[below] + (place - below) * (ranked[above] - ranked[below]))

    low, high = percentile(0.01), percentile(0.99)
    return ((plane - low) / (high - low)).clip(0, 1)


def block_mean(plane: np.ndarray, side: int) -> np.ndarray:
    """Mean of each ``side`` x ``side`` block of the first two axes."""
    rows, columns = plane.shape[0] // side, plane.shape[1] // side
    blocks = plane.astype(np.float64).reshape(rows, side, columns, side, *plane.shape[2:])
    return blocks.mean(axis=(1, 3))
