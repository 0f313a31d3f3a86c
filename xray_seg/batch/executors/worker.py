"""A process that reads images and writes their masks, for ``processes``, which has the engine.

Commands come through a pipe, are done in order, and get one answer each. Grids and probabilities
lie in memory that both sides share. An image's pixels stay here between reading and writing.
"""

from __future__ import annotations

import ctypes
import mmap
import os
import signal
from contextlib import suppress
from dataclasses import dataclass
from multiprocessing.connection import Connection
from typing import Any

import numpy as np
import numpy.typing as npt

from ...labels import CLASSES
from ...preprocessing.preprocessor import ModelInput
from ...second_look import Prediction
from ..job import BatchJob
from ..stages import Failure, Prepared, Result, Task, finish, load_kernels, prepare
from .memory import allowance, limit_growth, prefer_as_victim
from .threads import NICE

_PR_SET_PDEATHSIG = 1  # prctl(2)


@dataclass(frozen=True)
class Start:
    """The first message to a worker.

    Attributes:
        job: the batch, without its inputs and engine.
        slots: inputs under way at most.
    """

    job: BatchJob
    slots: int


@dataclass(frozen=True)
class ReadCommand:
    """Lay an input on the grid of a slot.

    The answer is its ModelInput without arrays, or the result of an input that has none.
    """

    slot: int
    task: Task


@dataclass(frozen=True)
class WriteCommand:
    """Write the masks of the input in a slot, or record the engine's failure.

    Attributes:
        slot: where its probabilities lie.
        outcome: how it is shown, without arrays, or the failure.
    """

    slot: int
    outcome: ModelInput | Failure


class Slots:
    """Memory that processes share.

    Attributes:
        grids: (slots, S, S) float32.
        wholes: (slots, S, S) float32 grids of whole images, where borders were left out.
        probabilities: (slots, S, S, 4) float32.
    """

    def __init__(self, file: int, slots: int, size: int) -> None:
        shape = (slots, size, size)
        self.grids: npt.NDArray[np.float32]
        self.wholes: npt.NDArray[np.float32]
        self.probabilities: npt.NDArray[np.float32]
        pixels = slots * size * size
        length = (2 + CLASSES) * pixels * np.dtype(np.float32).itemsize
        if os.fstat(file).st_size < length:
            os.ftruncate(file, length)
        numbers = np.frombuffer(mmap.mmap(file, length), np.float32)
        self.grids = numbers[:pixels].reshape(shape)
        self.wholes = numbers[pixels : 2 * pixels].reshape(shape)
        self.probabilities = numbers[2 * pixels :].reshape(*shape, CLASSES)


def serve(channel: int, memory: int, parent: int) -> None:
    """Work until the other side closes the pipe, or until SIGTERM and the command at hand.

    Args:
        channel: file descriptor of the pipe; a Start comes first.
        memory: file descriptor of the slots.
        parent: ID of the process that has the other end.
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
    prefer_as_victim()
    load_kernels()  # while the other side loads the engine
    with Connection(channel) as pipe, suppress(EOFError, ConnectionError):
        start = pipe.recv()
        worker = _Worker(start, Slots(memory, start.slots, start.job.size))
        pipe.send((-1, None))  # ready
        while not stopping:
            command = pipe.recv()
            working = True
            pipe.send((command.slot, worker.do(command)))
            working = False


class _Worker:
    """Does commands; keeps each input's pixels between reading and writing."""

    def __init__(self, start: Start, slots: Slots) -> None:
        self._job, self._slots = start.job, slots
        self._allowance = allowance(start.job.options.max_pixels)
        self._prepared: dict[int, Prepared] = {}

    def do(self, command: ReadCommand | WriteCommand) -> Result | ModelInput:
        slot = command.slot
        limit_growth(self._allowance)
        if isinstance(command, ReadCommand):
            prepared = prepare(self._job, command.task)
            if prepared.model_input is None:
                return prepared.failure
            self._slots.grids[slot] = prepared.model_input.grid
            if prepared.model_input.whole:
                self._slots.wholes[slot] = prepared.model_input.whole.grid
            self._prepared[slot] = prepared
            return prepared.model_input.facts
        prepared = self._prepared.pop(slot)
        if isinstance(command.outcome, Failure):
            return finish(self._job, prepared, command.outcome)
        if prepared.model_input is None:  # never: such an input has no slot
            return prepared.failure
        shown = command.outcome.with_pixels(prepared.model_input.radiograph.pixels)
        prediction = Prediction(shown, self._slots.probabilities[slot])
        return finish(self._job, prepared, prediction)


def _die_with(parent: int) -> None:
    """End when the parent does, even if it is killed, so that nothing is written after that."""
    ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)
    if os.getppid() != parent:
        raise SystemExit
