"""Segmentation networks in Keras 3, independent of the Keras backend.

InvertedNet: Novikov et al., "Fully Convolutional Architectures for Multi-Class Segmentation in
Chest Radiographs", IEEE Transactions on Medical Imaging 37:1865-1876, 2018, as built at 128 x 128
in the 2019 study that this project reproduces. It has many filters at high resolution and few at
low resolution, the inverse of a U-Net. U-Net: Ronneberger et al., MICCAI 2015, pages 234-241.

``inverted-net-fast`` is this project's own: an encoder and a decoder with skip connections that
work on half of the grid and below. Each 2 x 2 block of the input is four channels of one pixel
(space to depth), and the last layer gives the scores of a 2 x 2 block as channels of one pixel
(depth to space, the sub-pixel convolution of Shi et al., CVPR 2016, pages 1874-1883). Batch
normalisation and ReLU need no operations of their own in the serving graph.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import TYPE_CHECKING, Any

from ..labels import CLASSES

if TYPE_CHECKING:
    import keras

#: Filters of each level of a network, from the full grid downwards. Each level halves the grid.
FILTERS = {
    # As in the 2019 study.
    "inverted-net": (128, 64, 32, 16),
    # For a grid of 256: one more level, so that the deepest one has the receptive field, relative
    # to the chest, of the study's at 128; few filters on the full grid, where they cost most.
    "inverted-net-deep": (32, 96, 64, 48, 32),
    # From half of the grid downwards.
    "inverted-net-fast": (32, 64, 96, 128, 128),
    # As in Ronneberger et al.
    "unet": (64, 128, 256, 512, 1024),
}

#: Side of the blocks of pixels that ``inverted-net-fast`` takes as channels.
BLOCK = 2

#: Default dropout rates: that of the 2019 study for its network.
_DROPOUT = {"inverted-net-fast": 0.05, "unet": 0.5}
_STUDY_DROPOUT = 0.1


def build_network(
    name: str,
    size: int,
    *,
    precision: str = "float32",
    seed: int | None = None,
    dropout: float | None = None,
) -> keras.Model:
    """Build a network with newly initialised weights.

    Args:
        name: a key of FILTERS.
        size: side S of the square grid, a multiple of 8 for ``inverted-net``, of 32 for
            ``inverted-net-fast``, of 16 for the others.
        precision: Keras dtype policy: ``float32``, ``mixed_bfloat16`` or ``mixed_float16``.
            Variables and probabilities are float32 under each.
        seed: seed of the initial weights and the dropout masks; None for random ones.
        dropout: dropout rate in training; None for the network's default.

    Returns:
        A model that maps (B, S, S, 1) intensities in [0, 1] to (B, S, S, 4) class probabilities. At
        any size, ``inverted-net`` has 973,320 parameters, 258 of them not trainable.

    Raises:
        ValueError: no network has this name, or ``size`` is not a multiple that it needs.
    """
    import keras

    check_size(name, size)
    if seed is not None:
        keras.utils.set_random_seed(seed)
    inputs = keras.Input((size, size, 1))  # (B, S, S, 1)
    body = {"unet": _unet, "inverted-net-fast": _fast_net}.get(name, _inverted_net)
    rate = _DROPOUT.get(name, _STUDY_DROPOUT) if dropout is None else dropout
    x = body(inputs, FILTERS[name], precision, rate)
    if name != "inverted-net-fast":
        x = keras.layers.Conv2D(CLASSES, 1, dtype=precision)(x)  # (B, S, S, 4)
    outputs = keras.layers.Activation("softmax", dtype="float32", name="probabilities")(x)
    return keras.Model(inputs, outputs, name=name)


def check_size(name: str, size: int) -> None:
    """Raise ValueError if no network has this name, or its levels cannot halve the grid."""
    if name not in FILTERS:
        raise ValueError(f"no network {name!r}; use one of {', '.join(FILTERS)}")
    multiple = 2 ** (len(FILTERS[name]) - 1) * (BLOCK if name == "inverted-net-fast" else 1)
    if size < multiple or size % multiple:
        raise ValueError(f"size must be a positive multiple of {multiple} for {name}, not {size}")


def weights_of(model: keras.Model) -> list[Any]:
    """Variables of a network, trainable ones first, without the random states of dropout."""
    variables = [*model.trainable_variables, *model.non_trainable_variables]
    return [variable for variable in variables if not is_dropout_state(variable)]


def is_dropout_state(variable: Any) -> bool:
    """Whether a variable is the random state of a dropout layer."""
    return "seed_generator" in variable.path


def _inverted_net(x: Any, widths: tuple[int, ...], precision: str, dropout: float) -> Any:
    """Layers of InvertedNet from (B, S, S, 1) inputs to (B, S, S, widths[0]) features."""
    from keras import layers

    conv = _convolution("elu", precision)
    norm = partial(layers.BatchNormalization, momentum=0.99, epsilon=0.001, dtype=precision)
    drop = partial(layers.Dropout, dropout, dtype=precision)
    x = norm()(x)
    skips = []
    for level, filters in enumerate(widths):
        if level:
            x = layers.MaxPooling2D(2, 1, padding="same", dtype=precision)(x)
        x = conv(filters, strides=2 if level else 1)(x)  # (B, S/2^level, S/2^level, filters)
        x = conv(filters)(x)
        x = drop()(x)
        skips.append(x)
    for filters, skip in zip(widths[-2::-1], skips[-2::-1], strict=True):
        x = layers.UpSampling2D(2, interpolation="nearest", dtype=precision)(x)
        x = conv(filters)(x)
        x = layers.Concatenate(dtype=precision)([skip, x])  # (B, S/2^level, S/2^level, 2 filters)
        x = conv(filters)(x)
        x = conv(filters)(x)
        x = drop()(x)
    return norm()(x)


def _fast_net(x: Any, widths: tuple[int, ...], precision: str, dropout: float) -> Any:
    """Layers of inverted-net-fast from (B, S, S, 1) inputs to (B, S, S, 4) scores."""
    from keras import layers

    size = x.shape[1]
    side = size // BLOCK
    bilinear = partial(layers.UpSampling2D, 2, interpolation="bilinear", dtype=precision)
    x = layers.Reshape((side, BLOCK, side, BLOCK), dtype=precision)(x)
    x = layers.Permute((1, 3, 2, 4), dtype=precision)(x)
    x = layers.Reshape((side, side, BLOCK**2), dtype=precision)(x)  # (B, S/2, S/2, 4)
    skips = []
    for level, filters in enumerate(widths):
        x = _normalised_convolution(x, filters, precision, stride=2 if level else 1)
        x = _normalised_convolution(x, filters, precision)  # (B, S/2^(level+1), ..., filters)
        skips.append(x)
    x = layers.Dropout(dropout, dtype=precision)(x)  # random numbers are dear: only for the fewest
    for filters, skip in zip(widths[-2::-1], skips[-2::-1], strict=True):
        x = layers.Concatenate(dtype=precision)([skip, bilinear()(x)])
        x = _normalised_convolution(x, filters, precision)
    x = layers.Conv2D(CLASSES * BLOCK**2, 1, dtype=precision)(x)  # (B, S/2, S/2, 16)
    x = layers.Reshape((side, side, BLOCK, BLOCK, CLASSES), dtype=precision)(x)
    x = layers.Permute((1, 3, 2, 4, 5), dtype=precision)(x)
    return layers.Reshape((size, size, CLASSES), dtype=precision)(x)


def _normalised_convolution(x: Any, filters: int, precision: str, *, stride: int = 1) -> Any:
    """A 3 x 3 convolution without bias, batch normalisation and ReLU."""
    from keras import layers

    conv = _convolution("relu", precision)
    x = conv(filters, strides=stride, activation=None, use_bias=False)(x)
    x = layers.BatchNormalization(momentum=0.97, epsilon=0.001, dtype=precision)(x)
    return layers.Activation("relu", dtype=precision)(x)


def _unet(x: Any, widths: tuple[int, ...], precision: str, dropout: float) -> Any:
    """Layers of U-Net from (B, S, S, 1) inputs to (B, S, S, widths[0]) features."""
    from keras import layers

    conv = _convolution("relu", precision)
    skips = []
    for level, filters in enumerate(widths):
        if level:
            x = layers.MaxPooling2D(2, dtype=precision)(x)
        x = conv(filters)(x)  # (B, S/2^level, S/2^level, filters); padded, unlike the paper's
        x = conv(filters)(x)
        skips.append(x)
    x = layers.Dropout(dropout, dtype=precision)(x)  # at the end of the contracting path
    for filters, skip in zip(widths[-2::-1], skips[-2::-1], strict=True):
        x = layers.UpSampling2D(2, interpolation="nearest", dtype=precision)(x)
        x = conv(filters, kernel_size=2)(x)  # the paper's "up-convolution"
        x = layers.Concatenate(dtype=precision)([skip, x])  # (B, S/2^level, S/2^level, 2 filters)
        x = conv(filters)(x)
        x = conv(filters)(x)
    return x


def _convolution(activation: str, precision: str) -> Callable[..., Any]:
    """A constructor of 3 x 3 convolutions, given filters and any other option of Conv2D."""
    from keras import layers

    initializer = "he_normal" if activation == "relu" else "glorot_uniform"
    return partial(
        layers.Conv2D,
        kernel_size=3,
        padding="same",
        activation=activation,
        kernel_initializer=initializer,
        dtype=precision,
    )
