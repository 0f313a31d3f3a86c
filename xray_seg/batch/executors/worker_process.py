"""A worker process as its parent has it: start, commands, answers, end."""

from __future__ import annotations

import importlib.util
import os
import subprocess
import sys
from collections import deque
from contextlib import suppress
from functools import cache
from multiprocessing import Pipe
from pathlib import Path
from select import select
from typing import Any

from .worker import ReadCommand, Start, WriteCommand

#: Seconds that a killed process may take to end; longer if a drive does not answer, and then
#: nobody waits for it.
_DEATH_S = 5.0

#: Environment of workers: one thread, and freed image memory is kept for the next image
#: (mallopt(3)), since the kernel clears new memory, which takes longer than decoding an image.
_ENVIRONMENT = {
    "OPENBLAS_NUM_THREADS": "1",
    "MALLOC_MMAP_THRESHOLD_": str(2**25),
    "MALLOC_TRIM_THRESHOLD_": str(2**29),
    "MALLOC_TOP_PAD_": str(2**26),
}


@cache
def _choose_kernel_cache() -> None:
    """Choose the folder of compiled kernels for all workers, and warn once if it is not usable.

    The module is loaded by its path: the package imports numba, which this process does not need.
    """
    path = Path(__file__).parents[2] / "kernels" / "_cache_folder.py"
    spec = importlib.util.spec_from_file_location("xray_seg.kernels._cache_folder", path)
    if spec is not None and spec.loader is not None:
        module = importlib.util.module_from_spec(spec)
        spec.loader.exec_module(module)
        module.cache_folder()


class WorkerProcess:
    """A process, its pipe, and the commands that it has not answered.

    It starts at once, and loads what it needs while its Start command is awaited.

    Args:
        memory: file descriptor of the slots.

    Attributes:
        memory: as given.
        pipe: to the process.
        unanswered: slots of the commands that it has not answered, in order.
        is_ready: whether it has answered Start.
        is_stalled: whether the watchdog has killed it.
        busy_since: see ``watchdog.Watched``.
    """

    def __init__(self, memory: int) -> None:
        self.memory = memory
        self.pipe, theirs = Pipe()
        self.unanswered: deque[int] = deque()
        self.is_ready = self.is_stalled = False
        self.busy_since: float | None = None
        self._unsent: deque[Any] = deque()
        # Not by multiprocessing, which would run the main module again, whatever it is.
        root = str(Path(__file__).parents[3])
        code = (
            f"import sys; sys.path.append({root!r}); "
            "from xray_seg.batch.executors.worker import serve; "
            f"serve({theirs.fileno()}, {memory}, {os.getpid()})"
        )
        _choose_kernel_cache()
        self.process = subprocess.Popen(  # noqa: S603
            [sys.executable, "-P", "-c", code],
            stdin=subprocess.DEVNULL,
            pass_fds=(theirs.fileno(), memory),
            env={**os.environ, **_ENVIRONMENT},
            process_group=0,  # Ctrl-C is handled by this process
        )
        theirs.close()

    def begin(self, start: Start, now: float) -> None:
        """Send the first command."""
        self.busy_since = now
        self._unsent.append(start)
        self.flush()

    def command(self, command: ReadCommand | WriteCommand, now: float) -> None:
        """Send a command, once there is room for it in the pipe."""
        if not self.unanswered and self.is_ready:
            self.busy_since = now
        self.unanswered.append(command.slot)
        self._unsent.append(command)
        self.flush()

    def flush(self) -> None:
        """Send what there is room for: a process that is stopped or writes would block this one.

        A socket counts as writable while most of its buffer is free, so that a command fits in. A
        process that has died is noticed when its pipe is read.
        """
        with suppress(OSError):
            while self._unsent and select([], [self.pipe], [], 0)[1]:
                self.pipe.send(self._unsent.popleft())

    def receive(self, now: float) -> tuple[int, Any]:
        """The next answer: slot and result, where the slot of the answer to Start is -1.

        Raises:
            EOFError, OSError: the process has ended.
        """
        slot, result = self.pipe.recv()
        if slot < 0:
            self.is_ready = True
        else:
            self.unanswered.popleft()
        self.busy_since = now if self.unanswered else None
        self.flush()
        return slot, result

    def stall(self) -> None:
        """Kill it for the watchdog."""
        self.is_stalled = True
        self.process.kill()

    def stop(self) -> None:
        """Have it end after the command at hand; at once where it has none."""
        if self.unanswered:
            self.process.terminate()
        else:
            self.process.kill()

    def end(self) -> int:
        """Kill it; returns its status as Popen has it (the negative number of a signal)."""
        self.pipe.close()
        self.process.kill()
        with suppress(subprocess.TimeoutExpired):
            return self.process.wait(_DEATH_S)
        return -9
