"""TensorFlow graph from the bytes of a file to the network's grid.

Reproduces ``readers.raw.read_raw`` and ``readers.read`` of a PNG exactly, and
``preprocessing.preprocessor.Preprocessor`` exactly where the sums of ``kernels.area_mean`` are
exact (JSRT files on grids of 128 and 256), otherwise within 1e-6. Constants are the library's, and
operations have the same order.
"""

from __future__ import annotations

from typing import Any

from .._util.tensorflow import tensorflow
from ..preprocessing.normalisation import BLACK_PERCENTILE, WHITE_PERCENTILE
from ..preprocessing.polarity import BRIGHT, DARK, MARGIN
from ..readers.raster import LUMA
from ..readers.raw import JSRT, JSRT_WHITE, OUTLIERS, SAMPLE

#: Values of the geometry that ``preprocess_graph`` returns: first row and column, height and width
#: of the radiograph on the grid; rows and columns of the radiograph.
GEOMETRY = ("top", "left", "height", "width", "rows", "columns")


def decode_jsrt(data: Any) -> Any:
    """Decode a JSRT file, as ``readers.raw.read_raw`` does.

    Args:
        data: scalar string tensor, the bytes of the file.

    Returns:
        (2048, 2048) int64 pixels as stored.

    Raises:
        InvalidArgumentError: when the graph runs, if the data have another length or more than
            ``OUTLIERS`` of the sampled pixels exceed 12 bits.
    """
    tf = tensorflow()
    length = tf.debugging.assert_equal(
        tf.strings.length(data), JSRT.length, f"not the {JSRT.length} bytes of a JSRT file"
    )
    with tf.control_dependencies([length]):
        pixels = tf.reshape(tf.io.decode_raw(data, tf.uint16, little_endian=False), JSRT.shape)
    too_high = tf.cast(pixels[SAMPLE] > JSRT_WHITE, tf.float64)
    values = tf.debugging.assert_less_equal(
        tf.reduce_mean(too_high),
        tf.constant(OUTLIERS, tf.float64),
        "not the 12-bit values of a JSRT file",
    )
    with tf.control_dependencies([values]):
        return tf.cast(pixels, tf.int64)


def decode_png(data: Any) -> Any:
    """Decode a PNG of 8 or 16 bits to grey, as ``readers.read`` does.

    Colours are converted to luma; an alpha channel is dropped.

    Args:
        data: scalar string tensor, the bytes of the file.

    Returns:
        (H, W) int64 grey values as stored.

    Raises:
        InvalidArgumentError: when the graph runs, if the data are not a PNG.
    """
    tf = tensorflow()
    pixels = tf.cast(tf.io.decode_png(data, channels=0, dtype=tf.uint16), tf.int64)
    # Byte 24 is the bit depth (ISO/IEC 15948, 11.2.2). TensorFlow scales 8 bits to 16 by 257.
    with tf.control_dependencies([pixels]):  # decoding verifies that there is a header
        depth = tf.io.decode_raw(tf.strings.substr(data, 24, 1), tf.uint8)[0]
    pixels = tf.where(depth == 16, pixels, pixels // 257)
    channels = tf.where(tf.shape(pixels)[2] < 3, [0, 0, 0], [0, 1, 2])
    red, green, blue = (pixels[..., channels[index]] for index in range(3))
    grey = tf.reduce_all((red == green) & (green == blue))
    return tf.cond(grey, lambda: red, lambda: _luma(red, green, blue))


def _luma(*planes: Any) -> Any:
    """Luma of red, green and blue, (H, W) int64 each, rounded."""
    tf = tensorflow()
    parts = [tf.cast(plane, tf.float64) * share for share, plane in zip(LUMA, planes, strict=True)]
    return tf.cast(tf.round(parts[0] + parts[1] + parts[2]), tf.int64)


def preprocess_graph(pixels: Any, size: int, inverted: bool | None) -> tuple[Any, Any]:
    """Map a radiograph to the network's grid, as ``Preprocessor`` does.

    Args:
        pixels: (H, W) int64 of up to 16 bits.
        size: side S of the grid.
        inverted: True where high values are dark; None to detect it.

    Returns:
        (S, S) float32 grid in [0, 1], bones bright, and (6,) int32 geometry, see GEOMETRY.
    """
    tf = tensorflow()
    shape = tf.shape(pixels)
    height, width = _side_on_grid(shape[0], shape, size), _side_on_grid(shape[1], shape, size)
    top, left = (size - height) // 2, (size - width) // 2
    content = _normalise(area_mean_graph(pixels, height, width), bool(inverted))
    if inverted is None:
        content = tf.where(_looks_inverted(content), 1 - content, content)
    around = [[top, size - height - top], [left, size - width - left]]
    grid = tf.ensure_shape(tf.pad(content, around), (size, size))
    return grid, tf.stack([top, left, height, width, shape[0], shape[1]])


def _side_on_grid(side: Any, shape: Any, size: int) -> Any:
    """Pixels that a side of a radiograph covers on the grid, as ``Letterbox.of`` computes them."""
    tf = tensorflow()
    longer = tf.cast(tf.reduce_max(shape), tf.float64)
    share = tf.cast(size * side, tf.float64) / longer
    return tf.maximum(1, tf.cast(tf.round(share), tf.int32))


def area_mean_graph(pixels: Any, height: Any, width: Any) -> Any:
    """Mean of (H, W) int64 pixels over the area of each of (height, width) target pixels, float32.

    Sums are exact integers, in units of 1 / (height * width) of a pixel; ``kernels.area_mean``
    differs by its own rounding, at most 1e-5 of a value.
    """
    tf = tensorflow()
    sums = _sums(tf.transpose(_sums(pixels, height)), width)
    count = tf.cast(tf.size(pixels), tf.float64)
    return tf.cast(tf.cast(tf.transpose(sums), tf.float64) / count, tf.float32)


def _sums(values: Any, targets: Any) -> Any:
    """Sums over ``targets`` equal intervals of the first axis, in units of 1 / targets of a row."""
    tf = tensorflow()
    rows = tf.shape(values)[0]
    before = tf.pad(tf.cumsum(values), [[1, 0], [0, 0]])
    bounds = tf.range(targets + 1) * rows  # in units of 1 / targets of a row
    whole, rest = bounds // targets, tf.cast(bounds % targets, tf.int64)
    split = tf.gather(values, tf.minimum(whole, rows - 1)) * rest[:, None]
    upto = tf.gather(before, whole) * tf.cast(targets, tf.int64) + split
    return upto[1:] - upto[:-1]


def _normalise(content: Any, inverted: bool) -> Any:
    """Map percentiles to 0 and 1, as ``preprocessing.normalisation.normalise`` does."""
    tf = tensorflow()
    ranked = tf.sort(tf.reshape(content, [-1]))
    low, high = (_percentile(ranked, share) for share in (BLACK_PERCENTILE, WHITE_PERCENTILE))
    black, white = (high, low) if inverted else (low, high)
    shares = tf.clip_by_value((content - black) / (white - black), 0, 1)
    return tf.where(high > low, shares, tf.zeros_like(content))


def _percentile(ranked: Any, percent: float) -> Any:
    """Percentile of sorted values by linear interpolation, with the rounding of numpy's."""
    tf = tensorflow()
    last = tf.size(ranked) - 1
    position = tf.cast(last, tf.float64) * (percent / 100)
    lower = tf.cast(tf.floor(position), tf.int32)
    share = position - tf.floor(position)
    before, after = ranked[lower], ranked[tf.minimum(lower + 1, last)]
    step = tf.cast(after - before, tf.float64)
    up, down = (tf.cast(value, tf.float64) for value in (before, after))
    between = tf.where(share < 0.5, up + step * share, down - step * (1 - share))
    return tf.cast(between, tf.float32)


def _looks_inverted(image: Any) -> Any:
    """Whether lungs are brighter than their surroundings, as in ``polarity.looks_inverted``."""
    return _mean(image, DARK) - _mean(image, BRIGHT) > MARGIN


def _mean(image: Any, ellipses: tuple[tuple[float, ...], ...]) -> Any:
    """Mean of an (H, W) image inside ellipses; 0 where they hold no pixel."""
    tf = tensorflow()
    sides = [tf.cast(side, tf.float64) for side in tf.unstack(tf.shape(image))]
    rows, columns = ((tf.range(side, dtype=tf.float64) + 0.5) / side for side in sides)
    inside = tf.zeros(tf.shape(image), tf.bool)
    for row, column, tall, wide in ellipses:
        inside |= (((rows - row) / tall) ** 2)[:, None] + ((columns - column) / wide) ** 2 < 1
    count = tf.reduce_sum(tf.cast(inside, tf.float32))
    return tf.reduce_sum(tf.where(inside, image, 0.0)) / tf.maximum(count, 1.0)
