"""The kernels beside the time to read their input's bytes once."""

from __future__ import annotations

import tempfile
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from ..anatomy import CLASSES, ORGANS
from ..engines import available_cores
from ..phantom import make_phantom, phantom_labels, to_jsrt
from ..readers import read
from ..writers import render_overlay
from .timing import Measurement, take_turns

#: Name of the measurement that the others are compared with.
FLOOR = "read the bytes once (sum of the memory map)"
_SIDE = 2048


def bench_kernels(size: int = 128, repeats: int = 15) -> list[Measurement]:
    """Time each kernel on one 2048 x 2048 phantom from the page cache, on one core.

    Args:
        size: side of the network's grid.
        repeats: rounds.

    Returns:
        Measurements; the first is the floor.
    """
    from ..kernels import area_fractions, area_mean, merge_masks, upsample_argmax
    from ..postprocess import clean

    phantom = make_phantom(0)
    masks = [phantom.masks[part] for organ in ORGANS for part in organ.parts]
    values = [organ.label for organ in ORGANS for _ in organ.parts]
    labels = phantom_labels(phantom).repeat(2, axis=0).repeat(2, axis=1)
    probabilities = area_fractions(labels, (size, size), CLASSES)
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "film.IMG"
        path.write_bytes(to_jsrt(phantom.radiograph).tobytes())
        film = read(path)
        pixels = film.pixels
        # The file's own bytes in the widest integers: no conversion, only reading.
        words = np.memmap(path, np.uint64, "r")
        out = np.empty((size, size), np.float32)
        _check_decode(pixels, area_mean(pixels, (size, size), out))
        calls: dict[str, Callable[[], Any]] = {
            FLOOR: words.sum,
            f"decode + area mean to {size} x {size}": lambda: area_mean(pixels, (size, size), out),
            "merge 5 masks of 1024 x 1024 + area fractions": lambda: area_fractions(
                merge_masks(masks, values), (size, size), CLASSES
            ),
            f"upsample + argmax, {size} to {_SIDE}": lambda: upsample_argmax(
                probabilities, (_SIDE, _SIDE)
            ),
            "clean a label map, 2048 x 2048": lambda: clean(labels.copy()),
            "overlay of 1024 x 1024": lambda: render_overlay(film, labels, 1024),
        }
        sizes = [path.stat().st_size] * 2 + [0, 0, 0, 0]
        seconds = take_turns(calls, repeats)
        found = [
            Measurement(name, times, bytes=size)
            for (name, times), size in zip(seconds.items(), sizes, strict=True)
        ]
        return [*found, *_scaling(pixels, size, repeats, path.stat().st_size)]


def _scaling(pixels: npt.NDArray[Any], size: int, repeats: int, length: int) -> list[Measurement]:
    """Decoding of many films by one thread and by one a core."""
    from ..kernels import area_mean

    cores = available_cores()
    films = 8 * cores

    def decode(_: int) -> None:
        area_mean(pixels, (size, size))

    calls: dict[str, Callable[[], Any]] = {}
    with ThreadPoolExecutor(1) as one, ThreadPoolExecutor(cores) as all_cores:
        calls["decode, 1 thread"] = lambda: list(one.map(decode, range(films)))
        calls[f"decode, {cores} threads"] = lambda: list(all_cores.map(decode, range(films)))
        seconds = take_turns(calls, repeats)
    return [Measurement(name, times, films, films * length) for name, times in seconds.items()]


def _check_decode(pixels: npt.NDArray[Any], found: npt.NDArray[np.float32]) -> None:
    side = pixels.shape[0] // found.shape[0]
    blocks = pixels.reshape(found.shape[0], side, found.shape[1], side)
    np.testing.assert_allclose(found, blocks.mean(axis=(1, 3)), rtol=1e-5)
