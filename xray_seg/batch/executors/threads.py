"""Threads that read and write, around one engine.

Between the stages are bounded queues, so memory holds a few batches, however many inputs there
are. The engine runs on the calling thread. Readers decode into grids ahead of it, and writers
restore and compress behind it, in kernels and codecs that release the GIL.
"""

from __future__ import annotations

import os
import sys
import threading
import time
from collections import deque
from collections.abc import Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import suppress
from functools import partial
from itertools import islice

from ..._util.concurrency import available_cores, map_ordered
from ...preprocessing.preprocessor import ModelInput
from ..job import BatchJob
from ..ledger import Recorder
from ..stages import Prepared, Result, Task, finish, load_kernels, predict, prepare

#: Niceness of threads and processes that read and write; 0 is usual, 19 yields most.
NICE = 5


class ThreadExecutor:
    """Reads, predicts and writes in threads of this process."""

    def run(self, job: BatchJob, pending: Iterator[Task], ledger: Recorder) -> None:
        """See Executor."""
        engine = job.required_engine
        load_kernels()
        workers = job.options.workers or available_cores()
        ahead = job.batch_size + workers
        readers = ThreadPoolExecutor(workers, "read", _lower_priority)
        writers = _Writers(job, ledger, workers)
        try:
            prepared = map_ordered(readers, partial(prepare, job), pending, ahead)
            for batch in _batches(_readable(prepared, ledger), job.batch_size):
                began = time.perf_counter()
                outcomes = predict(engine, [shown for _, shown in batch], job.model)
                ledger.add_engine_seconds(time.perf_counter() - began)
                for (each, _), outcome in zip(batch, outcomes, strict=True):
                    writers.submit(each, outcome)
                writers.record_finished(at_most=ahead)
            writers.record_finished(at_most=0)
        finally:
            readers.shutdown(cancel_futures=True)
            writers.close()


class _Writers:
    """Threads that write masks, and the results that they have not delivered yet, in order."""

    def __init__(self, job: BatchJob, ledger: Recorder, workers: int) -> None:
        self._job, self._ledger = job, ledger
        self._pool = ThreadPoolExecutor(workers, "write", _lower_priority)
        self._waiting: deque[Future[Result]] = deque()

    def submit(self, prepared: Prepared, outcome: object) -> None:
        self._waiting.append(self._pool.submit(finish, self._job, prepared, outcome))  # type: ignore[arg-type]

    def record_finished(self, at_most: int) -> None:
        """Record what is finished, and wait until at most so many are not."""
        while len(self._waiting) > at_most or (self._waiting and self._waiting[0].done()):
            # The result stays in the queue until it is known: an interruption may come meanwhile.
            result = self._waiting[0].result()
            self._waiting.popleft()
            self._ledger.record(result)

    def close(self) -> None:
        """End the threads; after an interruption, what was finished is recorded."""
        self._pool.shutdown(cancel_futures=True)
        for future in self._waiting:
            if future.done() and not future.cancelled():
                self._ledger.record(future.result())


def _readable(
    prepared: Iterator[Prepared], ledger: Recorder
) -> Iterator[tuple[Prepared, ModelInput]]:
    """The inputs that could be read; the others are recorded at once."""
    for each in prepared:
        if each.model_input is None:
            ledger.record(each.failure)
        else:
            yield each, each.model_input


def _batches(
    items: Iterator[tuple[Prepared, ModelInput]], size: int
) -> Iterator[list[tuple[Prepared, ModelInput]]]:
    """Lists of ``size`` items; the last may be shorter."""
    while batch := list(islice(items, size)):
        yield batch


def _lower_priority() -> None:
    """Let the engine's threads go first: while one of them waits for a core, all wait for it."""
    if sys.platform == "linux":  # elsewhere this would be the whole process
        with suppress(OSError):
            os.setpriority(os.PRIO_PROCESS, threading.get_native_id(), NICE)
