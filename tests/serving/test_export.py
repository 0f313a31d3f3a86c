"""An exported model folder computes the same as the Keras model, at each precision."""

import hashlib

import numpy as np
import pytest

from xray_seg._util import tensorflow
from xray_seg.errors import WeightsError
from xray_seg.models.engines.litert import LiteRTEngine
from xray_seg.models.engines.saved_model import SavedModelEngine
from xray_seg.models.model_folder import load_model, read_variables
from xray_seg.models.network import build_network, weights_of
from xray_seg.serving import export as exporting
from xray_seg.serving.export import PRECISIONS, export

SIZE = 16


@pytest.fixture(scope="module")
def network():
    """InvertedNet with random variables throughout, so that a mix-up changes the output."""
    tensorflow.keras()
    model = build_network("inverted-net", SIZE, seed=5)
    random = np.random.default_rng(5)
    for variable in model.weights:
        if "batch_normalization" in variable.path:
            low, high = (0.5, 2) if "variance" in variable.path else (-1, 1.5)
            variable.assign(random.uniform(low, high, variable.shape))
        elif "kernel" in variable.path:
            variable.assign(variable * 1.5)  # outputs that vary as much as a trained network's
    return model


@pytest.fixture(scope="module")
def exported(network, tmp_path_factory):
    folder = tmp_path_factory.mktemp("models") / "not" / "yet" / "there"
    assert export(network, folder, "random", {"licence": "none"}) == folder
    return folder


@pytest.fixture(scope="module")
def grids():
    return np.random.default_rng(6).random((5, SIZE, SIZE), np.float32)


@pytest.fixture(scope="module")
def expected(network, grids):
    found = np.asarray(network(grids[..., None], training=False))
    assert found.std(axis=(0, 1, 2)).min() > 0.02  # the output varies
    return found


def serve(folder, precision, grids):
    return SavedModelEngine(load_model(folder), precision, "cpu", 2).predict(grids)


def test_the_float32_signature_reproduces_the_keras_model(exported, grids, expected):
    np.testing.assert_allclose(serve(exported, "float32", grids), expected, atol=1e-5)


def test_half_precision_is_close_to_float32_and_closer_with_more_bits(exported, grids, expected):
    errors = [np.abs(serve(exported, each, grids) - expected) for each in ("float16", "bfloat16")]
    assert 0 < errors[0].mean() < errors[1].mean() < 0.01
    assert errors[0].max() < 0.02
    assert errors[1].max() < 0.1


def test_int8_is_close_to_float32(exported, grids, expected):
    found = LiteRTEngine(load_model(exported), "int8", "cpu", 2).predict(grids)
    errors = np.abs(found - expected)
    assert 0 < errors.mean() < 0.02
    assert np.corrcoef(found.ravel(), expected.ravel())[0, 1] > 0.99


def test_all_signatures_share_one_set_of_variables(exported, network):
    held = sum(path.stat().st_size for path in exported.rglob("variables.data*"))
    one_set = 4 * network.count_params()
    assert one_set <= held < 1.02 * one_set


def test_there_is_a_signature_for_each_precision(exported):
    loaded = tensorflow.tensorflow().saved_model.load(str(exported / "saved_model"))
    assert set(PRECISIONS) == {"float32", "bfloat16", "float16"}
    assert set(loaded.signatures) == {*PRECISIONS, "jsrt", "png"}


def test_int8_weights_take_a_quarter_of_float32(exported, network):
    size = (exported / "dynamic_int8.tflite").stat().st_size
    assert network.count_params() <= size < 1.2 * network.count_params()


def test_variables_are_read_back_in_keras_order(exported, network):
    variables = weights_of(network)
    found = read_variables(load_model(exported))
    assert len(found) == len(variables)
    for value, variable in zip(found, variables, strict=True):
        np.testing.assert_array_equal(value, np.asarray(variable))


def test_the_card_states_the_facts_and_the_files(exported):
    model = load_model(exported)
    assert (model.name, model.size) == ("random", SIZE)
    assert model.card["network"] == "inverted-net"
    assert model.card["licence"] == "none"
    flat = exported / "dynamic_int8.tflite"
    assert model.card["files"][flat.name] == hashlib.sha256(flat.read_bytes()).hexdigest()
    assert len(model.card["files"]) == sum(path.is_file() for path in exported.rglob("*")) - 1


def test_an_existing_folder_is_not_overwritten(exported, network):
    before = load_model(exported).sha256
    with pytest.raises(WeightsError, match="exists already"):
        export(network, exported, "other", {})
    assert load_model(exported).sha256 == before


def test_an_export_that_fails_leaves_nothing(network, tmp_path, monkeypatch):
    def fail(*arguments):
        raise OSError("no space")

    monkeypatch.setattr(exporting, "_write_saved_model", fail)
    with pytest.raises(OSError, match="no space"):
        export(network, tmp_path / "model", "x", {})
    assert list(tmp_path.iterdir()) == []


def test_exporting_does_not_change_the_network(network, exported, grids, expected):
    np.testing.assert_array_equal(network(grids[..., None], training=False), expected)
