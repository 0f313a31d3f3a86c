"""The network graph computes the same as the Keras model, for every network."""

import keras
import numpy as np
import pytest

from xray_seg._util import tensorflow
from xray_seg.models.network import FILTERS, build_network
from xray_seg.serving.network_graph import serving_graph


def randomised(name, size):
    """A network with normalisations other than the identity and biases other than zero."""
    model = build_network(name, size, seed=2)
    random = np.random.default_rng(2)
    for variable in model.weights:
        if "batch_normalization" in variable.path:
            low, high = (0.5, 2) if "variance" in variable.path else (-1, 1.5)
            variable.assign(random.uniform(low, high, variable.shape))
        elif "bias" in variable.path:
            variable.assign(random.normal(0, 0.1, variable.shape))
    return model


@pytest.mark.parametrize(
    ("name", "size"),
    [("inverted-net", 24), ("inverted-net-deep", 16), ("inverted-net-fast", 64)],
)
def test_the_graph_reproduces_the_keras_model(name, size):
    model = randomised(name, size)
    images = np.random.default_rng(3).random((2, size, size, 1), np.float32)
    found = np.asarray(serving_graph(model, "float32")(images))
    expected = np.asarray(model(images, training=False))
    assert expected.std(axis=(0, 1, 2)).min() > 1e-3  # the output varies
    np.testing.assert_allclose(found, expected, atol=1e-5)


def test_the_graph_reproduces_a_narrow_unet(monkeypatch):
    monkeypatch.setitem(FILTERS, "unet", (4, 6, 8))
    model = randomised("unet", 12)
    images = np.random.default_rng(3).random((2, 12, 12, 1), np.float32)
    found = np.asarray(serving_graph(model, "float32")(images))
    np.testing.assert_allclose(found, np.asarray(model(images, training=False)), atol=1e-5)


def test_upsample_conv_is_a_convolution_after_upsampling():
    """One layer, with a different value in each tap of its kernel."""
    tf = tensorflow.tensorflow()
    inputs = keras.Input((5, 7, 2))
    x = keras.layers.UpSampling2D(2)(inputs)
    layer = keras.layers.Conv2D(3, 3, padding="same", activation="elu")
    model = keras.Model(inputs, layer(x))
    layer.bias.assign([0.1, -0.2, 0.3])
    from xray_seg.serving.network_graph import _upsample_conv

    small = np.random.default_rng(4).normal(size=(1, 5, 7, 2)).astype(np.float32)
    found = _upsample_conv(tf.constant(small), layer.kernel.value, layer.bias.value, "float32")
    np.testing.assert_allclose(found, model(small), atol=1e-5)


def count_operations(graph, size):
    """Floating-point operations for one image, by TensorFlow's profiler on the graph that runs."""
    tf = tensorflow.tensorflow()
    spec = tf.TensorSpec((1, size, size, 1))
    made = tf.function(graph, input_signature=[spec], autograph=False).get_concrete_function()
    options = tf.compat.v1.profiler.ProfileOptionBuilder.float_operation()
    options["output"] = "none"
    return tf.compat.v1.profiler.profile(made.graph, options=options).total_float_ops


def test_the_graph_has_fewer_operations():
    model = build_network("inverted-net-deep", 64)
    plain = count_operations(lambda images: model(images, training=False), 64)
    assert count_operations(serving_graph(model, "float32"), 64) < 0.92 * plain


def test_the_fast_network_takes_a_sixth_of_the_operations():
    fast, deep = (
        count_operations(serving_graph(build_network(name, 256), "float32"), 256)
        for name in ("inverted-net-fast", "inverted-net-deep")
    )
    assert fast < 4e9
    assert fast < deep / 5.5
