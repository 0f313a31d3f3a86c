"""Networks: number of parameters, layers, outputs, and the grid sizes they accept."""

import keras
import numpy as np
import pytest

from xray_seg._util import tensorflow
from xray_seg.models.network import FILTERS, build_network, check_size


@pytest.fixture(scope="module", autouse=True)
def quiet_keras():
    return tensorflow.keras()


def images(size, count=2):
    return np.random.default_rng(size).random((count, size, size, 1), np.float32)


def parameters(model):
    """(all, not trainable) parameters by the shapes of the variables, without random states."""
    trained = sum(int(np.prod(each.shape)) for each in model.trainable_variables)
    others = sum(
        int(np.prod(each.shape))
        for each in model.non_trainable_variables
        if "seed" not in each.path
    )
    return trained + others, others


def convolution(inputs, outputs, side=3):
    return side * side * inputs * outputs + outputs


def inverted_net_by_hand(widths):
    """Encoder: two convolutions per level. Decoder: one, then two after the concatenation."""
    total, before = 4 * 1, 1  # batch normalisation: scale, shift, mean, variance a channel
    for width in widths:
        total += convolution(before, width) + convolution(width, width)
        before = width
    for width in widths[-2::-1]:
        total += convolution(before, width) + convolution(2 * width, width)
        total += convolution(width, width)
        before = width
    return total + 4 * before + convolution(before, 4, 1)


def test_inverted_net_has_the_parameters_of_the_paper():
    model = build_network("inverted-net", 128)
    assert parameters(model) == (973_320, 258)
    assert model.count_params() == 973_320
    assert inverted_net_by_hand((128, 64, 32, 16)) == 973_320


def layer_name(layer):
    """Class of a layer; for a convolution with its filters, and its stride unless 1."""
    kind = type(layer).__name__
    if kind != "Conv2D":
        return kind
    return f"Conv-{layer.filters}" + ("/2" if layer.strides == (2, 2) else "")


def test_inverted_net_has_the_layers_of_the_study_in_order():
    """Pooling of stride 1 comes before a convolution of stride 2: delayed subsampling."""
    model = build_network("inverted-net", 16)
    expected = """
        InputLayer BatchNormalization
        Conv-128 Conv-128 Dropout
        MaxPooling2D Conv-64/2 Conv-64 Dropout
        MaxPooling2D Conv-32/2 Conv-32 Dropout
        MaxPooling2D Conv-16/2 Conv-16 Dropout
        UpSampling2D Conv-32 Concatenate Conv-32 Conv-32 Dropout
        UpSampling2D Conv-64 Concatenate Conv-64 Conv-64 Dropout
        UpSampling2D Conv-128 Concatenate Conv-128 Conv-128 Dropout
        BatchNormalization Conv-4 Activation
    """
    assert [layer_name(layer) for layer in model.layers] == expected.split()
    configs = [layer.get_config() for layer in model.layers]
    of = {name: [each for each in configs if name in each] for name in ("filters", "rate")}
    *inner, last = of["filters"]
    assert {(each["kernel_size"], each["padding"], each["activation"]) for each in inner} == {
        ((3, 3), "same", "elu")
    }
    assert (last["kernel_size"], configs[-1]["activation"]) == ((1, 1), "softmax")
    assert {each["rate"] for each in of["rate"]} == {0.1}
    pools = [each for each in configs if "pool_size" in each]
    assert {(each["pool_size"], each["strides"]) for each in pools} == {((2, 2), (1, 1))}


def test_the_untrained_variables_of_inverted_net_are_those_of_its_two_normalisations():
    """A mean and a variance per channel: 1 channel of the image, 128 of the last level."""
    model = build_network("inverted-net", 16)
    shapes = [
        tuple(each.shape)
        for layer in model.layers
        if type(layer).__name__ == "BatchNormalization"
        for each in layer.non_trainable_variables
    ]
    assert shapes == [(1,), (1,), (128,), (128,)]


def test_the_deeper_network_has_the_same_structure_with_its_own_filters():
    model = build_network("inverted-net-deep", 32)
    assert parameters(model)[0] == inverted_net_by_hand(FILTERS["inverted-net-deep"])


def test_unet_has_the_layers_of_its_paper():
    """23 convolutions: 10 down, 4 times 1 up and 2 after it, 1 of 1 x 1; 31.0 million weights."""
    model = build_network("unet", 16)
    kernels = [each.shape for each in model.trainable_variables if "kernel" in each.path]
    assert len(kernels) == 23
    assert parameters(model)[0] == pytest.approx(31.03e6, rel=0.001)
    assert model.output_shape == (None, 16, 16, 4)


def test_the_fast_network_has_the_layers_that_its_widths_say():
    """Two normalised convolutions per level down, one per level up, one of 1 x 1 at the end."""
    model = build_network("inverted-net-fast", 64)

    def normalised(inputs, outputs):
        return 9 * inputs * outputs + 4 * outputs

    widths = FILTERS["inverted-net-fast"]
    total, before = 0, 4  # 2 x 2 pixels of the input as channels
    for width in widths:
        total += normalised(before, width) + normalised(width, width)
        before = width
    for width in widths[-2::-1]:
        total += normalised(before + width, width)
        before = width
    total += convolution(before, 4 * 4, 1)
    assert parameters(model)[0] == total
    assert 1.3e6 < total < 1.5e6
    grids = [layer.output.shape[1] for layer in model.layers if type(layer).__name__ == "Conv2D"]
    assert grids == [32, 32, 16, 16, 8, 8, 4, 4, 2, 2, 4, 8, 16, 32, 32]


def test_the_fast_network_keeps_pixels_where_they_are():
    """Blocks become channels and channels become blocks in the same order."""
    model = build_network("inverted-net-fast", 32)
    blocks = keras.Model(model.input, model.get_layer(index=3).output)
    image = np.arange(32 * 32, dtype=np.float32).reshape(1, 32, 32, 1)
    expected = [image[0, a::2, b::2, 0] for a in (0, 1) for b in (0, 1)]
    np.testing.assert_array_equal(np.asarray(blocks(image))[0], np.stack(expected, axis=-1))
    scores = next(layer for layer in model.layers[::-1] if type(layer).__name__ == "Conv2D")
    back = keras.Model(scores.output, model.layers[-2].output)
    channels = np.random.default_rng(0).random((1, 16, 16, 16), np.float32)
    pixels = np.asarray(back(channels))[0]
    for a, b in ((0, 0), (0, 1), (1, 0), (1, 1)):
        first = 4 * (2 * a + b)
        np.testing.assert_array_equal(pixels[a::2, b::2], channels[0, ..., first : first + 4])


@pytest.mark.parametrize("name", ["inverted-net", "inverted-net-deep", "inverted-net-fast"])
@pytest.mark.parametrize("size", [32, 96])
def test_each_pixels_probabilities_sum_to_one(name, size):
    found = np.asarray(build_network(name, size)(images(size), training=False))
    assert found.shape == (2, size, size, 4)
    assert found.dtype == np.float32
    assert found.min() >= 0
    np.testing.assert_allclose(found.sum(axis=-1), 1, atol=1e-5)


@pytest.mark.parametrize("precision", ["mixed_bfloat16", "mixed_float16"])
def test_half_precision_keeps_variables_and_probabilities_in_float32(precision):
    exact = build_network("inverted-net", 16, seed=1)
    model = build_network("inverted-net", 16, precision=precision, seed=1)
    assert {each.dtype for each in model.trainable_variables} == {"float32"}
    found = np.asarray(model(images(16), training=False))
    assert found.dtype == np.float32
    np.testing.assert_allclose(found.sum(axis=-1), 1, atol=1e-5)
    expected = np.asarray(exact(images(16), training=False))
    assert 0 < np.abs(found - expected).max() < 0.02


def test_the_seed_decides_the_weights():
    weights = [build_network("inverted-net", 16, seed=seed).get_weights() for seed in (1, 1, 2)]
    assert all(np.array_equal(*pair) for pair in zip(weights[0], weights[1], strict=True))
    assert not all(np.array_equal(*pair) for pair in zip(weights[0], weights[2], strict=True))


def test_weights_of_one_grid_size_fit_another():
    small, large = (build_network("inverted-net", size, seed=size) for size in (16, 24))
    large.set_weights(small.get_weights())
    assert large.output_shape == (None, 24, 24, 4)
    assert parameters(small) == parameters(large)


def test_dropout_acts_in_training_only():
    model = build_network("inverted-net", 16, seed=3)
    without = [np.asarray(model(images(16), training=False)) for _ in range(2)]
    np.testing.assert_array_equal(*without)
    with_dropout = [np.asarray(model(images(16), training=True)) for _ in range(2)]
    assert not np.array_equal(*with_dropout)


@pytest.mark.parametrize(
    ("name", "multiple"),
    [("inverted-net", 8), ("inverted-net-deep", 16), ("inverted-net-fast", 32), ("unet", 16)],
)
def test_sizes_must_be_multiples_that_the_levels_can_halve(name, multiple):
    for size in range(-2, 100):
        if size > 0 and size % multiple == 0:
            check_size(name, size)
        else:
            with pytest.raises(ValueError, match=f"multiple of {multiple} for {name}, not {size}"):
                check_size(name, size)
    with pytest.raises(ValueError, match="multiple"):
        build_network(name, multiple + 4)


def test_an_unknown_network_is_reported_with_the_known_ones():
    with pytest.raises(ValueError, match=r"no network 'resnet'; .*inverted-net.*unet"):
        build_network("resnet", 128)
