"""The precision of training is what is faster here, not what the processor claims."""

from dataclasses import replace

import pytest

from helpers.tiny import TINY_CONFIG, tiny_network
from xray_seg.training import precision
from xray_seg.training.precision import choose_policy

AUTO = replace(TINY_CONFIG, precision="auto")


@pytest.fixture(autouse=True)
def cpu(monkeypatch):
    """A CPU that claims to compute in bfloat16."""
    precision._is_bfloat16_faster.cache_clear()
    monkeypatch.setattr(precision, "gpu_count", lambda: 0)
    monkeypatch.setattr(precision, "cpu_has_bfloat16", lambda: True)


@pytest.mark.parametrize(
    ("slow", "chosen"), [("mixed_bfloat16", "float32"), ("float32", "mixed_bfloat16")]
)
def test_the_faster_precision_is_chosen(monkeypatch, slow, chosen):
    monkeypatch.setattr(precision, "_compiled", lambda config, policy: policy)
    monkeypatch.setattr(precision, "_time_step", lambda model, config: 2 if model == slow else 1)
    assert choose_policy(AUTO) == chosen


def test_networks_of_both_precisions_are_timed(monkeypatch):
    timed = []
    step = precision._time_step

    def watched(model, config):
        timed.append(model.layers[2].dtype_policy.name)
        return step(model, config)

    monkeypatch.setattr(precision, "_time_step", watched)
    with tiny_network():
        assert choose_policy(AUTO) in ("float32", "mixed_bfloat16")
    assert timed == ["float32", "mixed_bfloat16"] * (precision._TIMED + 1)


def test_nothing_is_timed_where_the_answer_is_known(monkeypatch):
    monkeypatch.setattr(precision, "_is_bfloat16_faster", None)  # not called
    assert choose_policy(replace(AUTO, precision="bfloat16")) == "mixed_bfloat16"
    monkeypatch.setattr(precision, "cpu_has_bfloat16", lambda: False)
    assert choose_policy(AUTO) == "float32"
    monkeypatch.setattr(precision, "gpu_count", lambda: 1)
    assert choose_policy(AUTO) == "mixed_bfloat16"
