"""A file that takes long to open, as on a drive that does not answer."""

import fcntl
import os
import signal
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest


class SlowFile:
    """Others that open it wait in the kernel, until ``release`` or for 45 s (fcntl(2), leases)."""

    def __init__(self, path: Path) -> None:
        self._file = os.open(path, os.O_RDWR)
        try:
            fcntl.fcntl(self._file, fcntl.F_SETLEASE, fcntl.F_WRLCK)
        except OSError:
            os.close(self._file)
            pytest.skip("this file system has no leases")

    def wait(self) -> None:
        """Wait until somebody opens the file."""
        until = time.monotonic() + 60
        while fcntl.fcntl(self._file, fcntl.F_GETLEASE) == fcntl.F_WRLCK:
            assert time.monotonic() < until, "nobody opens the file"
            time.sleep(0.02)

    def release(self) -> None:
        """Let others open it."""
        fcntl.fcntl(self._file, fcntl.F_SETLEASE, fcntl.F_UNLCK)

    def close(self) -> None:
        os.close(self._file)


@contextmanager
def slow_to_open(path: Path) -> Iterator[SlowFile]:
    """Within the block, the file is slow to open."""
    before = signal.signal(signal.SIGIO, signal.SIG_IGN)  # it says that somebody opens the file
    file = SlowFile(path)
    try:
        yield file
    finally:
        file.close()
        signal.signal(signal.SIGIO, before)
