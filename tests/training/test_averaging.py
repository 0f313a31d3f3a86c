"""Moving average of the weights: its values, its use in a run, and its fate in a resumed run."""

from dataclasses import replace

import numpy as np
import pytest

from helpers.tiny import TINY_CONFIG, tiny_network, write_cases
from xray_seg.data.splits import split_cases
from xray_seg.training.averaging import averaged_weights, keep_averaged_weights
from xray_seg.training.build import build_model
from xray_seg.training.trainer import fit

CONFIG = replace(TINY_CONFIG, ema=0.5)


@pytest.fixture(scope="module", autouse=True)
def network():
    with tiny_network():
        yield


def batch(seed):
    random = np.random.default_rng(seed)
    images = random.random((2, 16, 16, 1), np.float32)
    return images, np.eye(4, dtype=np.float32)[random.integers(0, 4, (2, 16, 16))]


def values(model):
    return [np.array(variable.numpy()) for variable in model.trainable_variables]


def test_the_average_is_that_of_the_weights_after_each_step():
    model = build_model(CONFIG, 4)
    average = None
    for step in range(4):
        model.train_on_batch(*batch(step))
        now = values(model)
        if average is not None:
            now = [0.5 * old + 0.5 * new for old, new in zip(average, now, strict=True)]
        average = now
    before = values(model)
    with averaged_weights(model):
        for found, expected in zip(values(model), average, strict=True):
            np.testing.assert_allclose(found, expected, atol=1e-6)
    assert all(np.array_equal(*pair) for pair in zip(values(model), before, strict=True))
    keep_averaged_weights(model)
    np.testing.assert_allclose(values(model)[0], average[0], atol=1e-6)
    assert not np.array_equal(values(model)[0], before[0])


def test_without_an_average_the_weights_stay():
    model = build_model(TINY_CONFIG, 4)
    model.train_on_batch(*batch(0))
    before = values(model)
    with averaged_weights(model):
        assert all(np.array_equal(*pair) for pair in zip(values(model), before, strict=True))


def test_an_interrupted_run_ends_with_the_same_average(tmp_path):
    split = split_cases(write_cases(tmp_path / "data", 5))
    whole = values(fit(tmp_path / "whole", split, CONFIG))

    class Stopped(Exception):
        pass

    def stop(row):
        if row["epoch"] == 2:
            raise Stopped

    with pytest.raises(Stopped):
        fit(tmp_path / "cut", split, CONFIG, on_epoch=stop)
    resumed = values(fit(tmp_path / "cut", split, CONFIG, resume=True))
    assert all(np.array_equal(*pair) for pair in zip(whole, resumed, strict=True))
    plain = values(fit(tmp_path / "plain", split, TINY_CONFIG))
    assert not np.array_equal(plain[0], whole[0])


@pytest.mark.parametrize("value", [0, 1, -0.5, 2])
def test_a_decay_outside_0_to_1_is_refused(value):
    with pytest.raises(ValueError, match="ema must be between 0 and 1"):
        replace(CONFIG, ema=value)
