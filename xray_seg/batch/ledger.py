"""The ledger of a batch: which inputs are pending, and what became of the others."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Iterator
from typing import Protocol

from .._util.processor import Processor
from .fingerprint import fingerprint_of, settings_of
from .job import BatchJob
from .journal import Journal, Record
from .options import Summary
from .results.columns import corrections_in, failed_row
from .results.folder_sink import FolderSink
from .results.parquet_sink import ParquetSink
from .stages import Result, Task

#: Called with the summary so far at the start (then the record is None) and after each input.
OnProgress = Callable[[Summary, Record | None], None]


class Recorder(Protocol):
    """What an executor reports to."""

    def record(self, result: Result) -> None:
        """Take a finished input."""
        ...

    def add_engine_seconds(self, seconds: float) -> None:
        """Add time that the engine took."""
        ...

    def add_processors(self, processors: Iterable[Processor]) -> None:
        """Add processors of other machines that work on the batch."""
        ...


class Sink(Protocol):
    """Where records and their files are stored."""

    def add(self, record: Record, files: dict[str, bytes]) -> None:
        """Take a record, and its files where workers have not written them."""
        ...

    def close(self) -> None:
        """Store all that was taken."""
        ...


class Ledger:
    """Journal, sink, summary and progress of a batch in one object.

    Args:
        job: the batch.
        journal: of the output folder; gets a record of each input.
        on_progress: see OnProgress.

    Attributes:
        summary: counts and times so far.
        processors: that work on the batch; none where only this machine does.
    """

    def __init__(
        self, job: BatchJob, journal: Journal, *, on_progress: OnProgress | None = None
    ) -> None:
        self._job, self._journal = job, journal
        self._on_progress = on_progress or (lambda summary, record: None)
        self._sink: Sink = (
            ParquetSink(job.out, journal, [item.key for item in job.inputs])
            if job.options.output_format == "parquet"
            else FolderSink(job.out, journal)
        )
        self._started = time.perf_counter()
        self.summary = Summary(len(job.inputs))
        self.processors: set[Processor] = set()
        self._on_progress(self.summary, None)

    def pending(self) -> Iterator[Task]:
        """Inputs to segment; inputs that are done already, or cannot be tried, are recorded."""
        settings = settings_of(self._job)
        for item in self._job.inputs:
            before = self._journal.get(item.key)
            fingerprint = fingerprint_of(item.path, settings, self._job.options.verify)
            task = Task(item, fingerprint, before.owned if before else {})
            if item.problem:
                row = failed_row(item.path, item.problem)
                self.record(Result(Record(item.key, task.fingerprint, row)))
            elif (good := self._up_to_date(before, task)) is not None:
                if good is not before:  # the input failed meanwhile, and is as it was before that
                    self._journal.append(good)
                self._count(good, kept=True)
            else:
                yield task

    def record(self, result: Result) -> None:
        """Store a finished input and count it."""
        self._sink.add(result.record, result.files)
        self._count(result.record, kept=False)

    def add_engine_seconds(self, seconds: float) -> None:
        """Add time that the engine took."""
        self.summary.engine_seconds += seconds

    def add_processors(self, processors: Iterable[Processor]) -> None:
        """Add processors of other machines that work on the batch."""
        self.processors.update(processors)

    def close(self) -> None:
        """Store all records; after an interruption, too."""
        self._sink.close()
        self.summary.seconds = time.perf_counter() - self._started

    def _up_to_date(self, before: Record | None, task: Task) -> Record | None:
        """The record of what an earlier run did with the same input and options, or None."""
        good = None if before is None else before.newest_good
        if good is None or self._job.options.overwrite or good.fingerprint != task.fingerprint:
            return None
        return good if good.is_intact(self._job.out) else None

    def _count(self, record: Record, *, kept: bool) -> None:
        self.summary.skipped += record.is_skipped
        self.summary.kept += record.done and kept
        self.summary.done += record.done and not kept
        self.summary.failed += not (record.done or record.is_skipped)
        self.summary.doubtful += record.row["status"] == "doubtful"
        self.summary.shown.update(corrections_in(record.row) if record.done else {})
        self.summary.seconds = time.perf_counter() - self._started
        self._on_progress(self.summary, record)
