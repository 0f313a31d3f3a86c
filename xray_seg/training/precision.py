"""Precision of training: bfloat16 where it is faster than float32, else float32."""

from __future__ import annotations

import time
from dataclasses import replace
from functools import cache
from typing import TYPE_CHECKING

import numpy as np

from .._util import tensorflow
from ..labels import CLASSES
from ..models.engines.devices import cpu_has_bfloat16, gpu_count
from ..models.network import build_network
from .compiled import compile_model
from .config import TrainingConfig

if TYPE_CHECKING:
    import keras

#: Steps that are timed per precision, after one that is not.
_TIMED = 3


def choose_policy(config: TrainingConfig) -> str:
    """Return the Keras dtype policy for the precision of a configuration.

    ``auto`` is bfloat16 on GPUs. On CPUs with bfloat16 instructions it is what computes training
    steps of the configured network faster: some processors have the instructions and are slower
    with them. On other CPUs it is float32. A policy is returned unchanged.

    Variables stay float32 in any policy. bfloat16 has the exponent range of float32, so the loss
    needs no scaling.

    Args:
        config: training configuration; with ``auto``, its network and size are set.
    """
    precision = config.precision
    if precision == "auto":
        precision = "float32"
        if gpu_count() or (cpu_has_bfloat16() and _is_bfloat16_faster(_timed_settings(config))):
            precision = "bfloat16"
    return "mixed_bfloat16" if precision == "bfloat16" else precision


def _timed_settings(config: TrainingConfig) -> TrainingConfig:
    """The settings that decide how long a step takes, the others at their defaults."""
    return TrainingConfig(network=config.network, size=config.size, batch_size=config.batch_size)


@cache
def _is_bfloat16_faster(config: TrainingConfig) -> bool:
    """Time training steps in both precisions, in turns."""
    models = [_compiled(config, policy) for policy in ("float32", "mixed_bfloat16")]
    seconds = [[_time_step(model, config) for model in models] for _ in range(_TIMED + 1)]
    float32, bfloat16 = np.min(seconds[1:], axis=0)
    return bool(bfloat16 < float32)


def _compiled(config: TrainingConfig, policy: str) -> keras.Model:
    tensorflow.keras()
    model = build_network(config.network or "", config.size or 0, precision=policy, seed=0)
    compile_model(model, replace(config, precision=policy), steps=_TIMED)
    return model


def _time_step(model: keras.Model, config: TrainingConfig) -> float:
    """Seconds of a training step on random images."""
    size = config.size or 0
    images = np.random.default_rng(0).random((config.batch_size, size, size, 1), np.float32)
    targets = np.full((*images.shape[:3], CLASSES), 1 / CLASSES, np.float32)
    started = time.perf_counter()
    model.train_on_batch(images, targets)
    return time.perf_counter() - started
