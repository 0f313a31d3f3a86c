"""Training: a recipe, cases, and a run folder that survives a stop.

Augmentation and dropout of an epoch depend on the seed and the epoch's number alone, and a
checkpoint holds weights and the optimizer's state, so a run that is resumed gives what it would
have given uninterrupted.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import asdict
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from .._util import tensorflow
from .._util.environment import versions
from ..data.cases import Arrays, Split, fingerprint, load_arrays
from ..errors import TrainingError, WeightsError
from ..labels import CLASSES, ORGANS
from ..models.losses import LOSSES
from ..models.model_folder import Model, load_model, read_variables, trained_names
from ..models.network import build_network, is_dropout_state, weights_of
from .augmentation import REVISION
from .config import Recipe
from .hosts import ALONE, Hosts, exchange, on_first, together
from .loader import FINER, Batch, epoch_batches, phantom_arrays, steps_per_epoch, validation_batch
from .run_folder import (
    BEST_FILE,
    CHECKPOINT_FILE,
    Row,
    begin_run,
    best_epoch,
    keep_epoch,
    keep_weights,
    read_history,
)

if TYPE_CHECKING:
    import keras


def train(
    folder: str | Path,
    split: Split,
    recipe: Recipe,
    tell: Callable[[Row], None] = lambda row: None,
    resume: bool = False,
    finish: bool = False,
    hosts: Hosts = ALONE,
) -> keras.Model:
    """Train, or go on training, and return the finished model.

    Args:
        folder: the run folder; made if it is not there.
        split: cases to train and to validate on.
        recipe: see Recipe; of a resumed run it must be the one that it started with.
        tell: called after each epoch with the row that goes into ``history.csv``.
        resume: go on from the last checkpoint instead of refusing a folder that has one.
        finish: train no more: return what the whole epochs so far have given. The run can be
            resumed all the same.
        hosts: which of the hosts that train together this one is, as distribution.share_batches
            has connected them. Only the first writes into the folder; the others read checkpoints
            from it, and return the model as it was after the last epoch.

    Raises:
        TrainingError: the folder holds a run already, or another one than is to be resumed, or
            no whole epoch of one that is to be finished; the loss is no longer a number; a file
            of the run cannot be written; hosts differ, or one of them fails.
        DatasetError, ReadError: a case cannot be read.
    """
    keras = tensorflow.keras()
    folder = Path(folder)
    record = together(hosts, lambda: _record(split, recipe))
    going_on = begin_run(folder, record, resume, finish, hosts)
    real, phantoms, validation = together(hosts, lambda: _load(split, recipe))
    steps = steps_per_epoch(real, recipe)
    model = _restart(folder, recipe) if going_on else build(recipe, steps)
    rows = read_history(folder)[: int(model.optimizer.iterations) // steps]
    while not finish and len(rows) < recipe.epochs and not _out_of_patience(rows, recipe):
        row = {
            "epoch": float(len(rows) + 1),
            **train_epoch(model, real, phantoms, recipe, len(rows), hosts),
        }
        with _undivided():
            scores = model.evaluate(*validation, recipe.batch_size, verbose=0, return_dict=True)
            row |= {f"val_{key}": float(value) for key, value in scores.items()}
            # Other hosts' scores may differ in the last digit, and scores decide when to stop.
            row = exchange(hosts, row)[0]
            keep_best = recipe.patience is not None
            on_first(hosts, partial(keep_epoch, folder, model, row, keep_best))
        rows.append(row)
        tell(row)
    with _undivided():
        if recipe.patience is not None and hosts.first:
            model = keras.saving.load_model(folder / BEST_FILE, compile=False, safe_mode=True)
        on_first(hosts, partial(keep_weights, folder, model))
    return model


def _load(split: Split, recipe: Recipe) -> tuple[Arrays, Arrays, Batch]:
    """Cases and phantoms to train on, and the batch to validate on."""
    real = load_arrays(split.train, recipe.size * FINER)
    held_out = load_arrays(split.validation, recipe.size * FINER)
    return real, phantom_arrays(recipe), validation_batch(held_out, recipe)


def build(recipe: Recipe, steps: int) -> keras.Model:
    """The compiled network with fresh weights; ``steps`` is the number of batches an epoch."""

    model = build_network(
        recipe.network, recipe.size, recipe.precision, recipe.seed, recipe.dropout
    )
    if recipe.init:
        _start_from(model, load_model(recipe.init))
    compile_model(model, recipe, steps)
    return model


def compile_model(model: keras.Model, recipe: Recipe, steps: int) -> None:
    """Give a network the recipe's optimizer, loss and scores."""
    import keras

    if recipe.optimizer == "adadelta":
        optimizer: Any = keras.optimizers.Adadelta(recipe.learning_rate, rho=0.95)
    else:
        warmup = min(recipe.warmup_epochs, recipe.epochs / 5)
        schedule = keras.optimizers.schedules.CosineDecay(
            0.0,
            decay_steps=max(1, round((recipe.epochs - warmup) * steps)),
            warmup_target=recipe.learning_rate,
            warmup_steps=round(warmup * steps),
        )
        optimizer = keras.optimizers.AdamW(schedule, weight_decay=recipe.weight_decay, clipnorm=1.0)
    scores = [
        keras.metrics.CategoricalAccuracy(name="accuracy"),
        *(
            keras.metrics.OneHotIoU(CLASSES, [organ.label], name=f"jaccard_{organ.name}")
            for organ in ORGANS
        ),
    ]
    compiled = False if keras.backend.backend() == "tensorflow" else "auto"
    model.compile(optimizer, _loss(recipe), metrics=scores, jit_compile=compiled)


def choose_policy(precision: str) -> str:
    """The Keras dtype policy for ``float32``, ``bfloat16`` or ``auto``, the faster one here.

    Variables stay float32 in either. bfloat16 has float32's range, so the loss needs no scaling.
    """
    from ..models.engines.devices import cpu_has_bfloat16, gpu_count

    if precision == "auto":
        precision = "bfloat16" if cpu_has_bfloat16() or gpu_count() else "float32"
    return precision if precision == "float32" else f"mixed_{precision}"


def _record(split: Split, recipe: Recipe) -> dict[str, Any]:
    return {
        "recipe": asdict(recipe),
        "split": {
            "seed": split.seed,
            "train": [case.name for case in split.train],
            "validation": [case.name for case in split.validation],
            "test": [case.name for case in split.test],
        },
        "data_sha256": fingerprint((*split.train, *split.validation, *split.test)),
        "augmentation_revision": REVISION,
        **_origin(recipe, split),
        "made_with": versions(),
    }


def _origin(recipe: Recipe, split: Split) -> dict[str, Any]:
    """What the weights to start from have seen already."""
    if not recipe.init:
        return {"init_sha256": None}
    before = load_model(recipe.init)
    seen = trained_names(before)
    held_out = (*split.validation, *split.test)
    return {
        "init_sha256": before.sha256,
        "trained_before": sorted(seen),
        "held_out_but_trained_before": sorted(case.name for case in held_out if case.name in seen),
    }


def _restart(folder: Path, recipe: Recipe) -> keras.Model:
    import keras

    loss = _loss(recipe)
    path = folder / CHECKPOINT_FILE
    return keras.saving.load_model(path, custom_objects={loss.__name__: loss}, safe_mode=True)


def _start_from(model: keras.Model, before: Model) -> None:
    """Give a network the weights of a model folder; its dropout keeps its own seeds.

    Raises:
        WeightsError: they are those of another network.
    """
    variables, values = weights_of(model), read_variables(before)
    if [tuple(each.shape) for each in variables] != [value.shape for value in values]:
        raise WeightsError(f"{before.folder}: its variables do not fit {model.name}")
    for variable, value in zip(variables, values, strict=True):
        variable.assign(value)


def _loss(recipe: Recipe) -> Callable[[Any, Any], Any]:
    def loss(truth: Any, probabilities: Any) -> Any:
        from keras import ops

        truth, probabilities = ops.cast(truth, "float32"), ops.cast(probabilities, "float32")
        return LOSSES[recipe.loss](truth, probabilities, ops)

    return loss


@contextmanager
def _undivided() -> Iterator[None]:
    """Within the block devices do not share batches: the last one to validate on may be odd.

    Nor do they share variables made in it. Keras makes some as it saves a model, which the first
    host does alone: shared ones would wait for the others.
    """
    from keras import distribution

    before = distribution.distribution()
    distribution.set_distribution(None)
    try:
        yield
    finally:
        distribution.set_distribution(before)


def _out_of_patience(rows: list[Row], recipe: Recipe) -> bool:
    return recipe.patience is not None and len(rows) - best_epoch(rows) >= recipe.patience


def _seed_dropout(model: keras.Model, seed: int, epoch: int) -> None:
    """Set the state of the dropout masks, which Keras does not save with a model."""
    random = np.random.default_rng((seed, epoch))
    for variable in model.non_trainable_variables:
        if is_dropout_state(variable):
            variable.assign(random.integers(0, 2**31, variable.shape))


def train_epoch(
    model: keras.Model,
    real: Arrays,
    phantoms: Arrays,
    recipe: Recipe,
    epoch: int,
    hosts: Hosts = ALONE,
) -> Row:
    """One pass over the cases: loss and scores (means over steps), seconds, share spent waiting."""
    _seed_dropout(model, recipe.seed, epoch)
    started, waited = time.perf_counter(), 0.0
    sums: Row = {}
    batches = epoch_batches(real, phantoms, recipe, epoch, hosts)
    while True:
        asked = time.perf_counter()
        batch = next(batches, None)
        waited += time.perf_counter() - asked
        if batch is None:
            break
        if hosts.count == 1:  # among several it costs messages, and their Keras does it anyway
            model.reset_metrics()  # not every version of Keras does
        logs = model.train_on_batch(*batch, return_dict=True)
        sums = {key: sums.get(key, 0.0) + float(value) for key, value in logs.items()}
        if not np.isfinite(sums["loss"]):
            raise TrainingError(
                f"epoch {epoch + 1}: the loss is no longer a number. The last whole epoch is kept; "
                "start again with a lower --learning-rate or another --seed."
            )
    seconds = time.perf_counter() - started
    row = {key: value / steps_per_epoch(real, recipe) for key, value in sums.items()}
    rate = steps_per_epoch(real, recipe) * recipe.batch_size / seconds
    return row | {"seconds": seconds, "images_per_s": rate, "waited": waited / seconds}
