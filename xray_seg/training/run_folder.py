"""The folder of a training run: what it was started with, how far it is, where it goes on.

``run.json`` (recipe, split, data fingerprint), ``history.csv`` (a row per epoch),
``checkpoint.keras`` (model and optimizer after the last whole epoch), ``best.keras`` (where the
recipe has patience), ``tensorboard/`` and, when it is done, ``weights.keras``. Each file is whole
or not there, so a run that is stopped at any moment goes on from its last whole epoch.
"""

from __future__ import annotations

import csv
import json
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

from .._util.files import atomic_path, file_sha256, write_text
from ..errors import TrainingError
from .hosts import ALONE, Hosts, check_same, on_first

if TYPE_CHECKING:
    import keras

CHECKPOINT_FILE = "checkpoint.keras"
BEST_FILE = "best.keras"
WEIGHTS_FILE = "weights.keras"
RECORD_FILE = "run.json"
HISTORY_FILE = "history.csv"

Row = dict[str, float]

_GO_ON = "the last whole epoch is kept: make room, and go on with --resume"


def begin_run(
    folder: Path, record: dict[str, Any], resume: bool, finish: bool, hosts: Hosts = ALONE
) -> bool:
    """Open a run on the first host, and see that the others can take part in it.

    Args:
        folder, record, resume: as of open_run.
        finish: the run is to be finished with the whole epochs that it has.
        hosts: which of the hosts that train together this one is.

    Returns:
        Whether there is a checkpoint to go on from.

    Raises:
        TrainingError: as open_run, on any host; there is no whole epoch to finish with; hosts
            differ in what they were given, or do not see the same folder.
    """
    facts = {key: value for key, value in record.items() if key not in ("recipe", "made_with")}
    facts |= {f"the recipe's {key}": value for key, value in record["recipe"].items()}
    check_same(hosts, facts | {"--finish": finish}, "give all hosts the same command and data")

    def begin() -> bool:
        if finish and not (folder / CHECKPOINT_FILE).exists():
            raise TrainingError(
                f"{folder}: holds no whole epoch of a run, so there is none to finish"
            )
        return open_run(folder, record, resume or finish)

    going_on = on_first(hosts, begin)
    if going_on:
        paths = [folder / name for name in (CHECKPOINT_FILE, HISTORY_FILE)]
        seen = {path.name: file_sha256(path) for path in paths if path.exists()}
        check_same(hosts, seen, f"--out {folder} must be one folder that all hosts see")
    return going_on


def open_run(folder: Path, record: dict[str, Any], resume: bool) -> bool:
    """Record what a run is started with, or check it against its record.

    Returns:
        Whether there is a checkpoint to go on from.

    Raises:
        TrainingError: the folder holds a run already, or another one than is to be resumed, or
            cannot be written to.
    """
    path = folder / RECORD_FILE
    if not (folder / CHECKPOINT_FILE).exists():
        if (folder / WEIGHTS_FILE).exists():
            raise TrainingError(f"{folder}: holds a finished run; give another --out")
        with _told(f"{folder}: a run cannot be kept here", "give another --out"):
            folder.mkdir(parents=True, exist_ok=True)
            (folder / HISTORY_FILE).unlink(missing_ok=True)
            write_text(path, json.dumps(record, indent=2) + "\n")
        return False
    if not resume:
        raise TrainingError(f"{folder}: holds a run already; give --resume or another --out")
    before = read_record(folder)
    changed = _differences(record, before)
    if changed:
        raise TrainingError(
            f"{folder}: cannot be resumed: {' and '.join(changed)} differ from the run's "
            f"{RECORD_FILE}; give what it was started with, or another --out"
        )
    return True


def _differences(record: dict[str, Any], before: dict[str, Any]) -> list[str]:
    """What differs, by name; of a recipe each part."""
    found = []
    for key, value in record.items():
        was = before.get(key)
        if key == "recipe" and isinstance(was, dict):
            parts = [part for part in value if value[part] != was.get(part)]
            found += [f"{part} ({was.get(part)} before)" for part in parts]
        elif key != "made_with" and value != was:
            found.append(key)
    return found


def read_record(folder: str | Path) -> dict[str, Any]:
    """The content of a run's run.json.

    Raises:
        TrainingError: the folder holds no run.
    """
    path = Path(folder) / RECORD_FILE
    try:
        record = json.loads(path.read_text("utf-8"))
    except (OSError, ValueError) as error:
        raise TrainingError(f"{path}: is not a run's record ({error}); start it anew") from error
    if not isinstance(record, dict):
        raise TrainingError(f"{path}: is not a run's record; start it anew")
    return record


def read_history(folder: str | Path) -> list[Row]:
    """The rows of a run's history.csv, one per whole epoch; none where there is no file."""
    path = Path(folder) / HISTORY_FILE
    if not path.exists():
        return []
    with path.open(newline="") as file:
        return [{key: float(value) for key, value in row.items()} for row in csv.DictReader(file)]


def keep_epoch(folder: Path, model: keras.Model, row: Row, keep_best: bool) -> None:
    """Save a checkpoint and a row of history, each whole or not at all.

    Args:
        folder: the run's.
        model: compiled, so that the optimizer's state is kept too.
        row: of this epoch; its ``epoch`` counts from 1.
        keep_best: also save the model apart if its validation accuracy is the best so far.

    Raises:
        TrainingError: it cannot be written; the last epoch's files are as they were.
    """
    # The checkpoint comes last and counts: a row written without it is of an epoch to run again.
    rows = [*read_history(folder)[: int(row["epoch"]) - 1], row]
    with _told(f"{folder}: epoch {row['epoch']:.0f} cannot be kept", _GO_ON):
        if keep_best and best_epoch(rows) == row["epoch"]:
            save_model(model, folder / BEST_FILE)
        with atomic_path(folder / HISTORY_FILE) as path, path.open("w", newline="") as file:
            writer = csv.DictWriter(file, list(row))
            writer.writeheader()
            writer.writerows(rows)
        save_model(model, folder / CHECKPOINT_FILE)
        _log_scalars(folder / "tensorboard", row)


def keep_weights(folder: Path, model: keras.Model) -> None:
    """Save what a run that is done has made.

    Raises:
        TrainingError: it cannot be written.
    """
    with _told(f"{folder}: the weights cannot be kept", _GO_ON):
        save_model(model, folder / WEIGHTS_FILE)


def best_epoch(rows: list[Row]) -> int:
    """The first epoch with the best validation accuracy, from 1; 0 where there are no rows."""
    return int(max(rows, key=lambda row: row["val_accuracy"])["epoch"]) if rows else 0


def save_model(model: keras.Model, path: Path) -> None:
    """Write a Keras model, whole or not at all."""
    with atomic_path(path) as temporary:
        model.save(temporary)


@contextmanager
def _told(what: str, advice: str) -> Iterator[None]:
    """Say what an error of the file system means for the run, and what to do."""
    try:
        yield
    except OSError as error:
        raise TrainingError(f"{what} ({error}); {advice}") from error


def _log_scalars(folder: Path, row: Row) -> None:
    """One epoch for TensorBoard, by tensorboardX: it needs no TensorFlow, so any backend logs."""
    from tensorboardX import SummaryWriter

    # Files are named by the second: without a suffix, short epochs would replace each other.
    with SummaryWriter(str(folder), filename_suffix=f".{row['epoch']:05.0f}") as writer:
        for key, value in row.items():
            if key != "epoch":
                writer.add_scalar(key, value, int(row["epoch"]))
