"""Verify that an output folder holds what its runs recorded, unaltered."""

from __future__ import annotations

import csv
import os
from collections import defaultdict
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from .._util.files import file_sha256, is_temporary
from .._util.folder_lock import HIDDEN
from .._util.paths import resolve_inside
from ..errors import OutputError
from ..outputs import FOLDERS
from .journal import Journal
from .options import COUNTS
from .run_record import RunRecord


@dataclass
class Verification:
    """The outcome of a verification.

    Attributes:
        problems: one text per file that is not as recorded, with what is wrong.
        files: number of output files checked.
        images: number of inputs with masks.
        failed: number of inputs recorded as failed.
        earlier: number of files that an earlier run wrote with other settings.
    """

    problems: list[str] = field(default_factory=list)
    files: int = 0
    images: int = 0
    failed: int = 0
    earlier: int = 0


def verify(out: Path) -> Verification:
    """Check the outputs of the runs into a folder against their records.

    Each file that a record names must exist with the SHA-256 that it was written with, and the
    folders of outputs must hold no other file. Each run's record must be complete and say that the
    run ended normally, and its results.csv must be unaltered. Nothing is changed.

    Raises:
        OutputError: the folder holds no run.
    """
    runs = sorted(out.glob("run.json")) + sorted(out.glob("run-*-of-*.json"))
    journals = sorted((out / HIDDEN).glob("journal*.jsonl"), key=lambda path: len(path.stem))
    if not runs and not journals:
        raise OutputError(f"{out}: holds no run of xrayseg batch (no run.json)")
    found = Verification()
    if not runs:
        found.problems.append(f"{out / 'run.json'}: missing; the run was stopped")
    for path in runs:
        found.problems += _check_run(path)
    recorded = _recorded(out, journals, found)
    found.problems += _check_files(out, recorded, found)
    found.problems += _unexplained(out, recorded)
    return found


def _check_run(path: Path) -> Iterator[str]:
    """What is wrong with a run's record and the files that it names."""
    try:
        record = RunRecord.read(path)
    except (OSError, ValueError) as error:
        yield f"{path}: is not a run's record ({error})"
        return
    reached = sum(record.counts.get(name, 0) for name in COUNTS)
    total = record.counts["inputs"]
    if record.interrupted or reached != total:
        yield f"{path}: the run was stopped after {reached} of {total} inputs; run it again"
    for name, sha256 in record.files.items():
        try:
            file = resolve_inside(path.parent, name)
        except OutputError as error:
            yield str(error)
            continue
        yield from _check_file(file, {sha256})
        yield from _check_rows(file, total)


def _check_rows(path: Path, total: int) -> Iterator[str]:
    """Check that results.csv has a row per input."""
    if not path.match("results*.csv") or not path.is_file():
        return
    try:
        with path.open(newline="", encoding="utf-8", errors="surrogateescape") as file:
            rows = sum(1 for _ in csv.DictReader(file))
    except (OSError, csv.Error) as error:
        yield f"{path}: cannot be read as a table: {error}"
        return
    if rows != total:
        yield f"{path}: {rows} rows for {total} inputs"


def _recorded(out: Path, journals: list[Path], found: Verification) -> dict[str, set[str]]:
    """SHA-256 of each output by path; two where a whole run and a shard's run both wrote it.

    Where a whole run's journal knows an input, as after a merge, the shards' records of it add
    their hashes, but the input counts once.
    """
    recorded: defaultdict[str, set[str]] = defaultdict(set)
    seen: set[str] = set()
    for path in journals:  # a whole run's journal first
        with Journal(path, read_only=True) as journal:
            if journal.damaged:
                found.problems.append(f"{path}: {journal.damaged} damaged lines")
            for record in journal:
                known: dict[str, Any] = {**record.earlier, **record.hashes}
                if record.key not in seen:
                    seen.add(record.key)
                    found.images += record.done
                    found.failed += not (record.done or record.is_skipped)
                    found.earlier += len(record.earlier)
                    names = record.files
                else:  # an older record of the input may name files that are replaced by now
                    names = [each for each in record.files if (out / each).is_file()]
                for name in names:
                    recorded[name].add(known.get(name, ""))
    return recorded


def _check_files(out: Path, recorded: dict[str, set[str]], found: Verification) -> Iterator[str]:
    for name, hashes in recorded.items():
        found.files += 1
        try:
            path = resolve_inside(out, name)
        except OutputError as error:
            yield str(error)
            continue
        yield from _check_file(path, hashes)


def _check_file(path: Path, hashes: set[str]) -> Iterator[str]:
    try:
        found = file_sha256(path)
    except FileNotFoundError:
        yield f"{path}: missing"
    except OSError as error:
        yield f"{path}: cannot be read: {error.strerror or error}"
    else:
        if hashes == {""}:
            yield f"{path}: no SHA-256 is recorded; do it again with --overwrite"
        elif found not in hashes:
            yield f"{path}: altered since it was written"


def _unexplained(out: Path, recorded: dict[str, set[str]]) -> Iterator[str]:
    """Files in the output folders that no record names."""
    for kind in FOLDERS:
        for place, folders, files in os.walk(out / kind):
            folders.sort()
            for name in sorted(files):
                path = Path(place, name)
                if is_temporary(name):
                    yield f"{path}: left by a run that was killed; the next run removes it"
                elif path.relative_to(out).as_posix() not in recorded:
                    yield f"{path}: in no record of a run"
