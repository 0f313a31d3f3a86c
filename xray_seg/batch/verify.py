"""Whether an output folder still holds what its runs recorded: each file there, none altered."""

from __future__ import annotations

import csv
import json
import os
from collections import defaultdict
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from .._util.files import file_sha256, is_temporary
from .._util.folder_lock import HIDDEN
from ..errors import OutputError
from ..outputs import FOLDERS
from .journal import Journal

#: What a finished run's record says; without one of these it is not whole.
_FACTS = ("started", "finished", "weights", "engine", "settings", "counts", "versions", "files")


@dataclass
class Verdict:
    """What was found in an output folder.

    Attributes:
        problems: each names a file and what is wrong with it; none where all is as recorded.
        files: files of images checked.
        images: inputs with masks.
        failed: inputs that have none, as recorded.
        earlier: of the files, those that an earlier run made with other settings.
    """

    problems: list[str] = field(default_factory=list)
    files: int = 0
    images: int = 0
    failed: int = 0
    earlier: int = 0


def verify(out: Path) -> Verdict:
    """Check the outputs of the runs into a folder against their records.

    Each file that a record names is there with the SHA-256 of when it was written; the folders of
    outputs hold no other; each run's record is whole, says that the run came to its end, and its
    results.csv is unaltered. Changes nothing.

    Raises:
        OutputError: the folder holds no run.
    """
    runs = sorted(out.glob("run.json")) + sorted(out.glob("run-*-of-*.json"))
    journals = sorted((out / HIDDEN).glob("journal*.jsonl"))
    if not runs and not journals:
        raise OutputError(f"{out}: holds no run of xrayseg batch (no run.json)")
    verdict = Verdict()
    if not runs:
        verdict.problems.append(f"{out / 'run.json'}: missing; the run was stopped")
    for path in runs:
        verdict.problems += _check_run(path)
    recorded = _recorded(journals, verdict)
    verdict.problems += _check_files(out, recorded, verdict)
    verdict.problems += _unexplained(out, recorded)
    return verdict


def _check_run(path: Path) -> Iterator[str]:
    """What is wrong with a run's record and the files that it names."""
    try:
        facts = json.loads(path.read_text("utf-8"))
        missing = [name for name in _FACTS if name not in facts]
        if missing:
            yield f"{path}: lacks {', '.join(missing)}"
            return
        counts, files = facts["counts"], facts["files"].items()
        reached = counts["done"] + counts["kept"] + counts["failed"]
        total, interrupted = counts["inputs"], facts["interrupted"]
    except (OSError, ValueError, KeyError, TypeError, AttributeError) as error:
        yield f"{path}: is not a run's record ({error!r})"
        return
    if interrupted or reached != total:
        yield f"{path}: the run was stopped after {reached} of {total} inputs; run it again"
    for name, sha256 in files:
        yield from _check_file(path.parent / name, {sha256})
        yield from _check_rows(path.parent / name, total)


def _check_rows(path: Path, total: int) -> Iterator[str]:
    """Whether results.csv has a row per input."""
    if not path.match("results*.csv") or not path.is_file():
        return
    with path.open(newline="", encoding="utf-8", errors="surrogateescape") as file:
        rows = sum(1 for _ in csv.DictReader(file))
    if rows != total:
        yield f"{path}: {rows} rows for {total} inputs"


def _recorded(journals: list[Path], verdict: Verdict) -> dict[str, set[str]]:
    """The SHA-256 of each output by path; two where a whole run and a part both wrote it."""
    recorded: defaultdict[str, set[str]] = defaultdict(set)
    for path in journals:
        with Journal(path, read_only=True) as journal:
            for record in journal:
                verdict.images += record.done
                verdict.failed += not record.done
                verdict.earlier += len(record.earlier)
                known: dict[str, Any] = {**record.earlier, **record.hashes}
                for name in record.files:
                    recorded[name].add(known.get(name, ""))
    return recorded


def _check_files(out: Path, recorded: dict[str, set[str]], verdict: Verdict) -> Iterator[str]:
    for name, hashes in recorded.items():
        verdict.files += 1
        yield from _check_file(out / name, hashes)


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
    """Files in the folders of outputs that no record names."""
    for kind in FOLDERS:
        for place, folders, files in os.walk(out / kind):
            folders.sort()
            for name in sorted(files):
                path = Path(place, name)
                if is_temporary(name):
                    yield f"{path}: left by a run that was killed; the next run removes it"
                elif path.relative_to(out).as_posix() not in recorded:
                    yield f"{path}: in no record of a run"
