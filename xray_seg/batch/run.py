"""A batch run: find the inputs, segment them, write tables, report and record."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from contextlib import nullcontext, suppress
from datetime import UTC, datetime
from functools import partial
from os import PathLike
from pathlib import Path
from typing import TYPE_CHECKING

from .._util.files import file_sha256, sync_filesystem
from .._util.folder_lock import HIDDEN
from .._util.name_folding import name_folding
from .._util.processor import Processor, this_processor
from .._util.remote import is_url
from ..errors import OutputError
from ..outputs import check_kinds
from .executors import Executor, local_executor
from .inputs import Input, find_inputs, shard_inputs
from .job import BatchJob
from .journal import Journal
from .ledger import Ledger, OnProgress
from .options import BatchOptions, Shard, Summary
from .output_folder import open_output_folder, refuse_foreign_folder
from .results.columns import failed_row
from .results.parquet import require_parquet
from .results.run_outputs import Entry, write_run_outputs
from .run_record import RunRecord

if TYPE_CHECKING:
    from ..segmenter import Segmenter


def run_batch(
    inputs: Iterable[str | PathLike[str]],
    out: str | PathLike[str],
    *,
    segmenter: Segmenter | None = None,
    options: BatchOptions | None = None,
    shard: Shard | None = None,
    executor: Executor | None = None,
    on_progress: OnProgress | None = None,
) -> Summary:
    """Segment files and folders of radiographs into an output folder.

    What an earlier run did with the same input, weights and options is kept. A bad input never
    stops the batch: it becomes a row of results.csv with the reason.

    Args:
        inputs: files, folders, glob patterns, or URLs of these in object stores.
        out: the output folder; made if it does not exist.
        segmenter: model and engine; None for the default ones.
        options: what to read and write; None for the defaults.
        shard: do only this part of the inputs; its results.csv and run.json are then named
            ``results-I-of-N.csv`` and ``run-I-of-N.json``.
        executor: what reads, predicts and writes; None for processes or threads of this machine,
            see ``BatchOptions.processes``.
        on_progress: called with the summary so far and the record of each finished input, and once
            at the start with None for the record.

    Returns:
        Counts and times; ``interrupted`` is set where Ctrl-C ended the batch early.

    Raises:
        OutputError: the output folder cannot be made or written, or an option needs something
            that is not installed.
    """
    out, options = Path(out), options or BatchOptions()
    _check(options)
    with nullcontext(executor) if executor else local_executor(options.processes) as chosen:
        segmenter = segmenter or _default_segmenter()
        return _run(inputs, out, shard, segmenter, options, chosen, on_progress)


def _run(
    inputs: Iterable[str | PathLike[str]],
    out: Path,
    shard: Shard | None,
    segmenter: Segmenter,
    options: BatchOptions,
    executor: Executor,
    on_progress: OnProgress | None,
) -> Summary:
    """Segment the inputs into an output folder that nobody else writes to meanwhile."""
    started = datetime.now(UTC)
    suffix = shard.suffix if shard else ""
    try:
        refuse_foreign_folder(out, suffix, options)
        with open_output_folder(out, suffix) as journal:
            fold = name_folding(out / HIDDEN)
            found = shard_inputs(find_inputs(map(str, inputs), out, fold=fold), shard)
            found = found if options.overwrite else _refuse_replacing(found, journal)
            job = BatchJob.of(found, out, segmenter, options)
            ledger = Ledger(job, journal, on_progress=on_progress)
            _execute(job, ledger, executor)
            entries = partial(_entries, job, journal)
            files, ledger.summary.distrusted = write_run_outputs(
                out, suffix, entries, journal, options
            )
            hashes = {path.name: file_sha256(path) for path in files}
            record = out / f"run{suffix}.json"
            processors = _processors(ledger, record)
            RunRecord.of(job, ledger.summary, started, hashes, processors).write(record)
            sync_filesystem(out)
    except OSError as error:
        raise OutputError(f"{out}: cannot be written: {error.strerror or error}") from error
    return ledger.summary


def _check(options: BatchOptions) -> None:
    check_kinds(options.save)
    if options.parquet or options.output_format == "parquet":
        require_parquet()


def _default_segmenter() -> Segmenter:
    from ..segmenter import Segmenter

    return Segmenter()


def _execute(job: BatchJob, ledger: Ledger, executor: Executor) -> None:
    """Do what is pending; after Ctrl-C, what is finished is kept."""
    try:
        executor.run(job, ledger.pending(), ledger)
    except KeyboardInterrupt:
        ledger.summary.interrupted = True
    finally:
        ledger.close()


def _processors(ledger: Ledger, record: Path) -> set[Processor]:
    """Processors that computed the outputs: in this run, and in earlier ones if some are kept."""
    summary, earlier = ledger.summary, set[Processor]()
    if summary.kept:
        with suppress(OSError, ValueError):  # there is none, or it is damaged
            earlier.update(RunRecord.read(record).processors)
    if earlier and not summary.done:
        return earlier
    return earlier | (ledger.processors or {this_processor()})


def _refuse_replacing(inputs: Sequence[Input], journal: Journal) -> list[Input]:
    """Mark inputs as problems whose masks would replace those of another radiograph."""
    checked = []
    for item in inputs:
        record = journal.get(item.key)
        if record is None or not record.done or item.problem:
            checked.append(item)
            continue
        other = record.row["input"]
        try:
            differs = other != str(item.path) and not Path(other).samefile(str(item.path))
        except (OSError, ValueError):  # one of them is gone, or in an object store
            differs = is_url(other) or is_url(str(item.path))
        if differs:
            problem = (
                f"{item.path}: its masks would replace those of {other}; give another --out, "
                "the folder that holds both, or --overwrite"
            )
            item = item.as_problem(problem)  # noqa: PLW2901
        checked.append(item)
    return checked


def _entries(job: BatchJob, journal: Journal) -> Iterator[Entry]:
    """Each input with what became of it, in order."""
    for item in job.inputs:
        record = journal.get(item.key)
        if record is not None and record.row["input"] == str(item.path):
            yield Entry(item.key, record.row, record)
        else:
            missing = item.problem or "not reached before the run was stopped"
            yield Entry(item.key, failed_row(item.path, missing, status="pending"), None)
