"""Construction of the network to train: open settings and initial weights."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from .._util import tensorflow
from ..errors import WeightsError
from ..models.model_folder import Model, load_model, read_variables
from ..models.network import build_network, check_size, weights_of
from .compiled import compile_model
from .config import DEFAULT_NETWORK, DEFAULT_SIZE, TrainingConfig
from .precision import choose_policy

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
    config = replace(config, network=network, size=size)
    return replace(config, precision=choose_policy(config))


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
    policy = choose_policy(config)
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
