"""Processes that read and write, around one engine in this process; for many inputs.

Threads of one process take turns at Python's interpreter, which costs more the more of them there
are, and a decoder that crashes ends them all. Here a crash costs one process, which is replaced,
and at worst one input. Processes take about a second to start, so few inputs are faster in threads.
"""

from __future__ import annotations

import os
import subprocess
import sys
import time
from collections import Counter, deque
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass, field
from multiprocessing import Pipe
from multiprocessing.connection import Connection, wait
from pathlib import Path
from pickle import UnpicklingError
from signal import Signals

from ..._util.concurrency import available_cores
from ...errors import XraySegError
from ..job import BatchJob
from ..ledger import Recorder
from ..stages import Failure, Grids, Result, Task, predict
from .worker import ReadCommand, Slots, Start, WriteCommand

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

#: Environment of workers: one thread, and freed image memory is kept for the next image
#: (mallopt(3)), since the kernel clears new memory, which takes longer than decoding an image.
_ENVIRONMENT = {
    "OPENBLAS_NUM_THREADS": "1",
    "MALLOC_MMAP_THRESHOLD_": str(2**25),
    "MALLOC_TRIM_THRESHOLD_": str(2**29),
    "MALLOC_TOP_PAD_": str(2**26),
}


class ProcessExecutor:
    """Reads and writes in processes, predicts in this one."""

    def run(self, job: BatchJob, pending: Iterator[Task], ledger: Recorder) -> None:
        """See Executor.

        Raises:
            XraySegError: the processes cannot start.
        """
        engine = job.required_engine
        count = job.options.workers or min(available_cores(), _MOST)
        pool = _WorkerPool(job, count)
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
                    outcomes = predict(engine, [pool.slots.grids[slot] for slot in batch])
                    ledger.add_engine_seconds(time.perf_counter() - began)
                    for slot, outcome in zip(batch, outcomes, strict=True):
                        pool.write(slot, outcome)
        finally:
            for result in pool.close():  # after an interruption: what was finished is kept
                ledger.record(result)


@dataclass
class _Worker:
    """A process, its pipe, and the slots of the commands that it has not answered, in order."""

    process: subprocess.Popen[bytes]
    pipe: Connection
    unanswered: deque[int] = field(default_factory=deque)
    is_ready: bool = False


class _WorkerPool:
    """The processes, and which of them has which input.

    Attributes:
        slots: the memory shared with the processes.
        prepared: slots with a grid that waits for the engine.
        has_read_all: whether no input is being read or left to read.
    """

    def __init__(self, job: BatchJob, count: int) -> None:
        slots = 2 * job.batch_size + _QUEUED * count
        self._start_command = Start(job.for_worker(), slots)
        self._memory = os.memfd_create("xrayseg")
        self.slots = Slots(self._memory, slots, job.size)
        self.prepared: deque[int] = deque()
        self.has_read_all = False
        self._free = list(range(slots))
        self._assigned: dict[int, tuple[_Worker, Task]] = {}
        self._reading: set[int] = set()
        self._retries: deque[Task] = deque()
        self._deaths: Counter[str] = Counter()
        self._given_up: list[Result] = []
        self._workers = [self._start() for _ in range(count)]

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
            self._send(worker, ReadCommand(slot, task))
        return bool(self._assigned or self._given_up)

    def receive(self, *, wait_for_one: bool) -> Iterator[Result]:
        """Results of inputs that are finished or given up."""
        pipes = {worker.pipe: worker for worker in self._workers}
        timeout = None if wait_for_one and not self._given_up else 0
        for pipe in wait(list(pipes), timeout):
            yield from self._answers(pipes[pipe])  # type: ignore[index]
        while self._given_up:
            yield self._given_up.pop()

    def write(self, slot: int, outcome: Grids | Failure) -> None:
        """Have the masks of an input written, or the engine's failure recorded."""
        failure = outcome if isinstance(outcome, Failure) else None
        if not isinstance(outcome, Failure):
            self.slots.probabilities[slot] = outcome
        self._send(self._assigned[slot][0], WriteCommand(slot, failure))

    def close(self) -> list[Result]:
        """End all processes, each after the input at hand; returns what they finished."""
        for worker in self._workers:
            worker.process.terminate()
        results = []
        until = time.monotonic() + _PATIENCE_S
        for worker in self._workers:
            with suppress(EOFError, OSError, UnpicklingError):
                while worker.pipe.poll(max(0.0, until - time.monotonic())):
                    _, result = worker.pipe.recv()
                    if result is not None:
                        results.append(result)
            worker.pipe.close()
            worker.process.kill()
            worker.process.wait()
        os.close(self._memory)
        return results

    def _answers(self, worker: _Worker) -> Iterator[Result]:
        try:
            while worker.pipe.poll():
                slot, result = worker.pipe.recv()
                if slot < 0:
                    worker.is_ready = True
                    continue
                worker.unanswered.popleft()
                self._reading.discard(slot)
                if result is None:
                    self.prepared.append(slot)
                else:
                    del self._assigned[slot]
                    self._free.append(slot)
                    yield result
        except (EOFError, OSError):
            self._replace(worker)

    def _send(self, worker: _Worker, command: ReadCommand | WriteCommand) -> None:
        worker.unanswered.append(command.slot)
        # A worker that has died is noticed when its pipe is read.
        with suppress(OSError):
            worker.pipe.send(command)

    def _start(self) -> _Worker:
        ours, theirs = Pipe()
        # Not by multiprocessing, which would run the main module again, whatever it is.
        root = str(Path(__file__).parents[3])
        code = (
            f"import sys; sys.path.append({root!r}); "
            "from xray_seg.batch.executors.worker import serve; "
            f"serve({theirs.fileno()}, {self._memory}, {os.getpid()})"
        )
        process = subprocess.Popen(  # noqa: S603
            [sys.executable, "-P", "-c", code],
            stdin=subprocess.DEVNULL,
            pass_fds=(theirs.fileno(), self._memory),
            env={**os.environ, **_ENVIRONMENT},
            process_group=0,  # Ctrl-C is handled by this process
        )
        theirs.close()
        worker = _Worker(process, ours)
        with suppress(OSError):
            ours.send(self._start_command)
        return worker

    def _replace(self, worker: _Worker) -> None:
        """Replace a dead worker and requeue its inputs."""
        worker.pipe.close()
        status = worker.process.wait()
        if not worker.is_ready:
            raise XraySegError(
                f"a process that reads and writes images ended as it started (status {status})"
            )
        guilty = worker.unanswered[0] if worker.unanswered else None
        for slot in [slot for slot, (whose, _) in self._assigned.items() if whose is worker]:
            _, task = self._assigned.pop(slot)
            self._reading.discard(slot)
            self._free.append(slot)
            if slot in self.prepared:
                self.prepared.remove(slot)
            self._deaths[task.item.key] += slot == guilty
            if self._deaths[task.item.key] < _DEATHS:
                self._retries.append(task)
                continue
            reason = (
                f"{task.item.path}: ended the process that worked on it, {_DEATHS} times "
                f"({_cause(status)}); it may be damaged, or need more memory than there is"
            )
            self._given_up.append(task.failed(reason))
        self._workers[self._workers.index(worker)] = self._start()


def _cause(status: int) -> str:
    with suppress(ValueError):
        return Signals(-status).name
    return f"status {status}"
