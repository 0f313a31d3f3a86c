"""A batch: what is to be done of its inputs, and a record of each; no bad one stops it."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import suppress
from itertools import chain, islice
from pathlib import Path

from .._util.folder_lock import HIDDEN
from ..segmenter import Segmenter
from .executors import processes
from .executors.threads import Todo, run_stages
from .fingerprint import fingerprint_of, settings_of
from .inputs import Input
from .journal import Journal, Record, failed_row
from .options import BatchOptions, Summary
from .report.fragment import fragment_path
from .results.parquet_sink import Parts

#: Films from which on processes pay, which take about a second to start.
MANY = 200

#: Takes what is to do, the output folder, segmenter, options, the summary (for the time that
#: engines take) and what to call with each record.
Stages = Callable[
    [
        Iterator[Todo],
        Path,
        Segmenter,
        BatchOptions,
        Summary,
        Callable[[Record], None],
    ],
    None,
]


def run_batch(
    inputs: Sequence[Input],
    out: Path,
    segmenter: Segmenter,
    options: BatchOptions,
    journal: Journal,
    tell: Callable[[Record, Summary], None] = lambda record, summary: None,
    stages: Stages | None = None,
) -> Summary:
    """Segment inputs into an output folder; no bad input stops it.

    Args:
        inputs: with unique keys, as ``find_inputs`` gives them.
        out: the output folder.
        segmenter: model and engine.
        options: see BatchOptions.
        journal: of the output folder; gets a record of each input.
        tell: called after each input with its record and the summary so far.
        stages: what reads, predicts and writes; None for threads of this process or, from MANY
            films on, processes.

    Returns:
        The summary; with ``interrupted`` set where Ctrl-C ended it early.
    """
    summary = Summary(len(inputs))
    started = time.perf_counter()
    settings = settings_of(segmenter, options)
    packed = options.output_format == "parquet"
    parts = Parts(out, journal, [item.key for item in inputs]) if packed else None

    def settle(record: Record, kept: bool = False) -> None:
        if parts and not kept:
            parts.add(record)
        elif not kept:
            before = journal.get(record.key)
            if record.done:
                record = record.after(before)
            else:
                _remove_stale(out, record.key, before)
            journal.append(record)
        summary.kept += kept
        summary.done += record.done and not kept
        summary.failed += not record.done
        summary.seconds = time.perf_counter() - started
        tell(record, summary)

    try:
        todo = _pending(inputs, out, journal, settings, options, settle)
        first = list(islice(todo, MANY))
        in_processes = len(first) == MANY and processes.AVAILABLE
        stages = stages or (processes.run_in_processes if in_processes else run_stages)
        stages(chain(first, todo), out, segmenter, options, summary, settle)
    except KeyboardInterrupt:
        summary.interrupted = True
    finally:
        if parts:
            parts.close()
    summary.seconds = time.perf_counter() - started
    return summary


def _remove_stale(out: Path, key: str, before: Record | None) -> None:
    """Take away what was made of a film that now fails: masks of its earlier content mislead."""
    for made in (fragment_path(Path(HIDDEN), key), *(before.files if before else ())):
        with suppress(OSError):
            (out / made).unlink(missing_ok=True)


def _pending(
    inputs: Sequence[Input],
    out: Path,
    journal: Journal,
    settings: str,
    options: BatchOptions,
    settle: Callable[..., None],
) -> Iterator[Todo]:
    """Inputs yet to be done, each with its fingerprint; the others are settled on the way."""
    for item in inputs:
        fingerprint = fingerprint_of(item.path, settings, options.verify)
        record = journal.get(item.key)
        if item.problem:
            settle(Record(item.key, fingerprint, failed_row(item.path, item.problem)))
        elif (
            not options.overwrite
            and record is not None
            and record.done
            and record.fingerprint == fingerprint
            and all((out / made).is_file() for made in record.outputs)
        ):
            settle(record, kept=True)
        else:
            yield item, fingerprint
