"""Training configurations: their checks, and the values of their open settings."""

import os
import subprocess
import sys
from dataclasses import replace

import pytest

from helpers.tiny import TINY_CONFIG, tiny_network
from xray_seg.data.splits import STUDY_SHARES
from xray_seg.errors import WeightsError
from xray_seg.serving.export import export
from xray_seg.training.build import build_model, network_and_size, resolve_config
from xray_seg.training.config import TRAINING_CONFIGS, TrainingConfig
from xray_seg.training.precision import choose_policy


@pytest.fixture(scope="module")
def exported(tmp_path_factory):
    """A model folder of the network ``tiny`` at 16, which stays registered."""
    with tiny_network():
        folder = tmp_path_factory.mktemp("models") / "tiny"
        yield export(build_model(TINY_CONFIG, 1), folder, "tiny", {})


def test_open_settings_get_their_defaults():
    config = resolve_config(TrainingConfig(precision="bfloat16"))
    assert (config.network, config.size) == ("inverted-net", 128)
    assert config.precision == "mixed_bfloat16"
    assert resolve_config(config) == config


@pytest.mark.parametrize(
    ("name", "expected"),
    [("inverted-net-128", ("inverted-net", 128)), ("inverted-net-256", ("inverted-net-deep", 256))],
)
def test_network_and_size_are_those_of_shipped_initial_weights(name, expected):
    assert network_and_size(TrainingConfig(init=name)) == expected
    given = TrainingConfig(network=expected[0], size=expected[1], init=name)
    assert network_and_size(given) == expected


def test_a_network_that_contradicts_the_initial_weights_is_refused(exported):
    config = TrainingConfig(init=str(exported), precision="float32")
    assert network_and_size(config) == ("tiny", 16)
    assert build_model(config, 1).input_shape == (None, 16, 16, 1)
    with pytest.raises(WeightsError, match=r"are of tiny; leave --arch out, give --arch tiny"):
        resolve_config(replace(config, network="unet"))
    larger = resolve_config(replace(config, size=32))  # convolutions fit any grid
    assert build_model(larger, 1).input_shape == (None, 32, 32, 1)


def test_a_network_that_does_not_exist_and_an_unsuitable_size_are_refused():
    with pytest.raises(ValueError, match="no network 'v-net'"):
        resolve_config(TrainingConfig(network="v-net"))
    with pytest.raises(ValueError, match="multiple of 8"):
        resolve_config(TrainingConfig(size=12))


@pytest.mark.parametrize(
    ("setting", "value"),
    [
        ("phantoms", 49),
        ("phantoms", -1),
        ("epochs", 0),
        ("batch_size", 0),
        ("learning_rate", 0.0),
        ("patience", 0),
        ("optimizer", "sgd"),
        ("loss", "focal"),
        ("augmentation", "none"),
        ("precision", "int8"),
    ],
)
def test_settings_out_of_range_are_refused(setting, value):
    with pytest.raises(ValueError, match=f"{setting} must be "):
        TrainingConfig(**{setting: value})


def test_the_recorded_settings_make_a_configuration_again():
    config = resolve_config(TRAINING_CONFIGS["paper"])
    record = config.as_record()
    assert TrainingConfig(**record) == replace(config, validation_share=0.107, test_share=0.0)
    assert (config.validation_share, config.test_share) == STUDY_SHARES


def test_policies_are_returned_unchanged():
    for policy in ("float32", "mixed_bfloat16", "mixed_float16"):
        assert choose_policy(TrainingConfig(precision=policy)) == policy


def test_building_the_first_network_of_a_process_logs_nothing():
    code = (
        "from xray_seg.training.build import build_model\n"
        "from xray_seg.training.config import TrainingConfig\n"
        "build_model(TrainingConfig(size=8, precision='float32'), 1)"
    )
    # JAX, which other tests import, sets a level of its own.
    environment = {name: value for name, value in os.environ.items() if "LOG_LEVEL" not in name}
    command = [sys.executable, "-c", code]
    done = subprocess.run(command, capture_output=True, text=True, check=True, env=environment)
    assert (done.stdout, done.stderr) == ("", "")
