"""A trained network as it is served: the same function in fewer operations.

For InvertedNet: dropout gone, batch normalisation folded into what stands beside it, and each
convolution after a nearest-neighbour upsampling computed on the small grid. There, three taps of
the large grid fall on two pixels, so that 2 x 2 taps for each of the four phases of the large grid
give the same sums with 4/9 of the multiplications and without the large grid's copy.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from .._util.tensorflow import tensorflow
from ..models.network import FILTERS, build_network, weights_of

if TYPE_CHECKING:
    import keras

Graph = Callable[[Any], Any]


def serving_graph(model: keras.Model, precision: str) -> Graph:
    """What maps (B, S, S, 1) float32 images to (B, S, S, 4) float32 probabilities.

    Args:
        model: a trained network of network.FILTERS; its variables are used, not copied.
        precision: ``float32``, ``bfloat16`` or ``float16``, of the convolutions.
    """
    return _unet(model, precision) if model.name == "unet" else _inverted_net(model, precision)


def _unet(model: keras.Model, precision: str) -> Graph:
    policy = precision if precision == "float32" else f"mixed_{precision}"
    # The same layers at another precision, fed with the one set of variables.
    twin = build_network(model.name, model.input_shape[1], policy, dropout=0.0)
    trained = [variable.value for variable in model.trainable_variables]
    others = [variable.value for variable in weights_of(model)[len(trained) :]]
    return lambda images: twin.stateless_call(trained, others, images, training=False)[0]


def _inverted_net(model: keras.Model, precision: str) -> Graph:
    import keras

    tf = tensorflow()
    first, last = (
        layer for layer in model.layers if isinstance(layer, keras.layers.BatchNormalization)
    )
    layers = [layer for layer in model.layers if isinstance(layer, keras.layers.Conv2D)]

    def cast(value: Any) -> Any:
        return tf.cast(value, precision)

    def serve(images: Any) -> Any:
        kernels = iter([(layer.kernel.value, layer.bias.value) for layer in layers])

        def conv(x: Any, stride: int = 1) -> Any:
            kernel, bias = next(kernels)
            return tf.nn.elu(tf.nn.conv2d(x, cast(kernel), stride, "SAME") + cast(bias))

        def double(x: Any) -> Any:
            return _phases(x, *next(kernels), precision)

        # Not folded into the first convolution, whose zero padding comes after it: one channel.
        x = cast(_scaled(images, first))
        skips = []
        for level in range(len(FILTERS[model.name])):
            if level:
                x = tf.nn.max_pool2d(x, 2, 1, "SAME")
            x = conv(conv(x, 2 if level else 1))
            skips.append(x)
        for skip in skips[-2::-1]:
            x = conv(conv(tf.concat([skip, double(x)], -1)))
        kernel, bias = _folded(*next(kernels), last)
        scores = tf.nn.conv2d(x, cast(kernel), 1, "VALID") + cast(bias)
        return tf.nn.softmax(tf.cast(scores, tf.float32))

    return serve


def _phases(x: Any, kernel: Any, bias: Any, precision: str) -> Any:
    """ELU of a 3 x 3 convolution of the nearest-neighbour double of x.

    A row of the double is 2 i + a, of phase a. Its taps fall on rows i - 1, i, i of x for a = 0
    and on i, i, i + 1 for a = 1; columns likewise.
    """
    tf = tensorflow()
    taps = [square for rows in _two_taps(kernel, 0) for square in _two_taps(rows, 1)]
    # All phases at once: on padded pixels each is one output channel's worth of 2 x 2 sums, and
    # phase (a, b) has its own at an offset of (a, b).
    padded = tf.pad(x, ((0, 0), (1, 1), (1, 1), (0, 0)))
    sums = tf.nn.conv2d(padded, tf.cast(tf.concat(taps, -1), precision), 1, "VALID")
    sums = tf.nn.elu(sums + tf.cast(tf.tile(bias, [4]), precision))
    height, width = x.shape[1:3]
    filters = bias.shape[0]
    parts = [
        sums[:, a : a + height, b : b + width, phase * filters : (phase + 1) * filters]
        for phase, (a, b) in enumerate(((0, 0), (0, 1), (1, 0), (1, 1)))
    ]
    return tf.nn.depth_to_space(tf.concat(parts, -1), 2)


def _two_taps(kernel: Any, axis: int) -> tuple[Any, Any]:
    """Three taps along an axis as two, for phases 0 and 1."""
    tf = tensorflow()
    before, here, after = tf.unstack(kernel, axis=axis)
    return tf.stack([before, here + after], axis), tf.stack([before + here, after], axis)


def _scaled(x: Any, norm: keras.layers.BatchNormalization) -> Any:
    factor, offset = _affine(norm)
    return x * factor + offset


def _folded(kernel: Any, bias: Any, norm: keras.layers.BatchNormalization) -> tuple[Any, Any]:
    """A 1 x 1 convolution that also does what the normalisation before it did."""
    tf = tensorflow()
    factor, offset = _affine(norm)
    shift = tf.linalg.matvec(kernel[0, 0], offset, transpose_a=True)
    return kernel * factor[:, None], bias + shift


def _affine(norm: keras.layers.BatchNormalization) -> tuple[Any, Any]:
    tf = tensorflow()
    factor = norm.gamma.value * tf.math.rsqrt(norm.moving_variance.value + norm.epsilon)
    return factor, norm.beta.value - norm.moving_mean.value * factor
