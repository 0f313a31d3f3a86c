"""Upsample class probabilities from the grid to labels at the radiograph's own resolution."""

import numpy as np
import numpy.typing as npt

from ._jit import kernel


def upsample_argmax(
    probabilities: npt.NDArray[np.float32], shape: tuple[int, int]
) -> npt.NDArray[np.uint8]:
    """Upsample probabilities bilinearly and return the most probable label of each pixel.

    Pixel centres are at half-integers and the outermost values extend to the border, as in
    ``tf.image.resize``. No array of (H, W, classes) is allocated: where four neighbouring grid
    nodes agree on a class, it wins in the whole cell between them, because interpolation is a
    convex combination. Only the other cells are computed pixel by pixel.

    Args:
        probabilities: (h, w, classes) float32, or any scores; at most 255 classes.
        shape: (H, W) of the result.

    Returns:
        (H, W) uint8; on a tie the lower label.

    Raises:
        ValueError: a dimension is empty or the dtype is another.
    """
    if probabilities.ndim != 3 or 0 in probabilities.shape or min(shape) < 1:
        raise ValueError(f"cannot restore {probabilities.shape} to {tuple(shape)}")
    height, width = probabilities.shape[:2]
    out = np.empty(shape, np.uint8)
    winners = most_probable(probabilities)
    _upsample_argmax(
        probabilities, winners, *_nodes(height, shape[0]), *_nodes(width, shape[1]), out
    )
    return out


def most_probable(probabilities: npt.NDArray[np.float32]) -> npt.NDArray[np.uint8]:
    """The most probable label of each node of the grid.

    Args:
        probabilities: (h, w, classes) float32, or any scores; at most 255 classes.

    Returns:
        (h, w) uint8; on a tie the lower label.

    Raises:
        ValueError: the dtype or the number of dimensions is another.
    """
    if probabilities.ndim != 3 or probabilities.dtype != np.float32:
        raise ValueError(f"probabilities must be 3-D float32, not {probabilities.dtype}")
    winners = np.empty(probabilities.shape[:2], np.uint8)
    _argmax(probabilities, winners)
    return winners


def upsample_plane(
    plane: npt.NDArray[np.float32], shape: tuple[int, int]
) -> npt.NDArray[np.float32]:
    """Upsample an (h, w) float32 plane bilinearly, aligned as in ``upsample_argmax``."""
    rows, _, row_share = _nodes(plane.shape[0], shape[0])
    columns, _, column_share = _nodes(plane.shape[1], shape[1])
    next_row = np.minimum(rows + 1, plane.shape[0] - 1)
    next_column = np.minimum(columns + 1, plane.shape[1] - 1)
    wide = plane[:, columns] + (plane[:, next_column] - plane[:, columns]) * column_share
    return wide[rows] + (wide[next_row] - wide[rows]) * row_share[:, None]


def _nodes(
    nodes: int, pixels: int
) -> tuple[npt.NDArray[np.intp], npt.NDArray[np.intp], npt.NDArray[np.float32]]:
    """Position of each pixel of an axis between grid nodes.

    Returns:
        (pixels,) arrays: index of the lower node; end of the run of pixels that lie between the
        same two nodes; weight of the upper node in [0, 1).
    """
    place = np.clip((np.arange(pixels) + 0.5) * (nodes / pixels) - 0.5, 0, nodes - 1)
    lower = np.floor(place).astype(np.intp)
    ends = np.searchsorted(lower, lower, side="right").astype(np.intp)
    return lower, ends, (place - lower).astype(np.float32)


@kernel
def _argmax(probabilities, winners):
    for y in range(winners.shape[0]):
        for x in range(winners.shape[1]):
            best, label = probabilities[y, x, 0], 0
            for c in range(1, probabilities.shape[2]):
                if probabilities[y, x, c] > best:
                    best, label = probabilities[y, x, c], c
            winners[y, x] = label


@kernel
def _upsample_argmax(
    probabilities, winners, rows, row_ends, row_share, columns, column_ends, column_share, out
):
    """Process bands of rows between the same nodes: agreed cells are painted once, then copied."""
    mixed = np.empty(min(probabilities.shape[1] + 1, out.shape[1]), np.intp)
    at_left, rise = np.empty((2, probabilities.shape[2]), np.float32)
    first = 0
    while first < out.shape[0]:
        stop = row_ends[first]
        upper = rows[first]
        lower = min(upper + 1, probabilities.shape[0] - 1)
        count = _paint_agreed(
            winners[upper], winners[lower], columns, column_ends, mixed, out[first]
        )
        for y in range(first + 1, stop):
            out[y] = out[first]
        for y in range(first, stop):
            for cell in range(count):
                start = mixed[cell]
                left = columns[start]
                right = min(left + 1, probabilities.shape[1] - 1)
                for c in range(probabilities.shape[2]):
                    one, two = probabilities[upper, left, c], probabilities[upper, right, c]
                    one += (probabilities[lower, left, c] - one) * row_share[y]
                    two += (probabilities[lower, right, c] - two) * row_share[y]
                    at_left[c], rise[c] = one, two - one
                for x in range(start, column_ends[start]):
                    best, label = np.float32(-np.inf), 0
                    for c in range(len(rise)):
                        value = at_left[c] + rise[c] * column_share[x]
                        if value > best:
                            best, label = value, c
                    out[y, x] = label
        first = stop


@kernel
def _paint_agreed(above, below, columns, ends, mixed, line):
    """Paint the cells of a row whose four nodes agree; list the first pixels of the others."""
    count, start = 0, 0
    begun, label = 0, 0
    while start < len(line):
        left = columns[start]
        right = min(left + 1, len(above) - 1)
        winner = above[left]
        if above[right] == winner and below[left] == winner and below[right] == winner:
            if winner != label:
                line[begun:start] = label
                begun, label = start, winner
        else:  # any label will do here, it is overwritten
            mixed[count] = start
            count += 1
        start = ends[start]
    line[begun:] = label
    return count
