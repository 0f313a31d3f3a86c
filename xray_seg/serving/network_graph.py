"""TensorFlow graph of a trained network, with fewer operations than its Keras model.

Reproduces the Keras model in inference (``training=False``): probabilities of the float32 graph
differ by at most 1e-5.

Optimisations for InvertedNet:

- Dropout is left out.
- The last batch normalisation is folded into the 1 x 1 convolution that follows it.
- A 3 x 3 convolution after nearest-neighbour upsampling by 2 is computed on the small grid. Three
  taps on the large grid fall on two pixels of the small one, so that 2 x 2 taps for each of the
  four phases of the large grid give the same sums, with 4/9 of the multiplications and without
  an upsampled copy.

Optimisations for inverted-net-fast: dropout is left out, and each batch normalisation is folded
into the convolution before it.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from .._util.tensorflow import tensorflow
from ..models.network import BLOCK, FILTERS, build_network, weights_of

if TYPE_CHECKING:
    import keras

#: Maps (B, S, S, 1) float32 images to (B, S, S, 4) float32 probabilities.
Graph = Callable[[Any], Any]


def serving_graph(model: keras.Model, precision: str) -> Graph:
    """Build the graph of a network.

    Args:
        model: a trained network of ``network.FILTERS``. Its variables are used, not copied.
        precision: dtype of the convolutions: ``float32``, ``bfloat16`` or ``float16``.

    Returns:
        A function of (B, S, S, 1) float32 images in [0, 1] that returns (B, S, S, 4) float32
        probabilities.
    """
    graphs = {"unet": _unet, "inverted-net-fast": _fast_net}
    return graphs.get(model.name, _inverted_net)(model, precision)


def _unet(model: keras.Model, precision: str) -> Graph:
    """The Keras layers themselves, built at another precision and called with the variables."""
    policy = precision if precision == "float32" else f"mixed_{precision}"
    layers = build_network(model.name, model.input_shape[1], precision=policy, dropout=0.0)
    trained = [variable.value for variable in model.trainable_variables]
    others = [variable.value for variable in weights_of(model)[len(trained) :]]
    return lambda images: layers.stateless_call(trained, others, images, training=False)[0]


def _inverted_net(model: keras.Model, precision: str) -> Graph:
    """The graph of InvertedNet, of any number of levels."""
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

        def upsample_conv(x: Any) -> Any:
            return _upsample_conv(x, *next(kernels), precision)

        # The first normalisation cannot be folded: the convolution pads the normalised image.
        x = cast(_normalised(images, first))
        skips = []
        for level in range(len(FILTERS[model.name])):
            if level:
                x = tf.nn.max_pool2d(x, 2, 1, "SAME")
            x = conv(conv(x, 2 if level else 1))
            skips.append(x)
        for skip in skips[-2::-1]:
            x = conv(conv(tf.concat([skip, upsample_conv(x)], -1)))
        kernel, bias = _folded(*next(kernels), last)
        scores = tf.nn.conv2d(x, cast(kernel), 1, "VALID") + cast(bias)
        return tf.nn.softmax(tf.cast(scores, tf.float32))

    return serve


def _fast_net(model: keras.Model, precision: str) -> Graph:
    """The graph of inverted-net-fast."""
    import keras

    tf = tensorflow()
    *layers, last = (layer for layer in model.layers if isinstance(layer, keras.layers.Conv2D))
    norms = [each for each in model.layers if isinstance(each, keras.layers.BatchNormalization)]

    def serve(images: Any) -> Any:
        blocks = zip(layers, norms, strict=True)

        def conv(x: Any, stride: int = 1) -> Any:
            layer, norm = next(blocks)
            factor, offset = _affine(norm)
            kernel = tf.cast(layer.kernel.value * factor, precision)
            sums = tf.nn.conv2d(x, kernel, stride, "SAME")
            return tf.nn.relu(sums + tf.cast(offset, precision))

        x = tf.cast(tf.nn.space_to_depth(images, BLOCK), precision)
        skips = []
        for level in range(len(FILTERS[model.name])):
            x = conv(conv(x, 2 if level else 1))
            skips.append(x)
        for skip in skips[-2::-1]:
            larger = tf.image.resize(x, skip.shape[1:3])  # bilinear, to float32
            x = conv(tf.concat([skip, tf.cast(larger, precision)], -1))
        kernel, bias = last.kernel.value, last.bias.value
        scores = tf.nn.conv2d(x, tf.cast(kernel, precision), 1, "VALID") + tf.cast(bias, precision)
        return tf.nn.softmax(tf.nn.depth_to_space(tf.cast(scores, tf.float32), BLOCK))

    return serve


def _upsample_conv(x: Any, kernel: Any, bias: Any, precision: str) -> Any:
    """ELU of a 3 x 3 convolution of x after nearest-neighbour upsampling by 2.

    Row 2 i + a of the upsampled image has phase a. Its taps fall on the rows i - 1, i, i of x for
    a = 0, and on i, i, i + 1 for a = 1; columns likewise.

    Args:
        x: (B, H, W, C) at ``precision``.
        kernel: (3, 3, C, F) float32.
        bias: (F,) float32.
        precision: dtype of the convolution.

    Returns:
        (B, 2 H, 2 W, F) at ``precision``.
    """
    tf = tensorflow()
    taps = [square for rows in _two_taps(kernel, 0) for square in _two_taps(rows, 1)]
    # One convolution computes the sums of all phases on the padded image. Those of phase (a, b)
    # are found at an offset of (a, b).
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
    """Sum three taps along an axis to two, for phase 0 and for phase 1."""
    tf = tensorflow()
    before, here, after = tf.unstack(kernel, axis=axis)
    return tf.stack([before, here + after], axis), tf.stack([before + here, after], axis)


def _normalised(x: Any, norm: keras.layers.BatchNormalization) -> Any:
    """Batch normalisation of x in inference."""
    factor, offset = _affine(norm)
    return x * factor + offset


def _folded(kernel: Any, bias: Any, norm: keras.layers.BatchNormalization) -> tuple[Any, Any]:
    """Kernel and bias of a 1 x 1 convolution that includes the normalisation before it."""
    tf = tensorflow()
    factor, offset = _affine(norm)
    shift = tf.linalg.matvec(kernel[0, 0], offset, transpose_a=True)
    return kernel * factor[:, None], bias + shift


def _affine(norm: keras.layers.BatchNormalization) -> tuple[Any, Any]:
    """Factor and offset per channel of a batch normalisation in inference."""
    tf = tensorflow()
    factor = norm.gamma.value * tf.math.rsqrt(norm.moving_variance.value + norm.epsilon)
    return factor, norm.beta.value - norm.moving_mean.value * factor
