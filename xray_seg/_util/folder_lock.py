"""One run to an output folder, or several that each do a part of it; nothing left of killed ones.

``lock`` is held by a whole run alone, and by the runs of parts together; each part has a lock of
its own besides. Locks are the kernel's (``flock``): a killed process holds none.
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

#: Of the run itself, within the output folder.
HIDDEN = ".xrayseg"
#: Another part may be sweeping, which holds the folder for as long as it takes to list it.
_PATIENCE_S = 20.0


@contextmanager
def alone(out: Path, mark: str, kinds: tuple[str, ...]) -> Iterator[None]:
    """Hold the output folder (or one part's journal in it) against a second run at once.

    Where no other part is under way, temporary files of killed runs are removed, at the beginning
    and again at the end, where they may be of workers that died: the last part to end leaves none.

    Args:
        out: the output folder.
        mark: of the part, or an empty text for a whole run.
        kinds: folders in it that outputs are written to.

    Raises:
        OutputError: another run holds it.
        OSError: the folder cannot be made or written.
    """
    (out / HIDDEN).mkdir(parents=True, exist_ok=True)
    with (out / HIDDEN / "lock").open("w") as whole:
        if _try(whole, fcntl.LOCK_EX):
            sweep(out, (HIDDEN, *kinds))
        elif not mark:
            raise _taken(out)
        if not mark:
            try:
                yield
            finally:
                sweep(out, (HIDDEN, *kinds))
            return
        _share(whole, out)
        with (out / HIDDEN / f"lock{mark}").open("w") as part:
            if not _try(part, fcntl.LOCK_EX):
                raise _taken(out)
            yield
            if _try(whole, fcntl.LOCK_EX):
                sweep(out, (HIDDEN, *kinds))


def _share(whole: IO[str], out: Path) -> None:
    """Hold the folder together with the other parts."""
    until = time.monotonic() + _PATIENCE_S
    while not _try(whole, fcntl.LOCK_SH):
        if time.monotonic() > until:
            raise _taken(out)
        time.sleep(0.05)


def _try(file: IO[str], kind: int) -> bool:
    try:
        fcntl.flock(file, kind | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True


def _taken(out: Path) -> OutputError:
    return OutputError(f"{out}: another run writes here; wait for it, or give another --out")
