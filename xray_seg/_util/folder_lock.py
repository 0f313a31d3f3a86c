"""The lock of an output folder, and the hidden folder by which one is recognised.

The file ``.xrayseg/lock`` is locked exclusively by a whole run and shared by the runs of shards;
each shard has an exclusive lock file besides. The locks are the kernel's (``flock``), so a killed
process holds none.
"""

from __future__ import annotations

import fcntl
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO

from ..errors import OutputError
from .files import sweep

#: Folder within each output folder that holds a run's locks, journals and report fragments.
HIDDEN = ".xrayseg"
#: How long a shard waits for the folder, which another shard locks while it removes leftovers.
_PATIENCE_S = 20.0


def is_output_folder(folder: Path) -> bool:
    """Whether a batch run has written to this folder."""
    try:
        return (folder / HIDDEN).is_dir()
    except OSError:  # not permitted to look into it
        return False


@contextmanager
def lock_output_folder(out: Path, mark: str, kinds: tuple[str, ...]) -> Iterator[None]:
    """Hold an output folder, or one shard's share of it, against a second run at the same time.

    Temporary files that killed runs and workers left behind are removed at the beginning and at
    the end, unless another shard is running. The last shard to end therefore leaves none.

    Args:
        out: the output folder; made if it does not exist.
        mark: suffix of the shard's lock file, or an empty text for a whole run.
        kinds: names of the folders in it that outputs are written to.

    Raises:
        OutputError: another run holds the folder.
        OSError: the folder cannot be made or written.
    """
    (out / HIDDEN).mkdir(parents=True, exist_ok=True)
    with (out / HIDDEN / "lock").open("w") as whole:
        if _try_lock(whole, fcntl.LOCK_EX):
            sweep(out, (HIDDEN, *kinds))
        elif not mark:
            raise _held_by_another(out)
        if not mark:
            try:
                yield
            finally:
                sweep(out, (HIDDEN, *kinds))
            return
        _lock_shared(whole, out)
        with (out / HIDDEN / f"lock{mark}").open("w") as shard:
            if not _try_lock(shard, fcntl.LOCK_EX):
                raise _held_by_another(out)
            yield
            if _try_lock(whole, fcntl.LOCK_EX):
                sweep(out, (HIDDEN, *kinds))


@contextmanager
def lock_file(path: Path) -> Iterator[bool]:
    """Hold an exclusive lock file within the block; False where another process holds it.

    Args:
        path: the lock file; it and its folder are made if they do not exist, and stay.

    Raises:
        OSError: the file cannot be made.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("w") as file:
        yield _try_lock(file, fcntl.LOCK_EX)


def _lock_shared(file: IO[str], out: Path) -> None:
    """Wait for a shared lock, at most ``_PATIENCE_S`` seconds."""
    until = time.monotonic() + _PATIENCE_S
    while not _try_lock(file, fcntl.LOCK_SH):
        if time.monotonic() > until:
            raise _held_by_another(out)
        time.sleep(0.05)


def _try_lock(file: IO[str], kind: int) -> bool:
    try:
        fcntl.flock(file, kind | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True


def _held_by_another(out: Path) -> OutputError:
    return OutputError(f"{out}: another run writes here; wait for it, or give another --out")
