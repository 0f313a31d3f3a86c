"""Construction of the network to train: open settings, initial weights, optimizer and loss."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from .._util import tensorflow
from ..errors import WeightsError
from ..labels import ORGANS
from ..models.losses import LOSSES
from ..models.model_folder import Model, load_model, read_variables
from ..models.network import build_network, check_size, weights_of
from .config import DEFAULT_NETWORK, DEFAULT_SIZE, TrainingConfig
from .targets import class_shares

if TYPE_CHECKING:
    import keras


def resolve_config(config: TrainingConfig) -> TrainingConfig:
    """Replace the open settings of a configuration, network, size and precision, by their values.

    Returns:
        The configuration with a network, a size and a Keras dtype policy as ``precision``. A
        configuration without open settings is returned as it is.

    Raises:
        ValueError: there is no such network, or the size does not suit it.
        WeightsError: the initial weights are missing, altered, or of another network.
    """
    network, size = network_and_size(config)
    check_size(network, size)
    return replace(config, network=network, size=size, precision=choose_policy(config.precision))


def network_and_size(config: TrainingConfig) -> tuple[str, int]:
    """Return network name and grid side: those configured, of the initial weights, or the default.

    Weights may start a network of another grid size, since all layers are convolutions.

    Raises:
        WeightsError: the initial weights are missing, altered, or of another network.
    """
    if config.init is None:
        return config.network or DEFAULT_NETWORK, config.size or DEFAULT_SIZE
    before = load_model(config.init)
    trained = before.card.get("network")  # missing in cards that other programs wrote
    network = config.network or trained or DEFAULT_NETWORK
    if trained not in (None, network):
        raise WeightsError(
            f"{before.folder}: its variables do not fit {network}: these initial weights are of "
            f"{trained}; leave --arch out, give --arch {trained}, or start from other weights"
        )
    return network, config.size or before.size


def build_model(config: TrainingConfig, steps: int) -> keras.Model:
    """Build and compile the network of a configuration.

    Args:
        config: training configuration.
        steps: steps per epoch, for the schedule of the learning rate.

    Raises:
        ValueError: there is no such network, or the size does not suit it.
        WeightsError: the initial weights are missing, altered, or of another network.
    """
    tensorflow.keras()  # imported without its log messages
    network, size = network_and_size(config)
    policy = choose_policy(config.precision)
    model = build_network(network, size, precision=policy, seed=config.seed, dropout=config.dropout)
    if config.init is not None:
        _copy_weights(load_model(config.init), model)
    compile_model(model, config, steps)
    return model


def _copy_weights(source: Model, model: keras.Model) -> None:
    """Copy the variables of a model folder into a network; its dropout keeps its own seeds.

    Raises:
        WeightsError: the variables differ in number or shape.
    """
    variables, values = weights_of(model), read_variables(source)
    if [tuple(each.shape) for each in variables] != [value.shape for value in values]:
        raise WeightsError(
            f"{source.folder}: its variables do not fit {model.name}; start from other weights"
        )
    for variable, value in zip(variables, values, strict=True):
        variable.assign(value)


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

    if config.optimizer == "adadelta":
        return optimizers.Adadelta(config.learning_rate, rho=0.95)
    warmup = min(config.warmup_epochs, config.epochs / 5)
    schedule = optimizers.schedules.CosineDecay(
        0.0,
        decay_steps=max(1, round((config.epochs - warmup) * steps)),
        warmup_target=config.learning_rate,
        warmup_steps=round(warmup * steps),
    )
    return optimizers.AdamW(schedule, weight_decay=config.weight_decay, clipnorm=1.0)


def loss_function(config: TrainingConfig) -> Callable[[Any, Any], Any]:
    """Return the loss of a configuration as Keras calls it, computed in float32."""

    # Keras saves the name of this function with a model: a checkpoint is loaded by it.
    def loss(truth: Any, probabilities: Any) -> Any:
        from keras import ops

        truth, probabilities = ops.cast(truth, "float32"), ops.cast(probabilities, "float32")
        truth = ops.stop_gradient(class_shares(truth, probabilities, ops))
        return LOSSES[config.loss](truth, probabilities, ops)

    return loss


def choose_policy(precision: str) -> str:
    """Return the Keras dtype policy for a precision.

    Args:
        precision: ``float32``, ``bfloat16``, ``auto``, or a policy, which is returned unchanged.
            ``auto`` is bfloat16 on GPUs and on CPUs with bfloat16 instructions, else float32.

    Variables stay float32 in any policy. bfloat16 has the exponent range of float32, so the loss
    needs no scaling.
    """
    from ..models.engines.devices import cpu_has_bfloat16, gpu_count

    if precision == "auto":
        precision = "bfloat16" if cpu_has_bfloat16() or gpu_count() else "float32"
    return "mixed_bfloat16" if precision == "bfloat16" else precision
