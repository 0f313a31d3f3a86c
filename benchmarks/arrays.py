"""Compare kernels with numpy, OpenCV, scikit-image and TensorFlow."""

from __future__ import annotations

import tempfile
from collections.abc import Callable
from itertools import cycle
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import numpy.typing as npt
from skimage.transform import resize

from xray_seg._util.tensorflow import tensorflow
from xray_seg.bench import Measurement, take_turns
from xray_seg.bench.kernels import map_words, write_raw_copies
from xray_seg.data.phantom import make_phantom, phantom_labels, to_jsrt
from xray_seg.data.scr import SCR_MASKS
from xray_seg.kernels import area_fractions, area_mean, merge_masks, upsample_argmax
from xray_seg.labels import CLASSES
from xray_seg.readers import read

Calls = dict[str, Callable[[], Any]]

SIDE = 2048


def compare_decoding(size: int, repeats: int) -> list[Measurement]:
    """Time the decoding of a cached raw file to its area mean on the grid, on one core."""
    cv2.setNumThreads(1)
    with tempfile.TemporaryDirectory() as folder:
        paths = write_raw_copies(Path(folder), to_jsrt(make_phantom(0).radiograph).tobytes())
        files, words = cycle(paths), cycle([map_words(path) for path in paths])
        mapped = cycle([read(path).pixels for path in paths])

        def from_file() -> npt.NDArray[np.float32]:
            return np.fromfile(next(files), ">u2").reshape(SIDE, SIDE).astype(np.float32)

        calls: Calls = {
            "read the bytes once (sum over the memory map)": lambda: next(words).sum(),
            "xray-seg": lambda: area_mean(next(mapped), (size, size)),
            "xray-seg, file opened each time": lambda: area_mean(
                read(next(files)).pixels, (size, size)
            ),
            "numpy + OpenCV INTER_AREA": lambda: cv2.resize(
                from_file(), (size, size), interpolation=cv2.INTER_AREA
            ),
        }
        slow: Calls = {
            "numpy + scikit-image resize": lambda: resize(
                from_file(), (size, size), anti_aliasing=True, preserve_range=True
            )
        }
        expected = calls["xray-seg"]()
        _check(calls["numpy + OpenCV INTER_AREA"](), expected, 1e-4)
        _check(slow["numpy + scikit-image resize"](), expected, 0.05)  # a Gaussian, not a mean
        times = take_turns(calls, repeats) | take_turns(slow, max(3, repeats // 8))
    return [Measurement(name, seconds, bytes=SIDE * SIDE * 2) for name, seconds in times.items()]


def compare_masks(size: int, repeats: int) -> list[Measurement]:
    """Time the merging of five masks of 1024 x 1024 to area fractions per class on the grid."""
    phantom = make_phantom(0)
    masks = [phantom.masks[name] for name, _ in SCR_MASKS]
    values = [organ.label for _, organ in SCR_MASKS]
    side = len(masks[0]) // size

    def with_numpy() -> npt.NDArray[np.float32]:
        merged = np.zeros(masks[0].shape, np.uint8)
        for mask, value in zip(masks[::-1], values[::-1], strict=True):
            merged[mask] = value
        is_class = merged[..., None] == np.arange(CLASSES)
        blocks = is_class.reshape(size, side, size, side, CLASSES)
        return blocks.mean(axis=(1, 3), dtype=np.float32)

    calls: Calls = {
        "xray-seg": lambda: area_fractions(merge_masks(masks, values), (size, size), CLASSES),
        "numpy": with_numpy,
    }
    _check(calls["numpy"](), calls["xray-seg"](), 1e-5)
    return [Measurement(name, times) for name, times in take_turns(calls, repeats).items()]


def compare_restoring(size: int, repeats: int) -> list[Measurement]:
    """Time the restoring of probabilities on the grid to a label map of 2048 x 2048."""
    tf = tensorflow()
    labels = phantom_labels(make_phantom(0))
    scores = area_fractions(labels, (size, size), CLASSES)

    def with_tensorflow() -> npt.NDArray[np.uint8]:
        fine = tf.image.resize(scores, (SIDE, SIDE))
        return np.asarray(tf.cast(tf.argmax(fine, axis=-1), tf.uint8))

    def with_opencv() -> npt.NDArray[np.uint8]:
        fine = cv2.resize(scores, (SIDE, SIDE), interpolation=cv2.INTER_LINEAR)
        return fine.argmax(axis=2).astype(np.uint8)

    calls: Calls = {
        "xray-seg": lambda: upsample_argmax(scores, (SIDE, SIDE)),
        "tf.image.resize + argmax": with_tensorflow,
        "OpenCV INTER_LINEAR + numpy argmax": with_opencv,
    }
    expected = calls["xray-seg"]()
    for name in ("tf.image.resize + argmax", "OpenCV INTER_LINEAR + numpy argmax"):
        if np.mean(calls[name]() == expected) < 0.9995:  # ties on the phantom's straight edges
            raise AssertionError(f"{name}: labels differ from xray-seg's")
    return [Measurement(name, times) for name, times in take_turns(calls, repeats).items()]


def _check(found: npt.NDArray[Any], expected: npt.NDArray[Any], share: float) -> None:
    """Raise AssertionError if two results differ by more than a share of their range."""
    apart = float(np.abs(found - expected).max()) / float(np.ptp(expected))
    if apart > share:
        raise AssertionError(f"results differ by {apart:.2%} of their range")
