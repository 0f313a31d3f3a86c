"""Training: a recipe, cases, and a run folder that survives a stop.

A run folder holds ``run.json`` (recipe, split, data fingerprint), ``history.csv`` (a row per
epoch), ``checkpoint.keras`` (model and optimizer after the last whole epoch) and, when it is
done, ``weights.keras``. Each sample's augmentation depends on the seed, the epoch and its place
alone, so a run that is resumed sees what it would have seen.
"""

from __future__ import annotations

import csv
import json
import time
from collections.abc import Callable
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from . import quiet
from .anatomy import CLASSES, ORGANS
from .atomic import atomic_path, write_text
from .batches import FINER, Recipe, epoch_batches, phantom_arrays, steps_per_epoch, validation_batch
from .dataset import Arrays, Split, fingerprint, load_arrays
from .errors import TrainingError, WeightsError
from .losses import soft_dice_cross_entropy
from .model_card import Model, load_model, read_variables

if TYPE_CHECKING:
    import keras


def train(
    folder: str | Path,
    split: Split,
    recipe: Recipe,
    tell: Callable[[dict[str, float]], None] = lambda row: None,
    resume: bool = False,
) -> keras.Model:
    """Train, or go on training, and return the finished model.

    Args:
        folder: the run folder; made if it is not there.
        split: cases to train and to validate on.
        recipe: see Recipe; of a resumed run it must be the one that it started with.
        tell: called after each epoch with the row that goes into ``history.csv``.
        resume: go on from the last checkpoint instead of refusing a folder that has one.

    Raises:
        TrainingError: the folder holds a run already, or another one than is to be resumed; the
            loss is no longer a number.
        DatasetError, ReadError: a case cannot be read.
    """
    keras = quiet.keras()
    folder = Path(folder)
    done = _open_run(folder, split, recipe, resume)
    real = load_arrays(split.train, recipe.size * FINER)
    phantoms = phantom_arrays(recipe)
    validation = validation_batch(load_arrays(split.validation, recipe.size * FINER), recipe)
    if done:
        model = keras.saving.load_model(
            folder / "checkpoint.keras", custom_objects={_loss.__name__: _loss}
        )
    else:
        model = build(recipe, steps_per_epoch(real, recipe))
    for epoch in range(done, recipe.epochs):
        row = {"epoch": float(epoch + 1), **_run_epoch(model, real, phantoms, recipe, epoch)}
        scores = model.evaluate(*validation, recipe.batch_size, verbose=0, return_dict=True)
        row |= {f"val_{key}": float(value) for key, value in scores.items()}
        _keep(folder, model, row)
        tell(row)
    with atomic_path(folder / "weights.keras") as path:
        model.save(path)
    return model


def build(recipe: Recipe, steps: int) -> keras.Model:
    """The compiled network with fresh weights; ``steps`` is the number of batches an epoch."""
    import keras

    from .network import inverted_net

    model = inverted_net(recipe.size, recipe.precision, recipe.seed)
    if recipe.init:
        _start_from(model, load_model(recipe.init))
    schedule = keras.optimizers.schedules.CosineDecay(
        0.0,
        decay_steps=max(1, round((recipe.epochs - recipe.warmup_epochs) * steps)),
        warmup_target=recipe.learning_rate,
        warmup_steps=round(recipe.warmup_epochs * steps),
    )
    optimizer = keras.optimizers.AdamW(schedule, weight_decay=recipe.weight_decay, clipnorm=1.0)
    compiled = False if keras.backend.backend() == "tensorflow" else "auto"
    scores = [
        keras.metrics.OneHotIoU(CLASSES, [organ.label], name=f"jaccard_{organ.name}")
        for organ in ORGANS
    ]
    model.compile(optimizer, _loss, metrics=scores, jit_compile=compiled)
    return model


def _start_from(model: keras.Model, before: Model) -> None:
    """Give a network the weights of a model folder; its dropout keeps its own seeds.

    Raises:
        WeightsError: they are those of another network.
    """
    variables = [*model.trainable_variables, *model.non_trainable_variables]
    values = read_variables(before)
    if [tuple(each.shape) for each in variables] != [value.shape for value in values]:
        raise WeightsError(f"{before.folder}: its variables do not fit {model.name}")
    for variable, value in zip(variables, values, strict=True):
        if "seed_generator" not in variable.path:
            variable.assign(value)


def choose_policy(precision: str) -> str:
    """The Keras dtype policy for ``float32``, ``bfloat16`` or ``auto``, the faster one here.

    Variables stay float32 in either. bfloat16 has float32's range, so the loss needs no scaling.
    """
    from .engines.saved_model import cpu_has_bfloat16, gpu_count

    if precision == "auto":
        precision = "bfloat16" if cpu_has_bfloat16() or gpu_count() else "float32"
    return precision if precision == "float32" else f"mixed_{precision}"


def _loss(truth: Any, probabilities: Any) -> Any:
    from keras import ops

    truth, probabilities = ops.cast(truth, "float32"), ops.cast(probabilities, "float32")
    return soft_dice_cross_entropy(truth, probabilities, ops)


def read_history(folder: str | Path) -> list[dict[str, float]]:
    """The rows of a run's history.csv, one per whole epoch; none where there is no file."""
    path = Path(folder) / "history.csv"
    if not path.exists():
        return []
    with path.open(newline="") as file:
        return [{key: float(value) for key, value in row.items()} for row in csv.DictReader(file)]


def _open_run(folder: Path, split: Split, recipe: Recipe, resume: bool) -> int:
    """Record the run, or check it against its record; the number of epochs already done."""
    record = {
        "recipe": asdict(recipe),
        "split": {
            "seed": split.seed,
            "train": [case.name for case in split.train],
            "validation": [case.name for case in split.validation],
        },
        "data_sha256": fingerprint((*split.train, *split.validation)),
        "init_sha256": load_model(recipe.init).sha256 if recipe.init else None,
    }
    path = folder / "run.json"
    if not (folder / "checkpoint.keras").exists():
        folder.mkdir(parents=True, exist_ok=True)
        write_text(path, json.dumps(record, indent=2) + "\n")
        return 0
    if not resume:
        raise TrainingError(f"{folder}: holds a run already; give --resume or another --out")
    before = json.loads(path.read_text())
    changed = [key for key in record if record[key] != before.get(key)]
    if changed:
        raise TrainingError(
            f"{folder}: cannot be resumed: {' and '.join(changed)} differ from the run's run.json; "
            "give what it was started with, or another --out"
        )
    return len(read_history(folder))


def _run_epoch(
    model: keras.Model, real: Arrays, phantoms: Arrays, recipe: Recipe, epoch: int
) -> dict[str, float]:
    """One pass over the cases: loss and scores (means over steps), seconds, share spent waiting."""
    started, waited = time.perf_counter(), 0.0
    sums: dict[str, float] = {}
    batches = epoch_batches(real, phantoms, recipe, epoch)
    while True:
        asked = time.perf_counter()
        batch = next(batches, None)
        waited += time.perf_counter() - asked
        if batch is None:
            break
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


def _keep(folder: Path, model: keras.Model, row: dict[str, float]) -> None:
    """A checkpoint and a row of history, each whole or not at all."""
    rows = [*read_history(folder)[: int(row["epoch"]) - 1], row]
    with atomic_path(folder / "checkpoint.keras") as path:
        model.save(path)
    with atomic_path(folder / "history.csv") as path, path.open("w", newline="") as file:
        writer = csv.DictWriter(file, list(row))
        writer.writeheader()
        writer.writerows(rows)
