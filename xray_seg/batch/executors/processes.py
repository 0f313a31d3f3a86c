"""The stages of a batch with readers and writers in processes of their own, for many films.

In threads of one process they take turns at Python's interpreter, which holds them up more the
more there are of them; and a decoder that crashes takes everything with it. Here it costs a
process that is replaced, and at worst the one film. Processes take about a second to start, so
few films are better served by the threads of ``stages``.
"""

from __future__ import annotations

import os
import subprocess
import sys
import time
from collections import Counter, deque
from collections.abc import Callable, Iterator
from contextlib import suppress
from dataclasses import dataclass, field
from multiprocessing import Pipe
from multiprocessing.connection import Connection, wait
from pathlib import Path
from pickle import UnpicklingError
from signal import Signals

import numpy as np
import numpy.typing as npt

from ..._util.concurrency import available_cores
from ...errors import XraySegError
from ...segmenter import Segmenter
from ..journal import Record, failed_row
from ..options import BatchOptions, Summary
from .threads import Todo, predict
from .worker import Job, Read, Slots, Write

#: Whether there is memory without a file to share, and a death signal to end with the parent.
AVAILABLE = sys.platform == "linux"
#: Processes at most, unless more are asked for: each takes some 150 MB.
_MOST = 16
#: Films that each has before it, so that it never waits for the engine's process.
_AHEAD = 3
#: A film that ends so many processes is given up.
_DEATHS = 2
#: How long the film at hand may take once a run is interrupted.
_PATIENCE_S = 30.0

#: Of workers: one thread; and films' memory is kept for the next film (mallopt(3)), since the
#: kernel clears what it hands out, which takes longer than to decode a film.
_ENVIRONMENT = {
    "OPENBLAS_NUM_THREADS": "1",
    "MALLOC_MMAP_THRESHOLD_": str(2**25),
    "MALLOC_TRIM_THRESHOLD_": str(2**29),
    "MALLOC_TOP_PAD_": str(2**26),
}


def run_in_processes(
    todo: Iterator[Todo],
    out: Path,
    segmenter: Segmenter,
    options: BatchOptions,
    summary: Summary,
    settle: Callable[[Record], None],
) -> None:
    """Read and write in processes, predict in this one; otherwise as ``stages.run_stages``.

    Raises:
        XraySegError: the processes cannot start.
    """
    size = segmenter.engine.size
    step = options.batch_size or segmenter.engine.batch_size
    count = options.workers or min(available_cores(), _MOST)
    crew = _Crew(Job(out, segmenter.model, options, size, 2 * step + _AHEAD * count), count)
    try:
        while crew.feed(todo):
            due = len(crew.fitted) >= (1 if crew.has_read_all else step)
            for record in crew.hear(not due):
                settle(record)
            if due:
                batch = [crew.fitted.popleft() for _ in range(min(step, len(crew.fitted)))]
                began = time.perf_counter()
                outcomes = predict(segmenter, [crew.slots.grids[slot] for slot in batch])
                summary.engine_seconds += time.perf_counter() - began
                for slot, outcome in zip(batch, outcomes, strict=True):
                    crew.write(slot, outcome)
    finally:
        for record in crew.dismiss():  # after an interruption: what was finished is kept
            settle(record)


@dataclass
class _Worker:
    """A process, its pipe, and the slots of the commands that it has not answered, in order."""

    process: subprocess.Popen[bytes]
    pipe: Connection
    asked: deque[int] = field(default_factory=deque)
    is_ready: bool = False


class _Crew:
    """The processes, and which film is where.

    Attributes:
        slots: what they share.
        fitted: slots with a grid that waits for the engine.
        has_read_all: whether nothing is being read, or left to read.
    """

    def __init__(self, job: Job, count: int) -> None:
        self._job = job
        self._memory = os.memfd_create("xrayseg")
        self.slots = Slots(self._memory, job.slots, job.size)
        self.fitted: deque[int] = deque()
        self.has_read_all = False
        self._free = list(range(job.slots))
        self._films: dict[int, tuple[_Worker, Todo]] = {}
        self._reading: set[int] = set()
        self._again: deque[Todo] = deque()
        self._deaths: Counter[str] = Counter()
        self._lost: list[Record] = []
        self._workers = [self._start() for _ in range(count)]

    def feed(self, todo: Iterator[Todo]) -> bool:
        """Have films read while there is room; whether any are under way."""
        self.has_read_all = False
        while self._free:
            film = self._again.popleft() if self._again else next(todo, None)
            if film is None:
                self.has_read_all = not self._reading
                break
            worker = min(self._workers, key=lambda each: len(each.asked))
            slot = self._free.pop()
            self._films[slot] = worker, film
            self._reading.add(slot)
            self._send(worker, Read(slot, *film))
        return bool(self._films or self._lost)

    def hear(self, patiently: bool) -> Iterator[Record]:
        """Records of films that are finished, or lost; waits for an answer where none is there."""
        pipes = {worker.pipe: worker for worker in self._workers}
        for pipe in wait(list(pipes), None if patiently and not self._lost else 0):
            yield from self._answers(pipes[pipe])  # type: ignore[index]
        while self._lost:
            yield self._lost.pop()

    def write(self, slot: int, outcome: npt.NDArray[np.float32] | str) -> None:
        """Have a film's masks written, or the engine's failure noted."""
        if not isinstance(outcome, str):
            self.slots.probabilities[slot] = outcome
        failure = outcome if isinstance(outcome, str) else ""
        self._send(self._films[slot][0], Write(slot, failure))

    def dismiss(self) -> list[Record]:
        """End all processes, each after the film at hand; records of what they finished."""
        for worker in self._workers:
            worker.process.terminate()
        records = []
        until = time.monotonic() + _PATIENCE_S
        for worker in self._workers:
            with suppress(EOFError, OSError, UnpicklingError):
                while worker.pipe.poll(max(0.0, until - time.monotonic())):
                    _, record = worker.pipe.recv()
                    if record is not None:
                        records.append(record)
            worker.pipe.close()
            worker.process.kill()
            worker.process.wait()
        os.close(self._memory)
        return records

    def _answers(self, worker: _Worker) -> Iterator[Record]:
        try:
            while worker.pipe.poll():
                slot, record = worker.pipe.recv()
                if slot < 0:
                    worker.is_ready = True
                    continue
                worker.asked.popleft()
                self._reading.discard(slot)
                if record is None:
                    self.fitted.append(slot)
                else:
                    del self._films[slot]
                    self._free.append(slot)
                    yield record
        except (EOFError, OSError):
            self._replace(worker)

    def _send(self, worker: _Worker, command: Read | Write) -> None:
        worker.asked.append(command.slot)
        # A worker that has died is noticed when its pipe is read.
        with suppress(OSError):
            worker.pipe.send(command)

    def _start(self) -> _Worker:
        ours, theirs = Pipe()
        # Not by multiprocessing, which would run the main module again, whatever it is.
        root = str(Path(__file__).parents[3])
        code = (
            f"import sys; sys.path.append({root!r}); "
            f"from xray_seg.batch.executors.worker import serve; "
            f"serve({theirs.fileno()}, {self._memory}, {os.getpid()})"
        )
        process = subprocess.Popen(  # noqa: S603
            [sys.executable, "-P", "-c", code],
            stdin=subprocess.DEVNULL,
            pass_fds=(theirs.fileno(), self._memory),
            env={**os.environ, **_ENVIRONMENT},
            process_group=0,  # Ctrl-C is this process's to answer
        )
        theirs.close()
        worker = _Worker(process, ours)
        with suppress(OSError):
            ours.send(self._job)
        return worker

    def _replace(self, worker: _Worker) -> None:
        """Put another in the place of one that has died; its films are read once more."""
        worker.pipe.close()
        status = worker.process.wait()
        if not worker.is_ready:
            raise XraySegError(
                f"a process that reads and writes films ended as it started (status {status})"
            )
        guilty = worker.asked[0] if worker.asked else None
        for slot in [slot for slot, film in self._films.items() if film[0] is worker]:
            _, (item, fingerprint) = self._films.pop(slot)
            self._reading.discard(slot)
            self._free.append(slot)
            if slot in self.fitted:
                self.fitted.remove(slot)
            self._deaths[item.key] += slot == guilty
            if self._deaths[item.key] < _DEATHS:
                self._again.append((item, fingerprint))
                continue
            reason = (
                f"{item.path}: ended the process that worked on it, {_DEATHS} times "
                f"({_cause(status)}); it may be damaged, or need more memory than there is"
            )
            self._lost.append(Record(item.key, fingerprint, failed_row(item.path, reason)))
        self._workers[self._workers.index(worker)] = self._start()


def _cause(status: int) -> str:
    with suppress(ValueError):
        return Signals(-status).name
    return f"status {status}"
