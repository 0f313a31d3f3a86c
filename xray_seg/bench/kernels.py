"""Timing of kernels, relative to the time that reading their input takes."""

from __future__ import annotations

import tempfile
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from itertools import cycle
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from .._util.concurrency import available_cores
from ..data.phantom import make_phantom, phantom_labels, to_jsrt
from ..data.scr import SCR_MASKS
from ..labels import CLASSES
from ..outputs.grey import render_grey
from ..outputs.overlay import render_overlay
from ..readers import read
from .timing import Measurement, take_turns

#: Name of the measurement that the others are compared with.
FLOOR = "read the bytes once (sum of the memory map)"
_SIDE = 2048
#: Files of 8 MiB that take turns, so that their bytes come from memory, not from a cache.
_COPIES = 12


def bench_kernels(size: int = 128, repeats: int = 15) -> list[Measurement]:
    """Time each kernel on 2048 x 2048 phantoms from the page cache, on one core.

    Args:
        size: side of the network's grid.
        repeats: rounds.

    Returns:
        Measurements; the first is FLOOR.
    """
    from ..kernels import area_fractions, area_mean, merge_masks, upsample_argmax
    from ..postprocessing.cleanup import clean

    phantom = make_phantom(0)
    masks = [phantom.masks[name] for name, _ in SCR_MASKS]
    values = [organ.label for _, organ in SCR_MASKS]
    labels = phantom_labels(phantom).repeat(2, axis=0).repeat(2, axis=1)
    probabilities = area_fractions(labels, (size, size), CLASSES)
    with tempfile.TemporaryDirectory() as folder:
        paths = write_raw_copies(Path(folder), to_jsrt(phantom.radiograph).tobytes())
        radiograph = read(paths[0])
        words = cycle([map_words(path) for path in paths])
        images = cycle([read(path).pixels for path in paths])
        out = np.empty((size, size), np.float32)
        _check_decode(radiograph.pixels, area_mean(radiograph.pixels, (size, size), out=out))
        calls: dict[str, Callable[[], Any]] = {
            FLOOR: lambda: next(words).sum(),
            f"decode + area mean to {size} x {size}": lambda: area_mean(
                next(images), (size, size), out=out
            ),
            "merge 5 masks of 1024 x 1024 + area fractions": lambda: area_fractions(
                merge_masks(masks, values), (size, size), CLASSES
            ),
            f"upsample + argmax, {size} to {_SIDE}": lambda: upsample_argmax(
                probabilities, (_SIDE, _SIDE)
            ),
            "clean a label map, 2048 x 2048": lambda: clean(labels.copy()),
            "overlay of 1024 x 1024": lambda: render_overlay(render_grey(radiograph, 1024), labels),
        }
        length = radiograph.pixels.nbytes
        sizes = [length] * 2 + [0, 0, 0, 0]
        seconds = take_turns(calls, repeats)
        found = [
            Measurement(name, times, bytes=size)
            for (name, times), size in zip(seconds.items(), sizes, strict=True)
        ]
        return [*found, *_scaling([read(path).pixels for path in paths], size, repeats)]


def write_raw_copies(folder: Path, data: bytes) -> list[Path]:
    """Write a raw file several times, together larger than a processor's cache."""
    paths = [folder / f"image{index}.IMG" for index in range(_COPIES)]
    for path in paths:
        path.write_bytes(data)
    return paths


def map_words(path: Path) -> npt.NDArray[np.uint64]:
    """Map a file as 64-bit integers, whose sum takes little more time than reading them."""
    return np.memmap(path, np.uint64, "r")


def _scaling(pixels: Sequence[npt.NDArray[Any]], size: int, repeats: int) -> list[Measurement]:
    """Time reading and decoding with one thread, and with one thread per core.

    Where reading alone is not twice as fast on two cores, decoding cannot be either.
    """
    from ..kernels import area_mean

    cores = available_cores()
    images = list(pixels) * cores
    work_by_name: dict[str, Callable[[npt.NDArray[Any]], Any]] = {
        "read": lambda image: image.view(np.uint64).sum(),
        "decode": lambda image: area_mean(image, (size, size)),
    }
    calls: dict[str, Callable[[], Any]] = {}
    with ThreadPoolExecutor(cores) as pool:

        def share_out(work: Callable[[npt.NDArray[Any]], Any], threads: int) -> None:
            shares = [images[first::threads] for first in range(threads)]
            list(pool.map(lambda share: [work(image) for image in share], shares))

        for name, work in work_by_name.items():
            for threads in dict.fromkeys((1, cores)):
                calls[f"{name}, {threads} thread{'s' * (threads > 1)}"] = partial(
                    share_out, work, threads
                )
        seconds = take_turns(calls, repeats)
    length = sum(image.nbytes for image in images)
    return [Measurement(name, times, len(images), length) for name, times in seconds.items()]


def _check_decode(pixels: npt.NDArray[Any], found: npt.NDArray[np.float32]) -> None:
    """Raise AssertionError if the area mean differs from that of numpy."""
    side = pixels.shape[0] // found.shape[0]
    blocks = pixels.reshape(found.shape[0], side, found.shape[1], side)
    np.testing.assert_allclose(found, blocks.mean(axis=(1, 3)), rtol=1e-5)
