"""All stages of an input in one worker, for clusters whose engines run on CPUs.

A worker reserves a core, opens an engine once, and takes block after block of inputs through the
same stages as one machine does, in its own threads. Paths go in and records come out; nothing else
passes through Ray's store. These are tasks, not actors: they run on any node that has room, such as
a new node, or what a dead node has left, and a worker that dies takes no queue with it.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from queue import SimpleQueue
from threading import Event
from typing import Any

from ...._util.processor import Processor
from ....errors import ClusterError
from ....models.engines import Engine
from ...stages import Result, Task
from ..threads import ThreadExecutor
from .tasks import (
    Block,
    RayJob,
    exit_if_interrupted,
    exit_if_stalled,
    import_kernels,
    open_once,
    pack_output,
    unpack_tasks,
)

#: Threads that read, and as many that write, for each of the engine's: while one waits for an
#: object store, another works.
_THREADS = 2
#: Results that are returned at once.
_REPORT = 16


def map_whole(tasks: Any, work: RayJob) -> Any:
    """A dataset of outputs of a dataset of tasks."""
    tasks.context.target_max_block_size = 1  # byte: what a worker yields is passed on at once
    return tasks.map_batches(
        all_stages,
        batch_size=None,
        fn_args=(work,),
        num_cpus=work.plan.cores,
        max_retries=work.retries,
    )


def all_stages(block: Block, work: RayJob) -> Iterator[Block]:
    """Take inputs through all stages; yields some results at a time, in the order of the inputs.

    When Ray starts a task again, it skips what the task yielded before by its position, so the
    order must be the same each time.
    """
    import_kernels()
    try:
        with exit_if_interrupted():
            engine = open_once(work.engine)
    except Exception as error:  # noqa: BLE001 - engines raise what they like
        yield pack_output(ClusterError(f"an engine cannot be opened: {error}"))
        return
    ledger, reported = _QueueLedger(), 0.0
    for results in _run(unpack_tasks(block), engine, work, ledger):
        seconds = ledger.engine_seconds
        yield pack_output((results, seconds - reported))
        reported = seconds


class _QueueLedger:
    """Passes results of one thread to another."""

    def __init__(self) -> None:
        self.results: SimpleQueue[Result | None] = SimpleQueue()
        self.engine_seconds = 0.0

    def record(self, result: Result) -> None:
        self.results.put(result)

    def add_engine_seconds(self, seconds: float) -> None:
        self.engine_seconds += seconds

    def add_processors(self, processors: Iterable[Processor]) -> None:
        """Not needed here: the driver asks the nodes."""


def _run(
    tasks: list[Task], engine: Engine, work: RayJob, ledger: _QueueLedger
) -> Iterator[list[Result]]:
    """Run the stages in a thread, so that results can be yielded while it works."""
    workers = work.job.options.workers or _THREADS * work.plan.threads
    options = replace(work.job.options, workers=workers)
    job = replace(work.job, options=options, engine=engine)
    unwanted = Event()
    pending = (task for task in tasks if not unwanted.is_set())
    with ThreadPoolExecutor(1) as pool:
        running = pool.submit(ThreadExecutor().run, job, pending, ledger)
        running.add_done_callback(lambda _: ledger.results.put(None))
        try:
            finished = _finished(ledger, options.stall_timeout)
            yield from _in_turn([task.item.key for task in tasks], finished)
        finally:
            unwanted.set()  # an engine serves one task at a time: wait for what is under way
    running.result()


def _finished(ledger: _QueueLedger, limit: float) -> Iterator[Result]:
    """Results up to the end; a worker in which none comes for too long ends."""
    while True:
        with exit_if_stalled(limit):
            result = ledger.results.get()
        if result is None:
            return
        yield result


def _in_turn(keys: list[str], finished: Iterator[Result]) -> Iterator[list[Result]]:
    """Results in the order of the keys, _REPORT at a time; the last group may be smaller."""
    arrived: dict[str, Result] = {}
    for first in range(0, len(keys), _REPORT):
        group = keys[first : first + _REPORT]
        while not all(key in arrived for key in group):
            result = next(finished, None)
            if result is None:
                return
            arrived[result.record.key] = result
        yield [arrived.pop(key) for key in group]
