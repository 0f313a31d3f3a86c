"""Saving and loading of networks in a run folder; ``run_record`` lists its files."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

from .._util import tensorflow
from .._util.files import atomic_path
from ..errors import TrainingError
from ..labels import CLASSES
from .compiled import loss_function
from .config import TrainingConfig
from .run_record import (
    BEST_FILE,
    CHECKPOINT_FILE,
    WEIGHTS_FILE,
    EpochRow,
    best_epoch,
    read_history,
    translate_os_errors,
    write_history,
)

if TYPE_CHECKING:
    import keras

_RESTORE = "restore it, or start a new run in another --out"
_ADVICE = "the last whole epoch is kept: free some space and continue with --resume"


def save_epoch(folder: Path, model: keras.Model, row: EpochRow) -> None:
    """Save a checkpoint and a row of history, each atomically.

    Args:
        folder: run folder.
        model: the compiled network; the checkpoint includes the optimizer's state.
        row: results of this epoch; its ``epoch`` counts from 1.

    Raises:
        TrainingError: a file cannot be written; the last epoch's checkpoint is unchanged.
    """
    # The checkpoint is written last: a history row without a checkpoint is dropped on resume.
    rows = [*read_history(folder)[: int(row["epoch"]) - 1], row]
    with translate_os_errors(f"{folder}: epoch {row['epoch']:.0f} cannot be saved", _ADVICE):
        write_history(folder, rows)
        save_model(model, folder / CHECKPOINT_FILE)
        _log_scalars(folder / "tensorboard", row)


def save_best(folder: Path, model: keras.Model, row: EpochRow) -> None:
    """Save a network to ``best.keras`` if the validation accuracy of this epoch is the best so far.

    Args:
        folder: run folder.
        model: the network with the weights that were validated.
        row: results of this epoch; its ``epoch`` counts from 1.

    Raises:
        TrainingError: the file cannot be written.
    """
    rows = [*read_history(folder)[: int(row["epoch"]) - 1], row]
    if best_epoch(rows) == row["epoch"]:
        with translate_os_errors(f"{folder}: epoch {row['epoch']:.0f} cannot be saved", _ADVICE):
            save_model(model, folder / BEST_FILE)


def save_weights(folder: Path, model: keras.Model) -> None:
    """Save the trained network of a run to ``weights.keras``.

    Raises:
        TrainingError: the file cannot be written.
    """
    with translate_os_errors(f"{folder}: the weights cannot be saved", _ADVICE):
        save_model(model, folder / WEIGHTS_FILE)


def save_model(model: keras.Model, path: Path) -> None:
    """Write a Keras model atomically.

    Raises:
        OSError: it cannot be written; an existing file is unchanged.
    """
    with atomic_path(path) as temporary:
        model.save(temporary)


def load_checkpoint(folder: Path, config: TrainingConfig) -> keras.Model:
    """Load the compiled network, with its optimizer's state, after the last complete epoch.

    Raises:
        TrainingError: the file is no checkpoint of such a network.
    """
    from . import scores  # noqa: F401 - Keras finds the scores of a compiled network by name

    loss = loss_function(config)
    path = folder / CHECKPOINT_FILE
    model = _load(path, custom_objects={loss.__name__: loss})
    grid = (None, config.size, config.size)
    shapes = getattr(model, "input_shape", None), getattr(model, "output_shape", None)
    if shapes != ((*grid, 1), (*grid, CLASSES)) or getattr(model, "optimizer", None) is None:
        raise TrainingError(f"{path}: is no checkpoint of the configured network; {_RESTORE}")
    return model


def load_best(folder: Path) -> keras.Model:
    """Load the network, not compiled, after the epoch of the best validation accuracy."""
    return _load(folder / BEST_FILE, compile=False)


def load_weights(folder: Path) -> keras.Model:
    """Load the trained network of a finished run, not compiled."""
    return _load(folder / WEIGHTS_FILE, compile=False)


def _load(path: Path, **options: Any) -> keras.Model:
    """Load a Keras file without running code in it.

    Raises:
        TrainingError: it cannot be loaded.
    """
    try:
        return tensorflow.keras().saving.load_model(path, safe_mode=True, **options)
    except Exception as error:
        reason = str(error).strip().partition("\n")[0]
        raise TrainingError(
            f"{path}: cannot be loaded ({type(error).__name__}: {reason}); {_RESTORE}"
        ) from error


def _log_scalars(folder: Path, row: EpochRow) -> None:
    """Write an epoch for TensorBoard, with tensorboardX, which works with every Keras backend."""
    from tensorboardX import SummaryWriter

    # File names contain seconds only: the suffix keeps short epochs from overwriting each other.
    with SummaryWriter(str(folder), filename_suffix=f".{row['epoch']:05.0f}") as writer:
        for key, value in row.items():
            if key != "epoch":
                writer.add_scalar(key, value, int(row["epoch"]))
