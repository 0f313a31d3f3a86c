"""From class probabilities on the grid to labels at the source's own resolution."""

import numpy as np
import numpy.typing as npt

from ._jit import kernel


def upsample_argmax(
    probabilities: npt.NDArray[np.float32], shape: tuple[int, int]
) -> npt.NDArray[np.uint8]:
    """Label of the greatest bilinearly interpolated probability at each pixel of ``shape``.

    Pixel centres are aligned by area (half-pixel centres) and the outermost values extend to
    the border, as in ``tf.image.resize``. Nothing of size (H, W, classes) is ever made: between
    four grid nodes that agree on a class, that class wins everywhere (the interpolation is a
    convex combination), so only the cells that a boundary crosses are computed pixel by pixel.

    Args:
        probabilities: (h, w, classes) float32, or any scores; at most 255 classes.
        shape: (H, W) of the result.

    Returns:
        (H, W) uint8; on a tie the lower label.

    Raises:
        ValueError: an empty dimension or another dtype.
    """
    if probabilities.ndim != 3 or 0 in probabilities.shape or min(shape) < 1:
        raise ValueError(f"cannot restore {probabilities.shape} to {tuple(shape)}")
    if probabilities.dtype != np.float32:
        raise ValueError(f"probabilities must be float32, not {probabilities.dtype}")
    height, width = probabilities.shape[:2]
    out = np.empty(shape, np.uint8)
    winners = probabilities.argmax(axis=2).astype(np.uint8)
    _upsample_argmax(
        probabilities, winners, *_nodes(height, shape[0]), *_nodes(width, shape[1]), out
    )
    return out


def upsample_plane(
    plane: npt.NDArray[np.float32], shape: tuple[int, int]
) -> npt.NDArray[np.float32]:
    """Bilinear interpolation of one (h, w) float32 plane to ``shape``, as in upsample_argmax."""
    rows, _, row_share = _nodes(plane.shape[0], shape[0])
    columns, _, column_share = _nodes(plane.shape[1], shape[1])
    next_row = np.minimum(rows + 1, plane.shape[0] - 1)
    next_column = np.minimum(columns + 1, plane.shape[1] - 1)
    wide = plane[:, columns] + (plane[:, next_column] - plane[:, columns]) * column_share
    return wide[rows] + (wide[next_row] - wide[rows]) * row_share[:, None]


def _nodes(
    nodes: int, pixels: int
) -> tuple[npt.NDArray[np.intp], npt.NDArray[np.intp], npt.NDArray[np.float32]]:
    """For each pixel of an axis: the node before it, where its run of equal nodes ends, its share.

    Returns (pixels,) arrays: index of the lower node, end of the run of pixels that lie between
    the same two nodes, and weight of the upper node in [0, 1).
    """
    place = np.clip((np.arange(pixels) + 0.5) * (nodes / pixels) - 0.5, 0, nodes - 1)
    lower = np.floor(place).astype(np.intp)
    ends = np.searchsorted(lower, lower, side="right").astype(np.intp)
    return lower, ends, (place - lower).astype(np.float32)


@kernel
def _upsample_argmax(
    probabilities, winners, rows, row_ends, row_share, columns, column_ends, column_share, out
):
    height, width, classes = probabilities.shape
    blended = np.empty((width, classes), np.float32)  # this row, at the nodes' columns
    for y in range(out.shape[0]):
        upper, share = rows[y], row_share[y]
        lower = min(upper + 1, height - 1)
        start = 0
        ready = False
        while start < out.shape[1]:
            stop = column_ends[start]
            left = columns[start]
            right = min(left + 1, width - 1)
            winner = winners[upper, left]
            if (
                winners[upper, right] == winner
                and winners[lower, left] == winner
                and winners[lower, right] == winner
            ):
                out[y, start:stop] = winner
            else:
                if not ready:
                    for j in range(width):
                        for c in range(classes):
                            above = probabilities[upper, j, c]
                            blended[j, c] = above + (probabilities[lower, j, c] - above) * share
                    ready = True
                for x in range(start, stop):
                    weight = column_share[x]
                    best, label = np.float32(-np.inf), 0
                    for c in range(classes):
                        value = blended[left, c] + (blended[right, c] - blended[left, c]) * weight
                        if value > best:
                            best, label = value, c
                    out[y, x] = label
            start = stop
