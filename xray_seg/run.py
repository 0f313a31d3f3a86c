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

from .atomic import write_text
from .errors import OutputError
from .fingerprint import file_sha256
from .folder_lock import HIDDEN, alone
from .info import versions
from .inputs import Input, find_inputs, shard
from .journal import Journal, Record, failed_row, write_results
from .options import BatchOptions, Summary
from .parquet import require_parquet, write_parquet
from .pipeline import Stages, run_batch
from .readers import ID_COLUMNS
from .report import write_report
from .segmenter import Segmenter
from .stores import is_url
from .writers import FOLDERS, check_kinds, gather

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
    started = datetime.now(UTC)
    inputs = find_inputs(names, out)
    mark = ""
    if part:
        inputs, mark = shard(inputs, *part), f"-{part[0]}-of-{part[1]}"
    try:
        with alone(out, mark, FOLDERS), Journal(out / HIDDEN / f"journal{mark}.jsonl") as journal:
            if not options.overwrite:
                inputs = _guard(inputs, journal)
            with begin(len(inputs)) as tell:
                summary = run_batch(inputs, out, segmenter, options, journal, tell, stages)
            results = out / f"results{mark}.csv"
            ids = ID_COLUMNS if options.keep_ids else ()
            write_results(results, result_rows(inputs, journal), ids)
            made = [results]
            if parquet:
                made.append(results.with_suffix(".parquet"))
                write_parquet(made[-1], result_rows(inputs, journal), ids)
            if min_quality is not None:
                made.append(out / f"distrusted{mark}.csv")
                below = distrusted(inputs, journal, min_quality)
                summary.distrusted = len(below)
                write_results(made[-1], result_rows(below, journal), ids)
            if options.report:
                made.append(out / f"report{mark}.html")
                write_report(made[-1], partial(named_rows, inputs, journal), out / HIDDEN)
            if options.output_format == "folder":
                outputs = partial(done_outputs, inputs, journal)
                made += gather(out, mark, options.save, options.sides, outputs)
            facts = _facts(segmenter, options, summary, started)
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


def _records(inputs: Sequence[Input], journal: Journal) -> Iterator[tuple[Input, Record | None]]:
    """Each input with its record, None where there is none of it."""
    for item in inputs:
        record = journal.get(item.key)
        ours = record is not None and record.row["input"] == str(item.path)
        yield item, record if ours else None


def named_rows(inputs: Sequence[Input], journal: Journal) -> Iterator[tuple[str, dict[str, Any]]]:
    """Key and row of results.csv of each input, in order."""
    for item, record in _records(inputs, journal):
        missing = item.problem or "not reached before the run was stopped"
        yield item.key, record.row if record else failed_row(item.path, missing, "pending")


def result_rows(inputs: Sequence[Input], journal: Journal) -> Iterator[dict[str, Any]]:
    """A row of results.csv for each input, in order."""
    return (row for _, row in named_rows(inputs, journal))


def distrusted(inputs: Sequence[Input], journal: Journal, least: float) -> list[Input]:
    """The inputs whose masks are expected to be worse than ``least``, worst first."""
    below = []
    for item, record in _records(inputs, journal):
        score = record.row.get("quality") if record and record.done else None
        if score is not None and score < least:
            below.append((score, item.key, item))
    return [item for *_, item in sorted(below, key=lambda each: each[:2])]


def done_outputs(inputs: Sequence[Input], journal: Journal) -> Iterator[list[str]]:
    """The files of each input that has masks, those whose row in results.csv says so, in order."""
    return (record.outputs for _, record in _records(inputs, journal) if record and record.done)


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
