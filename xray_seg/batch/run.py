"""A whole batch run: find the inputs, segment them, leave results.csv and run.json."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import AbstractContextManager, nullcontext
from dataclasses import asdict
from datetime import UTC, datetime
from functools import partial
from pathlib import Path
from typing import Any

from .._util.environment import versions
from .._util.files import file_sha256, write_text
from .._util.folder_lock import HIDDEN, lock_output_folder
from .._util.remote import is_url
from ..errors import OutputError
from ..outputs import FOLDERS, check_kinds
from ..segmenter import Segmenter
from .inputs import Input, find_inputs, shard
from .journal import Journal, Record, failed_row
from .options import BatchOptions, Summary
from .pipeline import Stages, run_batch
from .results.parquet import require_parquet
from .results.run_outputs import Entry, Tables, write_tables

Tell = Callable[[Record, Summary], None]


def run(
    names: Iterable[str],
    out: Path,
    segmenter: Segmenter,
    options: BatchOptions,
    part: tuple[int, int] | None = None,
    begin: Callable[[int], AbstractContextManager[Tell]] = lambda total: nullcontext(
        lambda record, summary: None
    ),
    stages: Stages | None = None,
    parquet: bool = False,
    min_quality: float | None = None,
) -> Summary:
    """Segment everything that the names stand for into ``out``.

    Args:
        names: files, folders, glob patterns.
        out: the output folder; made if it is not there.
        segmenter: model and engine.
        options: what to read and write.
        part: (I, N) to do only the I-th of N parts; its results.csv and run.json are then named
            ``results-I-of-N.csv`` and ``run-I-of-N.json``.
        begin: given the number of inputs, a context whose value is called after each of them.
        stages: what reads, predicts and writes, ``cluster.on_cluster``'s for instance; None for
            threads of this process.
        parquet: leave ``results.parquet`` beside ``results.csv``, too.
        min_quality: leave ``distrusted.csv``, too: the rows of what is below it, worst first.

    Raises:
        OutputError: the output folder cannot be made or written, or what is asked for needs
            something that is not installed.
    """
    check_kinds(options.save)
    if parquet:
        require_parquet()
    packed = options.output_format == "parquet"
    tables = Tables(
        parquet,
        min_quality,
        options.report,
        options.keep_ids,
        () if packed else options.save,
        options.sides,
    )
    started = datetime.now(UTC)
    inputs = find_inputs(names, out)
    mark = ""
    if part:
        inputs, mark = shard(inputs, *part), f"-{part[0]}-of-{part[1]}"
    try:
        with (
            lock_output_folder(out, mark, FOLDERS),
            Journal(out / HIDDEN / f"journal{mark}.jsonl") as journal,
        ):
            if not options.overwrite:
                inputs = _guard(inputs, journal)
            with begin(len(inputs)) as tell:
                summary = run_batch(inputs, out, segmenter, options, journal, tell, stages)
            made, summary.distrusted = write_tables(
                out, mark, partial(_entries, inputs, journal), journal, tables
            )
            facts = _facts(segmenter, options, summary, started)
            facts["tables"] = {"parquet": parquet, "min_quality": min_quality}
            facts["files"] = {path.name: file_sha256(path) for path in made}
            write_text(out / f"run{mark}.json", json.dumps(facts, indent=2) + "\n")
    except OSError as error:
        raise OutputError(f"{out}: cannot be written: {error.strerror or error}") from error
    return summary


def _guard(inputs: Sequence[Input], journal: Journal) -> list[Input]:
    """Name as problems the inputs that would replace the masks of another film still there."""
    guarded = []
    for item in inputs:
        record = journal.get(item.key)
        if record is None or not record.done or item.problem:
            guarded.append(item)
            continue
        other = record.row["input"]
        try:
            taken = other != str(item.path) and not Path(other).samefile(str(item.path))
        except (OSError, ValueError):  # one of them is gone, or in an object store
            taken = is_url(other) or is_url(str(item.path))
        if taken:
            problem = (
                f"{item.path}: its masks would replace those of {other}; give another --out, "
                "the folder that holds both, or --overwrite"
            )
            item = Input(item.path, f"{item.key}~", problem)  # noqa: PLW2901
        guarded.append(item)
    return guarded


def _entries(inputs: Sequence[Input], journal: Journal) -> Iterator[Entry]:
    """Each input with what became of it, in order."""
    for item in inputs:
        record = journal.get(item.key)
        if record is not None and record.row["input"] == str(item.path):
            yield Entry(item.key, record.row, record)
        else:
            missing = item.problem or "not reached before the run was stopped"
            yield Entry(item.key, failed_row(item.path, missing, "pending"), None)


def _facts(
    segmenter: Segmenter, options: BatchOptions, summary: Summary, started: datetime
) -> dict[str, Any]:
    """What run.json says: what was done, with what, by which versions, how fast."""
    engine = segmenter.engine
    return {
        "started": started.isoformat(timespec="seconds"),
        "finished": datetime.now(UTC).isoformat(timespec="seconds"),
        "weights": {"name": segmenter.model.name, "sha256": segmenter.model.sha256},
        "engine": {"name": engine.name, "precision": engine.precision, "device": engine.device},
        "settings": asdict(options),
        "counts": {
            "inputs": summary.total,
            "done": summary.done,
            "kept": summary.kept,
            "failed": summary.failed,
        },
        "interrupted": summary.interrupted,
        "seconds": round(summary.seconds, 3),
        "engine_seconds": round(summary.engine_seconds, 3),
        "versions": versions(),
    }
