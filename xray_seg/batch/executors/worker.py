"""A process that reads films and writes their masks, for ``crew``, which has the engine.

Commands come through a pipe and are done in their order; each gets one answer. Grids and
probabilities lie in memory that both sides see; a film's pixels stay here between the two.
"""

from __future__ import annotations

import ctypes
import mmap
import os
import signal
from contextlib import suppress
from dataclasses import dataclass
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from ...labels import CLASSES
from ...models.model_folder import Model
from ..inputs import Input
from ..options import BatchOptions
from .threads import NICE, Ready, finish, load_kernels, prepare, unread

_PR_SET_PDEATHSIG = 1  # prctl(2)


@dataclass(frozen=True)
class Job:
    """What all films have in common.

    Attributes:
        out: the output folder.
        model: that they are segmented with.
        options: of the batch.
        size: side of the grid.
        slots: films under way at most.
    """

    out: Path
    model: Model
    options: BatchOptions
    size: int
    slots: int


@dataclass(frozen=True)
class Read:
    """Lay a film on the grid of a slot; the answer is None, or a record of why not."""

    slot: int
    item: Input
    fingerprint: str


@dataclass(frozen=True)
class Write:
    """Write the masks of the film in a slot, or note the engine's failure; answered by a record."""

    slot: int
    failure: str


class Slots:
    """Memory that processes share.

    Attributes:
        grids: (slots, S, S) float32.
        probabilities: (slots, S, S, 4) float32.
    """

    def __init__(self, file: int, slots: int, size: int) -> None:
        shape = (slots, size, size)
        self.grids: npt.NDArray[np.float32]
        self.probabilities: npt.NDArray[np.float32]
        pixels = slots * size * size
        length = (1 + CLASSES) * pixels * np.dtype(np.float32).itemsize
        if os.fstat(file).st_size < length:
            os.ftruncate(file, length)
        numbers = np.frombuffer(mmap.mmap(file, length), np.float32)
        self.grids = numbers[:pixels].reshape(shape)
        self.probabilities = numbers[pixels:].reshape(*shape, CLASSES)


def serve(channel: int, memory: int, parent: int) -> None:
    """Be a worker until the other side closes the pipe, or until SIGTERM and the film at hand.

    Args:
        channel: file descriptor of the pipe; a Job comes first.
        memory: file descriptor of the slots.
        parent: process that has the other end.
    """
    _die_with(parent)
    working = stopping = False

    def stop(*_: Any) -> None:
        nonlocal stopping
        stopping = True
        if not working:
            raise SystemExit

    signal.signal(signal.SIGTERM, stop)
    with suppress(OSError):
        os.nice(NICE)
    with Connection(channel) as pipe, suppress(EOFError, ConnectionError):
        job = pipe.recv()
        answer = _worker(job, Slots(memory, job.slots, job.size))
        pipe.send((-1, None))  # ready
        while not stopping:
            command = pipe.recv()
            working = True
            pipe.send((command.slot, answer(command)))
            working = False


def _worker(job: Job, slots: Slots) -> Any:
    load_kernels()
    under_way: dict[int, Ready] = {}

    def answer(command: Read | Write) -> Any:
        slot = command.slot
        if isinstance(command, Read):
            ready = prepare(command.item, command.fingerprint, job.size, job.options)
            if ready.fitted is None:
                return unread(ready)
            slots.grids[slot] = ready.fitted.grid
            under_way[slot] = ready
            return None
        ready = under_way.pop(slot)
        assert ready.fitted is not None  # noqa: S101 - for the type checker
        outcome = command.failure or slots.probabilities[slot]
        return finish(ready, ready.fitted, outcome, job.model, job.out, job.options)

    return answer


def _die_with(parent: int) -> None:
    """End when the parent does, even if it is killed: nothing may be written after it."""
    ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)
    if os.getppid() != parent:
        raise SystemExit
