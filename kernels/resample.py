"""Resample by area means in one pass over the source, and label maps by nearest neighbour."""

import numpy as np
import numpy.typing as npt

from ._jit import kernel


def area_mean(
    source: npt.NDArray[np.generic],
    shape: tuple[int, int],
    *,
    out: npt.NDArray[np.float32] | None = None,
) -> npt.NDArray[np.float32]:
    """Resize by the mean over the area that each target pixel covers, for any ratio.

    Args:
        source: (H, W) uint8, uint16, float32 or float64, of either byte order and any strides. It
            is read once. Integers are not copied, so that a memory map is decoded while it is
            paged in.
        shape: (h, w) of the result; it may be larger than the source.
        out: (h, w) float32 array to write into, for instance a view of a batch.

    Returns:
        (h, w) float32 in the source's units.

    Raises:
        ValueError: a dimension is empty, the dtype is another, or ``out`` has another shape or
            dtype.
    """
    if source.ndim != 2 or 0 in source.shape or min(shape) < 1:
        raise ValueError(f"area_mean needs non-empty 2-D arrays, got {source.shape} to {shape}")
    if source.dtype.newbyteorder("=") not in (np.uint8, np.uint16, np.float32, np.float64):
        raise ValueError(f"area_mean reads uint8, uint16 and floats, not {source.dtype}")
    if out is None:
        out = np.empty(shape, np.float32)
    elif out.shape != tuple(shape) or out.dtype != np.float32:
        raise ValueError(f"out must be float32 {tuple(shape)}, not {out.dtype} {out.shape}")
    swapped = not source.dtype.isnative
    if source.dtype.kind == "f":
        _mean_of_floats(source.astype(source.dtype.newbyteorder("="), copy=False), out)
        return out
    native = source.view(source.dtype.newbyteorder("=")) if swapped else source
    if source.shape[0] % shape[0] == 0:
        _mean_of_whole_rows(native, swapped, out)
    else:
        _mean_of_integers(native, swapped, out)
    return out


def area_fractions(
    labels: npt.NDArray[np.uint8], shape: tuple[int, int], classes: int
) -> npt.NDArray[np.float32]:
    """Resize a label map to the fraction of each target pixel's area that each class covers.

    Args:
        labels: (H, W) uint8 label map, values below ``classes``.
        shape: (h, w) of the result.
        classes: number of classes, background included.

    Returns:
        (h, w, classes) float32 that sums to 1 over the last axis.

    Raises:
        ValueError: a dimension is empty, the dtype is another, or a label is out of range.
    """
    if labels.ndim != 2 or 0 in labels.shape or labels.dtype != np.uint8 or min(shape) < 1:
        raise ValueError(f"area_fractions needs a 2-D uint8 label map, got {labels.dtype}")
    if int(labels.max()) >= classes:
        raise ValueError(f"label {labels.max()} is not one of {classes} classes")
    out = np.zeros((*shape, classes), np.float32)
    _fractions(labels, out)
    return out


def nearest(labels: npt.NDArray[np.uint8], shape: tuple[int, int]) -> npt.NDArray[np.uint8]:
    """Resize a label map to (h, w): each pixel takes the label at its centre."""
    rows, columns = (
        (2 * np.arange(few) + 1) * many // (2 * few)
        for few, many in zip(shape, labels.shape, strict=True)
    )
    out = np.empty(shape, labels.dtype)
    _pick(labels, rows, columns, out)
    return out


@kernel
def _pick(labels, rows, columns, out):
    for y in range(len(rows)):
        for x in range(len(columns)):
            out[y, x] = labels[rows[y], columns[x]]


@kernel
def _mean_of_whole_rows(source, swapped, out):
    """For a whole number of source rows per target row: sums are exact integers."""
    rows, columns = source.shape
    height, width = out.shape
    band = rows // height
    sums = np.empty(columns, np.uint32)  # band * 65535 < 2**32 for any height below 65537
    spare = np.empty(columns, np.uint32)
    edges = _column_edges(columns, width)
    for i in range(height):
        sums[:] = 0
        for y in range(i * band, (i + 1) * band):
            if swapped:
                for x in range(columns):
                    pixel = np.uint16(source[y, x])
                    sums[x] += np.uint32(np.uint16((pixel >> 8) | (pixel << 8)))
            else:
                for x in range(columns):
                    sums[x] += np.uint32(source[y, x])
        if columns % width == 0:
            _fold_columns(sums, spare, band, out[i])
        else:
            _reduce_columns(sums, edges, 1.0 / (columns * band), out[i])


@kernel
def _mean_of_integers(source, swapped, out):
    rows, columns = source.shape
    height, width = out.shape
    sums = np.empty(columns, np.float32)
    edges = _column_edges(columns, width)
    for i in range(height):
        sums[:] = 0
        first, last = (i * rows) // height, -((-(i + 1) * rows) // height)
        for y in range(first, last):
            # Overlap of target and source row in units of 1 / (rows * height), an integer.
            overlap = min((i + 1) * rows, (y + 1) * height) - max(i * rows, y * height)
            weight = np.float32(overlap / rows)
            if swapped:
                for x in range(columns):
                    pixel = np.uint16(source[y, x])
                    sums[x] += weight * np.float32(np.uint16((pixel >> 8) | (pixel << 8)))
            else:
                for x in range(columns):
                    sums[x] += weight * np.float32(source[y, x])
        _reduce_columns(sums, edges, 1.0 / columns, out[i])


@kernel
def _mean_of_floats(source, out):
    rows, columns = source.shape
    height, width = out.shape
    sums = np.empty(columns, np.float64)
    edges = _column_edges(columns, width)
    for i in range(height):
        sums[:] = 0
        first, last = (i * rows) // height, -((-(i + 1) * rows) // height)
        for y in range(first, last):
            overlap = min((i + 1) * rows, (y + 1) * height) - max(i * rows, y * height)
            weight = overlap / rows
            for x in range(columns):
                sums[x] += weight * source[y, x]
        _reduce_columns(sums, edges, 1.0 / columns, out[i])


@kernel
def _halve(sums, halved, count):
    for x in range(count):
        halved[x] = sums[2 * x] + sums[2 * x + 1]


@kernel
def _fold_columns(sums, spare, band, target):
    """target[j] = mean of a whole number of columns; each sum is of ``band`` pixels.

    Halving the row repeatedly vectorises, which a loop per target does not.
    """
    count, width = len(sums), len(target)
    wide = count // width
    pixels = band
    while wide % 2 == 0 and pixels <= 32768:  # 2 * 32768 * 65535 < 2**32
        count //= 2
        _halve(sums, spare, count)
        sums, spare = spare, sums
        wide //= 2
        pixels *= 2
    scale = 1.0 / (pixels * wide)
    if wide == 1:
        for j in range(width):
            target[j] = np.float64(sums[j]) * scale
        return
    for j in range(width):
        total = np.uint64(0)
        for x in range(j * wide, (j + 1) * wide):
            total += np.uint64(sums[x])
        target[j] = np.float64(total) * scale


@kernel
def _column_edges(columns, width):
    """(4, width): first and last source column of each target column, and its overlap with each.

    Overlaps are in units of 1 / width of a source column, so that they are integers. Where first
    and last are the same column, the last one's overlap is 0.
    """
    edges = np.empty((4, width), np.int64)
    for j in range(width):
        start, stop = j * columns, (j + 1) * columns
        first, last = start // width, (stop - 1) // width
        edges[0, j], edges[1, j] = first, last
        edges[2, j] = min((first + 1) * width, stop) - start
        edges[3, j] = stop - last * width if last > first else 0
    return edges


@kernel
def _reduce_columns(sums, edges, scale, target):
    """target[j] = scale times the sums of source columns, weighted by their overlap with j."""
    width = len(target)
    for j in range(width):
        first, last = edges[0, j], edges[1, j]
        between = 0.0
        for x in range(first + 1, last):
            between += np.float64(sums[x])
        ends = np.float64(sums[first]) * edges[2, j] + np.float64(sums[last]) * edges[3, j]
        target[j] = (ends + between * width) * scale


@kernel
def _fractions(labels, out):
    rows, columns = labels.shape
    height, width = out.shape[:2]
    scale = 1.0 / (rows * np.float64(columns))
    for i in range(height):
        for y in range((i * rows) // height, -((-(i + 1) * rows) // height)):
            tall = min((i + 1) * rows, (y + 1) * height) - max(i * rows, y * height)
            for j in range(width):
                for x in range((j * columns) // width, -((-(j + 1) * columns) // width)):
                    wide = min((j + 1) * columns, (x + 1) * width) - max(j * columns, x * width)
                    out[i, j, labels[y, x]] += np.float32(tall * wide * scale)
