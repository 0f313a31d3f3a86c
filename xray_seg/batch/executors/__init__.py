"""Executors: how the stages of a batch are run, in threads, processes or on a Ray cluster."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from itertools import chain, islice
from typing import Protocol

from ..job import BatchJob
from ..ledger import Recorder
from ..stages import Task
from .processes import AVAILABLE, ProcessExecutor
from .threads import ThreadExecutor

__all__ = ["Executor", "LocalExecutor", "ProcessExecutor", "ThreadExecutor"]

#: Inputs from which on processes pay; they take about a second to start.
MANY = 200


class Executor(Protocol):
    """Runs a batch's stages."""

    def run(self, job: BatchJob, pending: Iterator[Task], ledger: Recorder) -> None:
        """Segment all pending inputs, and report each to the ledger as soon as it is finished.

        After KeyboardInterrupt, what is finished is still reported.

        Args:
            job: the batch.
            pending: inputs to segment; taken only as they are needed.
            ledger: gets the result of each of them, in any order.
        """
        ...


@dataclass(frozen=True)
class LocalExecutor:
    """Threads of this process for few inputs, processes of this machine for many.

    Attributes:
        many: inputs from which on processes are used.
    """

    many: int = MANY

    def run(self, job: BatchJob, pending: Iterator[Task], ledger: Recorder) -> None:
        """See Executor."""
        first = list(islice(pending, self.many))
        are_many = len(first) == self.many and AVAILABLE
        executor: Executor = ProcessExecutor() if are_many else ThreadExecutor()
        executor.run(job, chain(first, pending), ledger)
