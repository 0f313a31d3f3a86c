"""InvertedNet, in pure Keras 3: the same code builds it on every Keras backend.

Novikov et al., "Fully Convolutional Architectures for Multi-Class Segmentation in Chest
Radiographs", IEEE Transactions on Medical Imaging 37:1865-1876, 2018, as built at 128 x 128 in
the 2019 study that this project reproduces: many filters where the image is large, few where it
is small, the inverse of a U-Net.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from .anatomy import CLASSES

if TYPE_CHECKING:
    import keras

#: Filters of the four levels, from the full grid down.
FILTERS = (128, 64, 32, 16)
DROPOUT = 0.1
#: The first convolution keeps the grid, each of the three others halves it.
GRID_MULTIPLE = 8


def inverted_net(size: int, precision: str = "float32", seed: int | None = None) -> keras.Model:
    """Build InvertedNet with fresh weights.

    Args:
        size: side S of the square grid, a multiple of 8.
        precision: a Keras dtype policy: ``float32``, ``mixed_bfloat16`` or ``mixed_float16``.
            Variables and the returned probabilities are float32 in each.
        seed: of the initial weights and the dropout masks; None for different ones each time.

    Returns:
        A model from (B, S, S, 1) intensities to (B, S, S, 4) class probabilities. At any size it
        has 973,320 parameters, 258 of which are not trained.

    Raises:
        ValueError: ``size`` is no positive multiple of 8.
    """
    import keras
    from keras import layers

    if size < GRID_MULTIPLE or size % GRID_MULTIPLE:
        raise ValueError(f"size must be a positive multiple of {GRID_MULTIPLE}, not {size}")
    if seed is not None:
        keras.utils.set_random_seed(seed)

    def conv(x: Any, filters: int, stride: int = 1) -> Any:
        return layers.Conv2D(filters, 3, stride, padding="same", activation="elu", dtype=precision)(
            x
        )

    def norm(x: Any) -> Any:
        return layers.BatchNormalization(momentum=0.99, epsilon=0.001, dtype=precision)(x)

    inputs = keras.Input((size, size, 1))  # (B, S, S, 1)
    x = norm(inputs)
    skips = []
    for level, filters in enumerate(FILTERS):
        if level:
            x = layers.MaxPooling2D(2, 1, padding="same", dtype=precision)(x)
        x = conv(x, filters, stride=2 if level else 1)  # (B, S/2^level, S/2^level, filters)
        x = conv(x, filters)
        x = layers.Dropout(DROPOUT, dtype=precision)(x)
        skips.append(x)
    skips.pop()
    for filters, skip in zip(FILTERS[-2::-1], reversed(skips), strict=True):
        x = layers.UpSampling2D(2, interpolation="nearest", dtype=precision)(x)
        x = conv(x, filters)
        x = layers.Concatenate(dtype=precision)([skip, x])  # (B, S/2^level, S/2^level, 2 filters)
        x = conv(x, filters)
        x = conv(x, filters)
        x = layers.Dropout(DROPOUT, dtype=precision)(x)
    x = norm(x)
    x = layers.Conv2D(CLASSES, 1, dtype=precision)(x)  # (B, S, S, 4)
    outputs = layers.Activation("softmax", dtype="float32", name="probabilities")(x)
    return keras.Model(inputs, outputs, name="inverted_net")
