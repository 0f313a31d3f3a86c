"""Slow, obvious references for the kernels: matrices and loops, no code shared with them."""

from collections import deque

import numpy as np
from scipy.spatial import ConvexHull


def overlap_matrix(pixels: int, targets: int) -> np.ndarray:
    """(targets, pixels): fraction of each target's length that each pixel covers."""
    edges = np.linspace(0, pixels, targets + 1)
    shares = np.zeros((targets, pixels))
    for target in range(targets):
        for pixel in range(pixels):
            covered = min(edges[target + 1], pixel + 1) - max(edges[target], pixel)
            shares[target, pixel] = max(covered, 0) * targets / pixels
    return shares


def slow_area_mean(source: np.ndarray, shape: tuple[int, int]) -> np.ndarray:
    rows = overlap_matrix(source.shape[0], shape[0])
    columns = overlap_matrix(source.shape[1], shape[1])
    return rows @ source.astype(np.float64) @ columns.T


def interpolation_matrix(nodes: int, pixels: int) -> np.ndarray:
    """(pixels, nodes): hat functions at half-pixel centres, constant beyond the outer nodes."""
    weights = np.zeros((pixels, nodes))
    for pixel in range(pixels):
        place = min(max((pixel + 0.5) * nodes / pixels - 0.5, 0), nodes - 1)
        for node in range(nodes):
            weights[pixel, node] = max(0, 1 - abs(place - node))
    return weights


def slow_upsample(values: np.ndarray, shape: tuple[int, int]) -> np.ndarray:
    rows = interpolation_matrix(values.shape[0], shape[0])
    columns = interpolation_matrix(values.shape[1], shape[1])
    return np.einsum("yi,xj,ij...->yx...", rows, columns, values.astype(np.float64))


def slow_pieces(groups: np.ndarray) -> np.ndarray:
    """(H, W) number of each 4-connected piece of equal groups, in order of first appearance."""
    pieces = np.full(groups.shape, -1)
    count = 0
    for start in np.ndindex(groups.shape):
        if pieces[start] >= 0:
            continue
        pending = deque([start])
        pieces[start] = count
        while pending:
            y, x = pending.popleft()
            for near in ((y - 1, x), (y + 1, x), (y, x - 1), (y, x + 1)):
                inside = 0 <= near[0] < groups.shape[0] and 0 <= near[1] < groups.shape[1]
                if inside and pieces[near] < 0 and groups[near] == groups[start]:
                    pieces[near] = count
                    pending.append(near)
        count += 1
    return pieces


def slow_blend(
    grey: np.ndarray, labels: np.ndarray, colours: np.ndarray, opacity: float
) -> np.ndarray:
    """Nearest label for each pixel; opaque where one of four neighbours has another label."""
    height, width = grey.shape
    near = np.empty(grey.shape, np.uint8)
    for y, x in np.ndindex(grey.shape):
        row = int((y + 0.5) * labels.shape[0] / height)
        column = int((x + 0.5) * labels.shape[1] / width)
        near[y, x] = labels[row, column]
    padded = np.pad(near, 1, mode="edge")
    out = np.repeat(grey[..., None], 3, axis=2).astype(np.float64)
    for y, x in np.ndindex(grey.shape):
        label = near[y, x]
        if label == 0:
            continue
        around = (padded[y, x + 1], padded[y + 2, x + 1], padded[y + 1, x], padded[y + 1, x + 2])
        share = 1 if any(other != label for other in around) else opacity
        out[y, x] = out[y, x] * (1 - share) + colours[label] * share
    return out


def slow_sample(plane: np.ndarray, row: float, column: float, fill: float) -> float:
    """Bilinear value, replicated for half a pixel beyond the outer centres, then ``fill``."""
    rows, columns = plane.shape
    if not (-0.5 < row < rows - 0.5 and -0.5 < column < columns - 0.5):
        return fill
    row, column = min(max(row, 0), rows - 1), min(max(column, 0), columns - 1)
    total = 0.0
    for y in range(rows):
        for x in range(columns):
            total += max(0, 1 - abs(row - y)) * max(0, 1 - abs(column - x)) * float(plane[y, x])
    return total


def slow_counts(mask: np.ndarray) -> list[int]:
    """Alternating counts of pixels outside and inside, in column-major order."""
    counts, inside = [0], False
    for x in range(mask.shape[1]):
        for y in range(mask.shape[0]):
            if bool(mask[y, x]) != inside:
                counts.append(0)
                inside = not inside
            counts[-1] += 1
    return counts


def slow_paint(pairs: str, shape: tuple[int, int]) -> np.ndarray:
    """The mask of row-major pairs of a first pixel, from 1, and a length."""
    mask = np.zeros(shape[0] * shape[1], bool)
    numbers = [int(word) for word in pairs.split()]
    for first, length in zip(numbers[::2], numbers[1::2], strict=True):
        for place in range(first, first + length):
            assert not mask[place - 1]
            mask[place - 1] = True
    return mask.reshape(shape)


def slow_fill(polygon: np.ndarray, shape: tuple[int, int]) -> np.ndarray:
    """Pixels from whose centre a ray to the left crosses an odd number of sides."""
    mask = np.zeros(shape, bool)
    corners = [tuple(int(number) for number in point) for point in polygon]
    sides = list(zip(corners, corners[1:] + corners[:1], strict=True))
    for y in range(shape[0]):
        crossings = [
            x0 + (y + 0.5 - y0) * (x1 - x0) / (y1 - y0)
            for (x0, y0), (x1, y1) in sides
            if min(y0, y1) < y + 0.5 < max(y0, y1)
        ]
        for x in range(shape[1]):
            mask[y, x] = sum(place < x + 0.5 for place in crossings) % 2
    return mask


def slow_box_sums(field: np.ndarray, half_width: int, times: int) -> np.ndarray:
    """Several times the sum over a square around each pixel; the outermost values extend."""
    size = 2 * half_width + 1
    for _ in range(times):
        padded = np.pad(field, half_width, mode="edge")
        shifted = [
            padded[y : y + field.shape[0], x : x + field.shape[1]]
            for y in range(size)
            for x in range(size)
        ]
        field = np.sum(shifted, axis=0)
    return field


def slow_lengths(field: np.ndarray) -> tuple[float, float]:
    """Length of the line of zeros, segment by segment, and perimeter of scipy's convex hull."""
    padded = np.pad(field, 1, constant_values=-1).astype(float)
    segments = []
    for y, x in np.ndindex(padded.shape[0] - 1, padded.shape[1] - 1):
        ring = [(y, x), (y, x + 1), (y + 1, x + 1), (y + 1, x)]  # clockwise
        crossings = []  # (point, whether the next corner is positive)
        for one, two in zip(ring, [*ring[1:], ring[0]], strict=True):
            a, b = padded[one], padded[two]
            if (a > 0) != (b > 0):
                point = np.array(one) + (np.array(two) - one) * a / (a - b)
                crossings.append((point, b > 0))
        # Walking on from where a positive corner begins, the next crossing is where it ends.
        for place, (point, begins) in enumerate(crossings):
            if begins:
                segments.append((point, crossings[(place + 1) % len(crossings)][0]))
    if not segments:
        return 0.0, 0.0
    points = np.concatenate(segments).reshape(-1, 2)
    length = sum(float(np.hypot(*(one - two))) for one, two in segments)
    return length, float(ConvexHull(points).area)  # of two dimensions: the perimeter


def slow_boundary(mask: np.ndarray) -> list[tuple[int, int]]:
    """Pixels of a mask that have a 4-neighbour outside it or outside the image."""
    padded = np.pad(mask, 1)
    return [
        (y, x)
        for y, x in zip(*np.nonzero(mask), strict=True)
        if not (
            padded[y, x + 1] and padded[y + 2, x + 1] and padded[y + 1, x] and padded[y + 1, x + 2]
        )
    ]


def slow_distances(one: np.ndarray, other: np.ndarray, spacing: tuple[float, float]) -> np.ndarray:
    """Distances from each boundary pixel of either mask to the other's nearest one."""
    edges = [np.array(slow_boundary(mask)) * spacing for mask in (one, other)]
    distances = np.linalg.norm(edges[0][:, None] - edges[1][None], axis=2)
    return np.concatenate([distances.min(axis=1), distances.min(axis=0)])


def slow_covered(labels: np.ndarray, cover: int, covered: int) -> np.ndarray:
    """Pixels of ``cover`` that no straight line separates from the ``covered`` ones beside them."""
    height, width = labels.shape
    touching = []
    for y, x in np.argwhere(labels == covered):
        near = ((y - 1, x), (y + 1, x), (y, x - 1), (y, x + 1))
        if any(0 <= j < height and 0 <= i < width and labels[j, i] == cover for j, i in near):
            touching.append((y, x))
    mask = np.zeros(labels.shape, bool)
    if not touching:
        return mask
    points = np.array(touching)

    steps = (points[:, None] - points[None]).reshape(-1, 2)
    lines = np.stack([steps[:, 1], -steps[:, 0]], axis=1)  # across each step
    lines = np.concatenate([lines, [(1, 0), (-1, 0), (0, 1), (0, -1)]])
    ends = (lines @ points.T).min(axis=1)
    for y, x in np.argwhere(labels == cover):
        mask[y, x] = (lines @ (y, x) >= ends).all()
    return mask
