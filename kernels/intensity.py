"""Sums of grey levels and probabilities by label, and contrast stretching."""

from typing import Any

import numpy as np
import numpy.typing as npt

from ._jit import kernel
from .components import Runs

#: 16-bit pixels whose sum fits 32 bits: 65536 * 65535 < 2**32.
_BLOCK = 65536


def sum_runs(
    pixels: npt.NDArray[Any], runs: Runs, values: npt.NDArray[np.uint8]
) -> npt.NDArray[np.float64]:
    """Sum the grey levels of the pixels under the runs of each value, except value 0.

    Args:
        pixels: (H, W) uint8, uint16, float32 or float64 of either byte order.
        runs: runs of an (H, W) label map.
        values: (n,) uint8 value of each run.

    Returns:
        (256,) float64 sum by value; exact for integers.

    Raises:
        ValueError: the shapes do not match, or pixels have another dtype.
    """
    if pixels.shape != runs.shape or values.shape != runs.labels.shape:
        raise ValueError(
            f"runs of {runs.shape} and {values.shape} values do not fit {pixels.shape} pixels"
        )
    if pixels.dtype.newbyteorder("=") not in (np.uint8, np.uint16, np.float32, np.float64):
        raise ValueError(f"sum_runs reads uint8, uint16 and floats, not {pixels.dtype}")
    sums = np.zeros(256, np.float64)
    if pixels.dtype.kind == "f":
        native = pixels.astype(pixels.dtype.newbyteorder("="), copy=False)
        _sum_floats(native, runs.rows, runs.starts, runs.stops, values, sums)
    else:
        native = pixels.view(pixels.dtype.newbyteorder("="))
        swapped = not pixels.dtype.isnative
        _sum_integers(native, swapped, runs.rows, runs.starts, runs.stops, values, sums)
    return sums


def stretch(values: npt.NDArray[np.float32], black: float, white: float) -> npt.NDArray[np.uint8]:
    """Map ``black`` to 0 and ``white`` to 255 linearly, and clip. Either may be the greater.

    Args:
        values: (H, W) float32.
        black: the value that becomes 0.
        white: the value that becomes 255; if it equals ``black``, everything becomes 0.

    Returns:
        (H, W) uint8, rounded down.

    Raises:
        ValueError: ``values`` is not 2-D float32.
    """
    if values.ndim != 2 or values.dtype != np.float32:
        raise ValueError(f"stretch needs (H, W) float32, not {values.dtype} {values.shape}")
    out = np.empty(values.shape, np.uint8)
    scale = 255 / (white - black) if white != black else 0.0
    _stretch(values, np.float32(black), np.float32(scale), out)
    return out


def class_sums(
    probabilities: npt.NDArray[np.float32], labels: npt.NDArray[np.uint8], column: int
) -> npt.NDArray[np.float64]:
    """Sum the probabilities of each class on either side of a column: all, and inside its mask.

    Args:
        probabilities: (H, W, classes) float32 of any strides.
        labels: (H, W) uint8, below ``classes``.
        column: first column of the second side, 0 to W.

    Returns:
        (2, classes, 4) float64: area of the mask in pixels; sum of the class's probability p
        inside the mask; sum of p; sum of p (1 - p).

    Raises:
        ValueError: shapes or dtypes do not match, or a label or the column is out of range.
    """
    if probabilities.ndim != 3 or probabilities.dtype != np.float32 or labels.dtype != np.uint8:
        raise ValueError(f"class_sums needs (H, W, classes) float32, not {probabilities.shape}")
    if probabilities.shape[:2] != labels.shape or labels.max() >= probabilities.shape[2]:
        raise ValueError(f"labels of {labels.shape} do not fit {probabilities.shape}")
    if not 0 <= column <= labels.shape[1]:
        raise ValueError(f"class_sums needs a column of {labels.shape}, not {column}")
    sums = np.zeros((2, probabilities.shape[2], 4), np.float64)
    _class_sums(probabilities, labels, column, sums)
    return sums


@kernel
def _stretch(values, black, scale, out):
    for y in range(values.shape[0]):
        for x in range(values.shape[1]):
            value = (values[y, x] - black) * scale
            out[y, x] = np.uint8(min(max(value, np.float32(0)), np.float32(255)))


@kernel
def _class_sums(probabilities, labels, column, sums):
    """Sums over the image are kept by column, which vectorises; sums inside masks by run."""
    height, width, classes = probabilities.shape
    edges = (0, column, width)
    total, variance = np.zeros((2, width, classes), np.float64)
    for y in range(height):
        for x in range(width):
            for label in range(classes):
                share = np.float64(probabilities[y, x, label])
                total[x, label] += share
                variance[x, label] += share * (1 - share)
        for side in range(2):
            first, stop = edges[side], edges[side + 1]
            if first == stop:
                continue
            current, inside = labels[y, first], 0.0
            for x in range(first, stop):
                if labels[y, x] != current:
                    sums[side, current, 0] += x - first
                    sums[side, current, 1] += inside
                    first, current, inside = x, labels[y, x], 0.0
                inside += probabilities[y, x, current]
            sums[side, current, 0] += stop - first
            sums[side, current, 1] += inside
    for side in range(2):
        for x in range(edges[side], edges[side + 1]):
            for label in range(classes):
                sums[side, label, 2] += total[x, label]
                sums[side, label, 3] += variance[x, label]


@kernel
def _sum_integers(pixels, swapped, rows, starts, stops, values, sums):
    for run in range(len(rows)):
        if values[run] == 0:
            continue
        line = pixels[rows[run], starts[run] : stops[run]]
        for first in range(0, len(line), _BLOCK):
            block = line[first : first + _BLOCK]
            if swapped:  # swap the bytes of the sums instead of each pixel's
                low, high = np.uint32(0), np.uint32(0)
                for x in range(len(block)):
                    low += np.uint32(block[x] >> 8)
                    high += np.uint32(block[x] & 255)
                total = np.float64(high) * 256 + np.float64(low)
            else:
                plain = np.uint32(0)
                for x in range(len(block)):
                    plain += np.uint32(block[x])
                total = np.float64(plain)
            sums[values[run]] += total


@kernel
def _sum_floats(pixels, rows, starts, stops, values, sums):
    for run in range(len(rows)):
        if values[run] == 0:
            continue
        y = rows[run]
        total = 0.0
        for x in range(starts[run], stops[run]):
            total += pixels[y, x]
        sums[values[run]] += total
