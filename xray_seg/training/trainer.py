"""Training loop: epochs of augmented batches, checkpoints and validation in a run folder.

Augmentation and dropout of an epoch depend on the seed and the epoch's number only, and a
checkpoint holds weights and optimizer state, so a resumed run gives the results of an
uninterrupted one.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from .._util.environment import versions
from ..data.arrays import Arrays, load_arrays
from ..data.cases import fingerprint
from ..data.splits import Split
from ..errors import TrainingError
from ..models.model_folder import load_model, trained_names
from ..models.network import is_dropout_state
from .augmentation import REVISION
from .averaging import averaged_weights, keep_averaged_weights
from .build import build_model, network_and_size, resolve_config
from .checkpoints import load_best, load_checkpoint, save_best, save_epoch, save_weights
from .config import TrainingConfig
from .hosts import SINGLE_HOST, Hosts, exchange, run_on_all, run_on_first
from .loader import (
    OVERSAMPLING,
    Batch,
    epoch_batches,
    phantom_arrays,
    steps_per_epoch,
    validation_batch,
)
from .pseudo_labels import fill_in_labels
from .run_record import EpochRow, best_epoch, read_history, start_run_on_hosts

if TYPE_CHECKING:
    import keras


def fit(
    folder: str | Path,
    split: Split,
    config: TrainingConfig,
    *,
    on_epoch: Callable[[EpochRow], None] | None = None,
    on_step: Callable[[float], None] | None = None,
    resume: bool = False,
    finish: bool = False,
    hosts: Hosts = SINGLE_HOST,
) -> keras.Model:
    """Train a network, or resume its training, in a run folder.

    Args:
        folder: run folder; created if missing.
        split: cases to train and validate on.
        config: training configuration; a resumed run must have the one it was started with.
        on_epoch: called after each epoch with its row of ``history.csv``.
        on_step: called after each step with the epochs done, such as 2.25.
        resume: continue from the last checkpoint. Without it a folder with a checkpoint is an
            error.
        finish: train no more and return the network after the epochs done so far. The run can
            still be resumed later.
        hosts: the hosts that train together, connected by ``devices.distribute``. Only the first
            writes to the folder; the others load checkpoints from it.

    Returns:
        The trained network: after the best epoch if the configuration has ``patience``, else
        after the last epoch. Hosts other than the first return that of the last epoch.

    Raises:
        TrainingError: the folder holds another run, or one and ``resume`` is not set; there is no
            epoch to finish with; the loss is not finite; a file cannot be written; hosts differ,
            or one of them fails.
        DatasetError, ReadError: a case cannot be read.
        WeightsError: the initial weights are missing, altered, or of another network.
    """
    folder = Path(folder)
    config = run_on_all(hosts, partial(resolve_config, config))
    record = run_on_all(hosts, lambda: make_record(split, config))
    resumed = start_run_on_hosts(folder, record, resume=resume, finish=finish, hosts=hosts)
    real, phantoms, validation = run_on_all(hosts, lambda: _load(split, config))
    steps = steps_per_epoch(real, config)
    model = load_checkpoint(folder, config) if resumed else build_model(config, steps)
    rows = read_history(folder)[: int(model.optimizer.iterations) // steps]
    while not (finish or _is_complete(rows, config)):
        row = train_epoch(model, real, phantoms, config, len(rows), on_step=on_step, hosts=hosts)
        with _not_distributed():
            with averaged_weights(model):
                scores = model.evaluate(*validation, config.batch_size, verbose=0, return_dict=True)
                row |= {f"val_{key}": float(value) for key, value in scores.items()}
                # The last digits may differ between hosts, and these scores decide when to stop.
                row = exchange(hosts, row)[0]
                if config.patience is not None:
                    run_on_first(hosts, partial(save_best, folder, model, row))
            run_on_first(hosts, partial(save_epoch, folder, model, row))
        rows.append(row)
        if on_epoch:
            on_epoch(row)
    with _not_distributed():
        if config.patience is not None and hosts.first:
            model = load_best(folder)
        else:
            keep_averaged_weights(model)
        run_on_first(hosts, partial(save_weights, folder, model))
    return model


def train_epoch(
    model: keras.Model,
    real: Arrays,
    phantoms: Arrays,
    config: TrainingConfig,
    epoch: int,
    *,
    on_step: Callable[[float], None] | None = None,
    hosts: Hosts = SINGLE_HOST,
) -> EpochRow:
    """Train a network for an epoch.

    Args:
        model: compiled network, trained in place.
        real: cases to train on, decoded at ``loader.OVERSAMPLING`` times the grid's side.
        phantoms: pool of synthetic cases, see ``loader.phantom_arrays``.
        config: training configuration.
        epoch: number of the epoch, from 0.
        on_step: called after each step with the epochs done, such as 2.25.
        hosts: the hosts that share each batch.

    Returns:
        ``epoch`` (from 1), loss and scores (means over the steps), ``seconds``,
        ``images_per_s`` and ``waited``, the share of the time spent waiting for batches.

    Raises:
        TrainingError: the loss is not finite.
    """
    _seed_dropout(model, config.seed, epoch)
    steps, step = steps_per_epoch(real, config), 0
    started, waited = time.perf_counter(), 0.0
    sums: EpochRow = {}
    batches = epoch_batches(real, phantoms, config, epoch, hosts=hosts)
    while True:
        requested = time.perf_counter()
        batch = next(batches, None)
        waited += time.perf_counter() - requested
        if batch is None:
            break
        if hosts.count == 1:
            # Not all supported versions of Keras reset metrics in train_on_batch. Those required
            # for several hosts do, and there each reset costs messages between hosts.
            model.reset_metrics()
        logs = model.train_on_batch(*batch, return_dict=True)
        sums = {key: sums.get(key, 0.0) + float(value) for key, value in logs.items()}
        if not np.isfinite(sums["loss"]):
            raise TrainingError(
                f"epoch {epoch + 1}: the loss is no longer a number. The last whole epoch is "
                "kept; start a new run with a lower --learning-rate or another --seed."
            )
        step += 1
        if on_step:
            on_step(epoch + step / steps)
    seconds = time.perf_counter() - started
    return {
        "epoch": float(epoch + 1),
        **{key: value / steps for key, value in sums.items()},
        "seconds": seconds,
        "images_per_s": steps * config.batch_size / seconds,
        "waited": waited / seconds,
    }


def make_record(split: Split, config: TrainingConfig) -> dict[str, Any]:
    """Return the content of ``run.json``: configuration, split, data and software versions."""
    return {
        "recipe": config.as_record(),
        "split": {
            "seed": split.seed,
            "train": [case.name for case in split.train],
            "validation": [case.name for case in split.validation],
            "test": [case.name for case in split.test],
        },
        "data_sha256": fingerprint((*split.train, *split.validation, *split.test)),
        "augmentation_revision": REVISION,
        **_describe_initial_weights(config, split),
        "labels_from_sha256": config.labels_from and load_model(config.labels_from).sha256,
        "made_with": versions(),
    }


def _describe_initial_weights(config: TrainingConfig, split: Split) -> dict[str, Any]:
    """Return the digest of the initial weights and the cases that they were trained on."""
    if config.init is None:
        return {"init_sha256": None}
    before = load_model(config.init)
    seen = trained_names(before)
    held_out = (*split.validation, *split.test)
    return {
        "init_sha256": before.sha256,
        "trained_before": sorted(seen),
        "held_out_but_trained_before": sorted(case.name for case in held_out if case.name in seen),
    }


def _load(split: Split, config: TrainingConfig) -> tuple[Arrays, Arrays, Batch]:
    """Return the cases and phantoms to train on, and the batch to validate on."""
    _, size = network_and_size(config)
    real = load_arrays(split.train, size * OVERSAMPLING)
    if config.labels_from is not None:
        real = fill_in_labels(real, load_model(config.labels_from))
    held_out = load_arrays(split.validation, size * OVERSAMPLING)
    return real, phantom_arrays(config, size), validation_batch(held_out)


def _is_complete(rows: list[EpochRow], config: TrainingConfig) -> bool:
    """Whether all epochs are done, or the validation accuracy no longer rises."""
    if len(rows) >= config.epochs:
        return True
    return config.patience is not None and len(rows) - best_epoch(rows) >= config.patience


def _seed_dropout(model: keras.Model, seed: int, epoch: int) -> None:
    """Set the random state of the dropout layers, which Keras does not save with a model."""
    random = np.random.default_rng((seed, epoch))
    for variable in model.non_trainable_variables:
        if is_dropout_state(variable):
            variable.assign(random.integers(0, 2**31, variable.shape))


@contextmanager
def _not_distributed() -> Iterator[None]:
    """Disable Keras' distribution of batches and new variables within the block.

    The last validation batch may not be divisible by the number of devices. Keras creates
    variables when it saves a model, which only the first host does: distributed variables would
    wait for the other hosts.
    """
    from keras import distribution

    before = distribution.distribution()
    distribution.set_distribution(None)
    try:
        yield
    finally:
        distribution.set_distribution(before)
