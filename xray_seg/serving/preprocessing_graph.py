"""From a file's bytes to the network's grid in TensorFlow operations alone, for servers.

Each function does in a graph what its counterpart in readers, kernels, radiograph and polarity does
with numpy and numba, with the same constants and in the same order of operations, so that grids
are equal to the bit where the kernel's sums are exact, and to rounding elsewhere.
"""

from __future__ import annotations

from typing import Any

from .._util.tensorflow import tensorflow
from ..preprocessing.normalisation import BLACK_PERCENTILE, WHITE_PERCENTILE
from ..preprocessing.polarity import BRIGHT, DARK, MARGIN
from ..readers.raster import LUMA
from ..readers.raw import JSRT, JSRT_WHITE, OUTLIERS


def decode_jsrt(data: Any) -> Any:
    """() string, the bytes of a JSRT film, to (2048, 2048) int64 pixels as stored.

    The graph fails with InvalidArgument for bytes of another length or far outside 12 bits.
    """
    tf = tensorflow()
    length = tf.debugging.assert_equal(
        tf.strings.length(data), JSRT.length, "not the length of a JSRT film"
    )
    with tf.control_dependencies([length]):
        pixels = tf.reshape(tf.io.decode_raw(data, tf.uint16, little_endian=False), JSRT.shape)
    white = tf.cast(pixels[::64, ::4] > JSRT_WHITE, tf.float64)
    film = tf.debugging.assert_less_equal(
        tf.reduce_mean(white), tf.constant(OUTLIERS, tf.float64), "not the 12 bits of a JSRT film"
    )
    with tf.control_dependencies([film]):
        return tf.cast(pixels, tf.int64)


def decode_png(data: Any) -> Any:
    """() string, the bytes of a PNG of 8 or 16 bits, to (H, W) int64 grey as stored.

    Colours become luma, alpha is dropped. The graph fails with InvalidArgument for other bytes.
    """
    tf = tensorflow()
    pixels = tf.cast(tf.io.decode_png(data, channels=0, dtype=tf.uint16), tf.int64)
    # PNG (ISO/IEC 15948), 11.2.2: the header's bit depth. TensorFlow widens 8 bits by 257.
    with tf.control_dependencies([pixels]):  # there is a header
        depth = tf.io.decode_raw(tf.strings.substr(data, 24, 1), tf.uint8)[0]
    pixels = tf.where(depth == 16, pixels, pixels // 257)
    colours = tf.where(tf.shape(pixels)[2] < 3, [0, 0, 0], [0, 1, 2])
    red, green, blue = (pixels[..., colours[place]] for place in range(3))
    grey = tf.reduce_all((red == green) & (green == blue))
    return tf.cond(grey, lambda: red, lambda: _luma(red, green, blue))


def _luma(*planes: Any) -> Any:
    tf = tensorflow()
    parts = [tf.cast(plane, tf.float64) * share for share, plane in zip(LUMA, planes, strict=True)]
    return tf.cast(tf.round(parts[0] + parts[1] + parts[2]), tf.int64)


def fit_graph(pixels: Any, size: int, inverted: bool | None) -> tuple[Any, Any]:
    """Lay (H, W) int64 pixels on the grid.

    Args:
        pixels: of up to 16 bits.
        size: side of the grid.
        inverted: whether high is dark; None to look.

    Returns:
        (S, S) float32 grid in [0, 1], bones bright; and (6,) int32: top, left, height and width of
        the film on it, height and width of the film.
    """
    tf = tensorflow()
    shape = tf.shape(pixels)
    height, width = _scaled(shape[0], shape, size), _scaled(shape[1], shape, size)
    top, left = (size - height) // 2, (size - width) // 2
    content = _normalise(area_mean_graph(pixels, height, width), bool(inverted))
    if inverted is None:
        content = tf.where(_looks_inverted(content), 1 - content, content)
    around = [[top, size - height - top], [left, size - width - left]]
    grid = tf.ensure_shape(tf.pad(content, around), (size, size))
    return grid, tf.stack([top, left, height, width, shape[0], shape[1]])


def _scaled(side: Any, shape: Any, size: int) -> Any:
    """A side of the film on the grid, as Letterbox.of has it."""
    tf = tensorflow()
    longer = tf.cast(tf.reduce_max(shape), tf.float64)
    share = tf.cast(size * side, tf.float64) / longer
    return tf.maximum(1, tf.cast(tf.round(share), tf.int32))


def area_mean_graph(pixels: Any, height: Any, width: Any) -> Any:
    """Mean of (H, W) int64 pixels over the area of each target pixel: (height, width) float32.

    Sums are exact: they are counted in units of 1 / (height * width) of a pixel.
    """
    tf = tensorflow()
    sums = _sums(tf.transpose(_sums(pixels, height)), width)
    count = tf.cast(tf.size(pixels), tf.float64)
    return tf.cast(tf.cast(tf.transpose(sums), tf.float64) / count, tf.float32)


def _sums(values: Any, targets: Any) -> Any:
    """Sums of rows over each of so many equal stretches of the first axis, times ``targets``."""
    tf = tensorflow()
    rows = tf.shape(values)[0]
    before = tf.pad(tf.cumsum(values), [[1, 0], [0, 0]])
    bounds = tf.range(targets + 1) * rows  # in units of 1 / targets of a row
    whole, rest = bounds // targets, tf.cast(bounds % targets, tf.int64)
    split = tf.gather(values, tf.minimum(whole, rows - 1)) * rest[:, None]
    upto = tf.gather(before, whole) * tf.cast(targets, tf.int64) + split
    return upto[1:] - upto[:-1]


def _normalise(content: Any, inverted: bool) -> Any:
    tf = tensorflow()
    ranked = tf.sort(tf.reshape(content, [-1]))
    low, high = (_percentile(ranked, share) for share in (BLACK_PERCENTILE, WHITE_PERCENTILE))
    black, white = (high, low) if inverted else (low, high)
    shares = tf.clip_by_value((content - black) / (white - black), 0, 1)
    return tf.where(high > low, shares, tf.zeros_like(content))


def _percentile(ranked: Any, percent: float) -> Any:
    """By linear interpolation, in numpy's order of operations."""
    tf = tensorflow()
    last = tf.size(ranked) - 1
    place = tf.cast(last, tf.float64) * (percent / 100)
    lower = tf.cast(tf.floor(place), tf.int32)
    share = place - tf.floor(place)
    before, after = ranked[lower], ranked[tf.minimum(lower + 1, last)]
    step = tf.cast(after - before, tf.float64)
    up, down = (tf.cast(value, tf.float64) for value in (before, after))
    between = tf.where(share < 0.5, up + step * share, down - step * (1 - share))
    return tf.cast(between, tf.float32)


def _looks_inverted(film: Any) -> Any:
    return _mean(film, DARK) - _mean(film, BRIGHT) > MARGIN


def _mean(film: Any, ellipses: tuple[tuple[float, ...], ...]) -> Any:
    tf = tensorflow()
    sides = [tf.cast(side, tf.float64) for side in tf.unstack(tf.shape(film))]
    rows, columns = ((tf.range(side, dtype=tf.float64) + 0.5) / side for side in sides)
    inside = tf.zeros(tf.shape(film), tf.bool)
    for row, column, tall, wide in ellipses:
        inside |= (((rows - row) / tall) ** 2)[:, None] + ((columns - column) / wide) ** 2 < 1
    count = tf.reduce_sum(tf.cast(inside, tf.float32))
    return tf.reduce_sum(tf.where(inside, film, 0.0)) / tf.maximum(count, 1.0)
