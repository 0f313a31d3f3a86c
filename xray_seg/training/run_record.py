"""Record and history of a training run: ``run.json`` and ``history.csv`` in its folder.

Files of a run folder:

- ``run.json``: training configuration, split, fingerprint of the cases, software versions
- ``history.csv``: a row per epoch
- ``checkpoint.keras``: network and optimizer after the last complete epoch
- ``best.keras``: network after the best epoch, where the configuration has ``patience``
- ``weights.keras``: the trained network, written at the end
- ``tensorboard/``: the history for TensorBoard

Files are replaced atomically, so a run that was stopped at any moment can be resumed from its last
complete epoch.
"""

from __future__ import annotations

import csv
import json
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from .._util.files import atomic_path, file_sha256, write_text
from .._util.json_types import check_fields, parse_object
from ..errors import TrainingError
from .hosts import SINGLE_HOST, Hosts, check_same, run_on_first

RECORD_FILE = "run.json"
HISTORY_FILE = "history.csv"
CHECKPOINT_FILE = "checkpoint.keras"
BEST_FILE = "best.keras"
WEIGHTS_FILE = "weights.keras"

#: Settings that name weights; the record holds the digests of these weights.
WEIGHTS_SETTINGS = ("init", "labels_from")

#: A row of ``history.csv``: times, losses and scores of an epoch by column name.
EpochRow = dict[str, float]


def start_run_on_hosts(
    folder: Path,
    record: dict[str, Any],
    *,
    resume: bool = False,
    finish: bool = False,
    hosts: Hosts = SINGLE_HOST,
) -> bool:
    """Start or resume a run on the first host and check that the other hosts agree with it.

    Args:
        folder: run folder, shared by all hosts.
        record: content of ``run.json``, see ``start_run``.
        resume: continue from the checkpoint in the folder.
        finish: end the run with the epochs it has.
        hosts: the hosts that train together.

    Returns:
        Whether there is a checkpoint to continue from.

    Raises:
        TrainingError: as ``start_run``, on any host; ``finish`` is set but the folder holds no
            complete epoch; hosts have different settings or cases, or see different folders.
    """
    facts = {key: value for key, value in record.items() if key not in ("recipe", "made_with")}
    facts |= {f"the setting {key}": value for key, value in record["recipe"].items()}
    check_same(hosts, facts | {"--finish": finish}, "give all hosts the same command and data")

    def start() -> bool:
        if finish and not (folder / CHECKPOINT_FILE).exists():
            raise TrainingError(
                f"{folder}: holds no whole epoch of a training run; train before using --finish"
            )
        return start_run(folder, record, resume=resume or finish)

    resumed = run_on_first(hosts, start)
    if resumed:
        paths = [folder / name for name in (CHECKPOINT_FILE, HISTORY_FILE)]
        seen = {path.name: file_sha256(path) for path in paths if path.exists()}
        check_same(hosts, seen, f"--out {folder} must be one folder that all hosts see")
    return resumed


def start_run(folder: Path, record: dict[str, Any], *, resume: bool = False) -> bool:
    """Write the record of a new run, or compare it with that of the run to resume.

    Args:
        folder: run folder; created if missing.
        record: content of ``run.json``; ``recipe`` holds the training configuration.
        resume: allow a folder that holds a checkpoint.

    Returns:
        Whether there is a checkpoint to continue from.

    Raises:
        TrainingError: the folder holds a run and ``resume`` is not set; the run to resume was
            started with another record; the run has ended; the folder cannot be written to.
    """
    path = folder / RECORD_FILE
    if not (folder / CHECKPOINT_FILE).exists():
        if (folder / WEIGHTS_FILE).exists():
            raise TrainingError(f"{folder}: holds a finished run; give another --out")
        with translate_os_errors(f"{folder}: cannot hold a run", "give another --out"):
            folder.mkdir(parents=True, exist_ok=True)
            (folder / HISTORY_FILE).unlink(missing_ok=True)
            write_text(path, json.dumps(record, indent=2) + "\n")
        return False
    if not resume:
        raise TrainingError(f"{folder}: holds a run already; give --resume or another --out")
    changed = differences(record, read_record(folder))
    if changed:
        raise TrainingError(
            f"{folder}: cannot be resumed: {' and '.join(changed)} differ from the run's "
            f"{RECORD_FILE}; repeat the settings and data of the run, or give another --out"
        )
    return True


def differences(record: dict[str, Any], before: dict[str, Any]) -> list[str]:
    """Entries of a record that differ from those of an earlier one.

    Args:
        record: content of ``run.json``.
        before: that of the earlier run.

    Returns:
        Names of entries, and of settings with their old values. Software versions are ignored.
    """
    found = []
    for key, value in record.items():
        old = before.get(key)
        if key == "recipe" and isinstance(old, dict):
            # Weights are compared by their digests: their folder may have moved.
            settings = [
                setting
                for setting in value
                if setting not in WEIGHTS_SETTINGS and value[setting] != old.get(setting)
            ]
            found += [f"{setting} ({old.get(setting)} before)" for setting in settings]
        elif key != "made_with" and value != old:
            found.append(key)
    return found


def read_record(folder: str | Path) -> dict[str, Any]:
    """Read the ``run.json`` of a run folder.

    Raises:
        TrainingError: the file is missing, unreadable or not the record of a run.
    """
    path = Path(folder) / RECORD_FILE
    try:
        record = parse_object(path.read_bytes())
        check_fields(record, {"recipe": dict}, {"held_out_but_trained_before": list[str]})
        check_fields(record["recipe"], {}, {"precision": str})
    except (OSError, ValueError) as error:
        raise TrainingError(f"{path}: is not a run's record ({error}); start a new run") from error
    return record


def read_history(folder: str | Path) -> list[EpochRow]:
    """Read the ``history.csv`` of a run folder: a row per epoch, empty without the file.

    Raises:
        TrainingError: the file is no table of numbers with an epoch and its accuracy in each row.
    """
    path = Path(folder) / HISTORY_FILE
    if not path.exists():
        return []
    try:
        with path.open(newline="", encoding="utf-8") as file:
            rows = [{key: float(of) for key, of in row.items()} for row in csv.DictReader(file)]
        for row in rows:
            check_fields(row, {"epoch": float, "val_accuracy": float})
    except (OSError, ValueError, TypeError, csv.Error) as error:
        raise TrainingError(f"{path}: is no history ({error}); start a new run") from error
    return rows


def write_history(folder: Path, rows: list[EpochRow]) -> None:
    """Replace the ``history.csv`` of a run folder.

    Raises:
        OSError: the file cannot be written; the old one is unchanged.
    """
    with atomic_path(folder / HISTORY_FILE) as path, path.open("w", newline="") as file:
        writer = csv.DictWriter(file, list(rows[-1]))
        writer.writeheader()
        writer.writerows(rows)


def best_epoch(rows: list[EpochRow]) -> int:
    """Number of the first epoch with the highest validation accuracy, from 1; 0 without rows."""
    return int(max(rows, key=lambda row: row["val_accuracy"])["epoch"]) if rows else 0


@contextmanager
def translate_os_errors(problem: str, advice: str) -> Iterator[None]:
    """Raise a TrainingError that states problem and advice for any OSError in the block."""
    try:
        yield
    except OSError as error:
        raise TrainingError(f"{problem} ({error}); {advice}") from error
