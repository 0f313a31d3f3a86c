"""Optimizer, loss and scores of a network to train."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from ..labels import ORGANS
from ..models.losses import LOSSES
from .config import TrainingConfig
from .targets import class_shares

if TYPE_CHECKING:
    import keras


def compile_model(model: keras.Model, config: TrainingConfig, steps: int) -> None:
    """Compile a network with the optimizer and loss of a configuration, and the scores.

    Args:
        model: network to compile, in place.
        config: training configuration.
        steps: steps per epoch, for the schedule of the learning rate.
    """
    import keras

    from .scores import accuracy, overlap

    scores = [accuracy(), *(overlap(organ) for organ in ORGANS)]
    compiled = False if keras.backend.backend() == "tensorflow" else "auto"
    model.compile(
        _optimizer(config, steps), loss_function(config), metrics=scores, jit_compile=compiled
    )


def _optimizer(config: TrainingConfig, steps: int) -> Any:
    from keras import optimizers

    average: dict[str, Any] = {}
    if config.ema is not None:
        average = {"use_ema": True, "ema_momentum": config.ema}
    if config.optimizer == "adadelta":
        return optimizers.Adadelta(config.learning_rate, rho=0.95, **average)
    warmup = min(config.warmup_epochs, config.epochs / 5)
    schedule = optimizers.schedules.CosineDecay(
        0.0,
        decay_steps=max(1, round((config.epochs - warmup) * steps)),
        warmup_target=config.learning_rate,
        warmup_steps=round(warmup * steps),
    )
    decay = config.weight_decay
    return optimizers.AdamW(schedule, weight_decay=decay, clipnorm=1.0, **average)


def loss_function(config: TrainingConfig) -> Callable[[Any, Any], Any]:
    """Return the loss of a configuration as Keras calls it, computed in float32."""

    # Keras saves the name of this function with a model: a checkpoint is loaded by it.
    def loss(truth: Any, probabilities: Any) -> Any:
        from keras import ops

        truth, probabilities = ops.cast(truth, "float32"), ops.cast(probabilities, "float32")
        truth = ops.stop_gradient(class_shares(truth, probabilities, ops))
        return LOSSES[config.loss](truth, probabilities, ops)

    return loss
