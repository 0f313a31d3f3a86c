"""Kills worker processes that do not answer: stopped ones, and those whose decoder loops."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import Protocol

#: Seconds between looks at the workers, at most.
_TICK_S = 1.0
#: Ticks that one tick counts at most. It takes longer where the machine, or this process, was
#: suspended meanwhile, and the workers with it.
_LONGEST_TICK = 2


class Watched(Protocol):
    """What is killed.

    Attributes:
        busy_since: seconds of the watchdog's clock at which its command at hand began; None where
            it has none.
    """

    busy_since: float | None

    def stall(self) -> None:
        """Kill it, and remember why."""
        ...


class Watchdog:
    """A thread that kills workers whose command at hand takes too long.

    Its clock runs only while the main thread waits for workers (``waiting``). So a worker is not
    charged for answers that nobody reads, while the engine or a disk is slow.

    Args:
        limit: seconds that a command may take; 0 for any time.
        workers: the workers as they are at the time of the call; called in the thread.
    """

    def __init__(self, limit: float, workers: Callable[[], Sequence[Watched]]) -> None:
        self._limit, self._workers = limit, workers
        self._is_waiting = False
        self._end = threading.Event()
        self._thread = threading.Thread(target=self._watch, name="watchdog", daemon=True)
        self.seconds = 0.0
        if limit:
            self._thread.start()

    @contextmanager
    def waiting(self) -> Iterator[None]:
        """Let the clock run within the block."""
        self._is_waiting = True
        try:
            yield
        finally:
            self._is_waiting = False

    def close(self) -> None:
        """End the thread."""
        self._end.set()
        if self._limit:
            self._thread.join()

    def _watch(self) -> None:
        tick = min(_TICK_S, self._limit / 8)
        before = time.monotonic()
        while not self._end.wait(tick):
            now = time.monotonic()
            if self._is_waiting:
                self.seconds += min(now - before, _LONGEST_TICK * tick)
                self._kill_stalled()
            before = now

    def _kill_stalled(self) -> None:
        for worker in self._workers():
            since = worker.busy_since
            if since is not None and self.seconds - since > self._limit:
                worker.stall()
