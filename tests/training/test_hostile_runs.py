"""Run folders and initial weights that others have written: one error that names the file."""

import json

import numpy as np
import pytest

from xray_seg.errors import TrainingError, WeightsError
from xray_seg.models.model_folder import write_card
from xray_seg.training.build import build_model
from xray_seg.training.checkpoints import load_best, load_checkpoint
from xray_seg.training.config import TrainingConfig
from xray_seg.training.run import resumed_precision
from xray_seg.training.run_record import read_history, read_record

CONFIG = TrainingConfig(network="unet", size=16, precision="float32")


@pytest.mark.parametrize(
    "record",
    [
        {},
        {"recipe": []},
        {"recipe": {"precision": 7}},
        {"recipe": {}, "held_out_but_trained_before": 7},
        {"recipe": {}, "held_out_but_trained_before": [None]},
        [],
    ],
    ids=str,
)
def test_a_record_with_a_field_of_another_type(tmp_path, record):
    (tmp_path / "run.json").write_text(json.dumps(record))
    with pytest.raises(TrainingError, match=r"run\.json: is not a run's record"):
        read_record(tmp_path)
    with pytest.raises(TrainingError, match=r"run\.json: is not a run's record"):
        resumed_precision(TrainingConfig(), tmp_path)


def test_a_record_that_is_nested_too_deeply(tmp_path):
    (tmp_path / "run.json").write_text("[" * 10**5)
    with pytest.raises(TrainingError, match="nested too deeply"):
        read_record(tmp_path)


@pytest.mark.parametrize(
    "text",
    [
        b"epoch,val_accuracy\n1,high\n",
        b"epoch,val_accuracy\n1\n",
        b"epoch,val_accuracy\n1,2,3\n",
        b"epoch,loss\n1,2\n",
        b"\xff\xfe",
        b'"' + b"a" * 200_000,
    ],
)
def test_a_history_that_is_no_table_of_numbers(tmp_path, text):
    (tmp_path / "history.csv").write_bytes(text + b"\n1")
    with pytest.raises(TrainingError, match=r"history\.csv: is no history"):
        read_history(tmp_path)


@pytest.mark.parametrize("content", [b"", b"no zip file", b"PK\x03\x04" + bytes(50)])
def test_a_checkpoint_that_is_no_keras_file(tmp_path, content):
    for name in ("checkpoint.keras", "best.keras"):
        (tmp_path / name).write_bytes(content)
    with pytest.raises(TrainingError, match=r"checkpoint\.keras: cannot be loaded"):
        load_checkpoint(tmp_path, CONFIG)
    with pytest.raises(TrainingError, match=r"best\.keras: cannot be loaded"):
        load_best(tmp_path)


def test_a_checkpoint_of_another_network(tmp_path):
    import keras

    other = keras.Sequential([keras.Input((8, 8, 1)), keras.layers.Dense(4)])
    other.save(tmp_path / "checkpoint.keras")
    with pytest.raises(TrainingError, match=r"checkpoint\.keras: is no checkpoint"):
        load_checkpoint(tmp_path, CONFIG)


def test_a_checkpoint_with_code_in_it_is_refused_and_not_run(tmp_path):
    import keras

    mark = tmp_path / "ran"

    def run_code(values):
        mark.touch()
        return values

    layers = [keras.Input((16, 16, 1)), keras.layers.Lambda(run_code), keras.layers.Dense(4)]
    model = keras.Sequential(layers)
    model.save(tmp_path / "checkpoint.keras")
    mark.unlink(missing_ok=True)
    with pytest.raises(TrainingError, match=r"checkpoint\.keras: cannot be loaded"):
        load_checkpoint(tmp_path, CONFIG)
    assert not mark.exists()


def test_the_checkpoint_of_a_run_is_loaded(tmp_path):
    model = build_model(CONFIG, 1)
    model.optimizer.build(model.trainable_variables)
    model.save(tmp_path / "checkpoint.keras")
    loaded = load_checkpoint(tmp_path, CONFIG)
    for value, other in zip(model.get_weights(), loaded.get_weights(), strict=True):
        np.testing.assert_array_equal(value, other)


def test_initial_weights_that_cannot_be_read(tmp_path):
    variables = tmp_path / "saved_model" / "variables"
    variables.mkdir(parents=True)
    (variables / "variables.index").write_bytes(b"nothing")
    write_card(tmp_path, {"name": "own", "size": 16, "network": "unet"})
    config = TrainingConfig(init=str(tmp_path), precision="float32")
    with pytest.raises(WeightsError, match="cannot be read as variables"):
        build_model(config, 1)


def test_initial_weights_of_an_unknown_network(tmp_path):
    write_card(tmp_path, {"name": "own", "size": 16, "network": ["unet"]})
    with pytest.raises(WeightsError, match=r"card\.json: is not a model card"):
        build_model(TrainingConfig(init=str(tmp_path)), 1)
