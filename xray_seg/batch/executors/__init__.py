"""Executors: how the stages of a batch are run, in processes, threads or on a Ray cluster."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import AbstractContextManager, nullcontext
from typing import Protocol

from ...errors import XraySegError
from ..job import BatchJob
from ..ledger import Recorder
from ..stages import Task
from .processes import AVAILABLE, ProcessExecutor
from .threads import ThreadExecutor

__all__ = ["Executor", "ProcessExecutor", "ThreadExecutor", "local_executor"]

#: Whether processes are used where options do not say.
BY_DEFAULT = AVAILABLE


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


def local_executor(processes: bool | None) -> AbstractContextManager[Executor]:
    """The executor of this machine, within a block.

    Processes start to load what they need at once, while the engine is loaded.

    Args:
        processes: whether processes or threads read and write; None for processes where there are.

    Raises:
        XraySegError: processes are asked for on a system that has none.
    """
    if processes and not AVAILABLE:
        raise XraySegError("--processes is for Linux; without it, threads read and write")
    if processes or (processes is None and BY_DEFAULT):
        return ProcessExecutor.started()
    return nullcontext(ThreadExecutor())
