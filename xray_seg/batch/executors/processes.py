"""Processes that read and write, around one engine in this process.

Threads of one process take turns at Python's interpreter, which costs more the more of them there
are, and a decoder that crashes, loops or takes all memory ends or stops them all. Here it costs one
process, which is killed if it does not answer and replaced, and at worst one input.
"""

from __future__ import annotations

import os
import sys
import time
from collections import defaultdict, deque
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from itertools import chain, islice
from multiprocessing.connection import wait
from pickle import UnpicklingError
from signal import Signals
from threading import Timer

from ..._util.concurrency import available_cores
from ...errors import XraySegError
from ...preprocessing.preprocessor import ModelInput
from ...second_look import Prediction
from ..job import BatchJob
from ..ledger import Recorder
from ..stages import Failure, Result, Task, predict
from .watchdog import Watchdog
from .worker import ReadCommand, Slots, Start, WriteCommand
from .worker_process import WorkerProcess

#: Anonymous shared memory and a signal at the parent's death are Linux's.
AVAILABLE = sys.platform == "linux"
#: Processes at most, unless more are asked for: each takes some 150 MB.
_MOST = 16
#: Commands queued for each process, so that it never waits for the engine's process.
_QUEUED = 3
#: An input that ends so many processes is given up.
_DEATHS = 2
#: Seconds that the input at hand may take once a run is interrupted.
_PATIENCE_S = 30.0


class ProcessExecutor:
    """Reads and writes in processes, predicts in this one."""

    def __init__(self) -> None:
        self._early: WorkerProcess | None = None

    @classmethod
    @contextmanager
    def started(cls) -> Iterator[ProcessExecutor]:
        """An executor whose first process starts at once, while the engine is loaded."""
        executor = cls()
        memory = os.memfd_create("xrayseg")
        executor._early = WorkerProcess(memory)
        try:
            yield executor
        finally:
            if executor._early is not None:
                executor._early.end()
                os.close(memory)

    def run(self, job: BatchJob, pending: Iterator[Task], ledger: Recorder) -> None:
        """See Executor.

        Raises:
            XraySegError: the processes cannot start.
        """
        engine = job.required_engine
        first = list(islice(pending, job.options.workers or min(available_cores(), _MOST)))
        if not first:
            return
        pending = chain(first, pending)
        early, self._early = self._early, None
        pool = _WorkerPool(job, len(first), early)
        try:
            while pool.feed(pending):
                due = len(pool.prepared) >= (1 if pool.has_read_all else job.batch_size)
                for result in pool.receive(wait_for_one=not due):
                    ledger.record(result)
                if due:
                    batch = [
                        pool.prepared.popleft()
                        for _ in range(min(job.batch_size, len(pool.prepared)))
                    ]
                    began = time.perf_counter()
                    inputs = [pool.model_input(slot) for slot in batch]
                    outcomes = predict(engine, inputs, job.model)
                    ledger.add_engine_seconds(time.perf_counter() - began)
                    for slot, outcome in zip(batch, outcomes, strict=True):
                        pool.write(slot, outcome)
        finally:
            for result in pool.close():  # after an interruption: what was finished is kept
                ledger.record(result)


class _WorkerPool:
    """The processes, and which of them has which input.

    Args:
        job: the batch.
        count: processes.
        early: one that was started before.

    Attributes:
        slots: the memory shared with the processes.
        prepared: slots with a grid that waits for the engine.
        has_read_all: whether no input is being read or left to read.
    """

    def __init__(self, job: BatchJob, count: int, early: WorkerProcess | None = None) -> None:
        slots = 2 * job.batch_size + _QUEUED * count
        self._limit = job.options.stall_timeout
        self._start_command = Start(job.for_worker(), slots)
        self._memory = early.memory if early else os.memfd_create("xrayseg")
        self.slots = Slots(self._memory, slots, job.size)
        self.prepared: deque[int] = deque()
        self.has_read_all = False
        self._free = list(range(slots))
        self._assigned: dict[int, tuple[WorkerProcess, Task]] = {}
        self._facts: dict[int, ModelInput] = {}
        self._reading: set[int] = set()
        self._retries: deque[Task] = deque()
        self._losses: defaultdict[str, list[str]] = defaultdict(list)
        self._failed_starts = 0
        self._given_up: list[Result] = []
        self._workers: list[WorkerProcess] = []
        self._watchdog = Watchdog(self._limit, lambda: self._workers)
        for number in range(count):
            self._workers.append(self._start(early if number == 0 else None))

    def feed(self, pending: Iterator[Task]) -> bool:
        """Have inputs read while there are free slots; returns whether any are under way."""
        self.has_read_all = False
        while self._free:
            task = self._retries.popleft() if self._retries else next(pending, None)
            if task is None:
                self.has_read_all = not self._reading
                break
            worker = min(self._workers, key=lambda each: len(each.unanswered))
            slot = self._free.pop()
            self._assigned[slot] = worker, task
            self._reading.add(slot)
            worker.command(ReadCommand(slot, task), self._watchdog.seconds)
        return bool(self._assigned or self._given_up)

    def receive(self, *, wait_for_one: bool) -> Iterator[Result]:
        """Results of inputs that are finished or given up."""
        pipes = {worker.pipe: worker for worker in self._workers}
        timeout = None if wait_for_one and not self._given_up else 0
        with self._watchdog.waiting():
            readable = wait(list(pipes), timeout)
        for pipe in readable:
            yield from self._answers(pipes[pipe])  # type: ignore[index]
        while self._given_up:
            yield self._given_up.pop()

    def model_input(self, slot: int) -> ModelInput:
        """The prepared input in a slot, without its pixels."""
        return self._facts[slot].with_grids(self.slots.grids[slot], self.slots.wholes[slot])

    def write(self, slot: int, outcome: Prediction | Failure) -> None:
        """Have the masks of an input written, or the engine's failure recorded."""
        sent: ModelInput | Failure
        if isinstance(outcome, Failure):
            sent = outcome
        else:
            self.slots.probabilities[slot] = outcome.probabilities
            sent = outcome.model_input.facts
        self._assigned[slot][0].command(WriteCommand(slot, sent), self._watchdog.seconds)

    def close(self) -> list[Result]:
        """End all processes, each after the input at hand; returns what they finished."""
        self._watchdog.close()
        for worker in self._workers:
            worker.stop()
        results = []
        until = time.monotonic() + _PATIENCE_S
        # One that was stopped amid an answer is readable, and blocks whoever reads it.
        timer = Timer(_PATIENCE_S, self._kill)
        timer.daemon = True
        timer.start()
        for worker in self._workers:
            with suppress(EOFError, OSError, UnpicklingError):
                while worker.pipe.poll(max(0.0, until - time.monotonic())):
                    _, result = worker.pipe.recv()
                    if isinstance(result, Result):
                        results.append(result)
        timer.cancel()
        for worker in self._workers:
            worker.end()
        os.close(self._memory)
        return results

    def _kill(self) -> None:
        for worker in self._workers:
            worker.process.kill()

    def _answers(self, worker: WorkerProcess) -> Iterator[Result]:
        try:
            while worker.pipe.poll():
                with self._watchdog.waiting():
                    slot, result = worker.receive(self._watchdog.seconds)
                if slot < 0:
                    self._failed_starts = 0
                    continue
                self._reading.discard(slot)
                if isinstance(result, ModelInput):
                    self._facts[slot] = result
                    self.prepared.append(slot)
                else:
                    del self._assigned[slot]
                    self._free.append(slot)
                    yield result
        except (EOFError, OSError):
            self._replace(worker)

    def _start(self, worker: WorkerProcess | None = None) -> WorkerProcess:
        worker = worker or WorkerProcess(self._memory)
        worker.begin(self._start_command, self._watchdog.seconds)
        return worker

    def _replace(self, worker: WorkerProcess) -> None:
        """Replace a dead worker and requeue its inputs."""
        status = worker.end()
        cause = f"no answer within {self._limit:g} s" if worker.is_stalled else _cause(status)
        guilty = worker.unanswered[0] if worker.unanswered else None
        if not worker.is_ready:
            guilty = None
            self._failed_starts += 1
            if self._failed_starts == _DEATHS:
                raise XraySegError(
                    "processes that read and write images ended as they started, "
                    f"{_DEATHS} times ({cause}); --no-processes does without them"
                )
        for slot in [slot for slot, (whose, _) in self._assigned.items() if whose is worker]:
            _, task = self._assigned.pop(slot)
            self._reading.discard(slot)
            self._free.append(slot)
            if slot in self.prepared:
                self.prepared.remove(slot)
            if slot == guilty:
                self._losses[task.item.key].append(cause)
            if len(self._losses[task.item.key]) < _DEATHS:
                self._retries.append(task)
            else:
                reason = _reason(self._losses.pop(task.item.key), worker.is_stalled)
                self._given_up.append(task.failed(f"{task.item.path}: {reason}"))
        self._workers[self._workers.index(worker)] = self._start()


def _reason(causes: list[str], is_stalled: bool) -> str:
    """Why an input is given up: the same cause again, or two."""
    if is_stalled and len(set(causes)) == 1:
        return (
            f"{causes[0]}, twice; it may be damaged, or its drive does not answer; "
            "--stall-timeout gives it more time"
        )
    told = ", ".join(dict.fromkeys(causes))
    return (
        f"ended the process that worked on it, {len(causes)} times ({told}); "
        "it may be damaged, or need more memory than there is"
    )


def _cause(status: int) -> str:
    with suppress(ValueError):
        return Signals(-status).name
    return f"status {status}"
