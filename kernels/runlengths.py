"""Run lengths of a label map, in the two dialects that people exchange masks in.

COCO's counts go down the columns and begin with the pixels outside the mask, of which there may
be none. CheXmask's pairs go along the rows: the place of a run's first pixel, from 1, and its
length.
"""

import numpy as np
import numpy.typing as npt

from ._jit import kernel
from ._types import Ints
from .components import Runs, find_runs

#: A count is at most 2 ** 63 - 1, which takes 13 groups of 5 bits.
_LONGEST = 13


def row_major_runs(labels: npt.NDArray[np.uint8]) -> Runs:
    """Runs of an (H, W) uint8 label map read row by row; one may go on in the next row.

    Returns:
        Runs of shape (1, H * W).
    """
    return find_runs(labels.reshape(1, -1))


def column_major_runs(labels: npt.NDArray[np.uint8]) -> Runs:
    """The same read column by column."""
    return find_runs(labels.reshape(1, -1, order="F"))


def start_lengths(runs: Runs, label: int) -> Ints:
    """(n, 2) place of the first pixel, from 1, and length of each run with a label."""
    mine = runs.labels == label
    return np.stack([runs.starts[mine] + 1, runs.lengths[mine]], axis=1)


def alternating_counts(runs: Runs, label: int) -> Ints:
    """(n,) pixels outside and inside of a label by turns, outside first; their sum is H * W."""
    mine = runs.labels == label
    edges = np.stack([runs.starts[mine], runs.stops[mine]], axis=1).ravel()
    counts = np.diff(edges, prepend=0, append=runs.shape[0] * runs.shape[1])
    return counts if counts[-1] else counts[:-1]


def coco_string(counts: Ints) -> str:
    """Counts as COCO's API compresses them: 5 bits a character, differences from the third on.

    Raises:
        ValueError: they are not a 1-D int64 array.
    """
    if counts.ndim != 1 or counts.dtype != np.int64:
        raise ValueError(f"counts must be 1-D int64, not {counts.dtype} {counts.shape}")
    out = np.empty(_LONGEST * len(counts), np.uint8)
    return out[: _compress(counts, out)].tobytes().decode("ascii")


@kernel
def _compress(counts, out):
    """Fill ``out`` with characters and return how many."""
    place = 0
    for index in range(len(counts)):
        value = counts[index]
        if index > 2:
            value -= counts[index - 2]
        more = True
        while more:
            group = value & 31
            value >>= 5
            # Bit 4 is the sign of what is left: all bits of it must agree with that.
            more = value != -1 if group & 16 else value != 0
            out[place] = 48 + group + 32 * more
            place += 1
    return place
