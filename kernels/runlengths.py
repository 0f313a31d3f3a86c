"""Run lengths of a label map, in the encodings of COCO and CheXmask.

COCO's counts are column-major and start with the number of pixels before the mask, which may be 0.
CheXmask's pairs are row-major: position of a run's first pixel, from 1, and its length.
"""

import numpy as np
import numpy.typing as npt

from ._jit import kernel
from ._types import Ints
from .components import Runs, find_runs

#: Longest count in characters: 63 bits take 13 groups of 5.
_LONGEST = 13


def row_major_runs(labels: npt.NDArray[np.uint8]) -> Runs:
    """Find the runs of an (H, W) uint8 label map in row-major order; runs may span rows.

    Returns:
        Runs of shape (1, H * W).
    """
    return find_runs(labels.reshape(1, -1))


def column_major_runs(labels: npt.NDArray[np.uint8]) -> Runs:
    """Find the runs in column-major order; otherwise as ``row_major_runs``."""
    return find_runs(labels.reshape(1, -1, order="F"))


def start_lengths(runs: Runs, label: int) -> Ints:
    """(n, 2) position of the first pixel, from 1, and length of each run with a label."""
    selected = runs.labels == label
    return np.stack([runs.starts[selected] + 1, runs.lengths[selected]], axis=1)


def alternating_counts(runs: Runs, label: int) -> Ints:
    """(n,) alternating counts of pixels outside and inside a label; their sum is H * W."""
    selected = runs.labels == label
    edges = np.stack([runs.starts[selected], runs.stops[selected]], axis=1).ravel()
    counts = np.diff(edges, prepend=0, append=runs.shape[0] * runs.shape[1])
    return counts if counts[-1] else counts[:-1]


def coco_string(counts: Ints) -> str:
    """Compress counts as COCO's API does: 5 bits a character, differences from the third on.

    Raises:
        ValueError: ``counts`` is not a 1-D int64 array.
    """
    if counts.ndim != 1 or counts.dtype != np.int64:
        raise ValueError(f"counts must be 1-D int64, not {counts.dtype} {counts.shape}")
    out = np.empty(_LONGEST * len(counts), np.uint8)
    return out[: _compress(counts, out)].tobytes().decode("ascii")


@kernel
def _compress(counts, out):
    """Write characters to ``out`` and return their number."""
    place = 0
    for index in range(len(counts)):
        value = counts[index]
        if index > 2:
            value -= counts[index - 2]
        more = True
        while more:
            group = value & 31
            value >>= 5
            # Done when all remaining bits equal the sign, which is bit 4 of the last group.
            more = value != -1 if group & 16 else value != 0
            out[place] = 48 + group + 32 * more
            place += 1
    return place
