"""The folder of compiled kernels, which nobody but this user can write to.

numba reads its cache by pickle, so whoever can write a file there can run code in this process.
This module does without numba, so that a process can choose the folder for those that it starts.
"""

from __future__ import annotations

import atexit
import fcntl
import hashlib
import logging
import os
import shutil
import stat
import tempfile
from functools import cache
from pathlib import Path

import platformdirs

#: Environment variable by which a process tells those that it starts that it has warned already,
#: and which folder they use; empty for none.
INHERITED = "XRAYSEG_KERNEL_CACHE"
REMEDY = (
    "kernels are compiled again at the start of each run; give a folder of your own as "
    "NUMBA_CACHE_DIR"
)
_PREFIX, _LOCK_FILE = "xrayseg-kernels-", "lock"
#: A full file system may still create files, but takes no content.
_PROBE_BYTES = 2**16

_log = logging.getLogger(__name__)


@cache
def cache_folder() -> Path | None:
    """The folder of this process's compiled kernels, made where it is missing.

    It lies below ``NUMBA_CACHE_DIR`` if set, else in the user's cache directory. numba's default,
    next to the source, fails where site-packages is read-only, and another installation that
    shares the folder could load it. Where that folder is another user's, or others can write to
    it, a private temporary folder takes its place until this process ends.

    Returns:
        None where there is no folder that can be used.
    """
    inherited = os.environ.get(INHERITED)
    if inherited == "":
        return None
    if inherited is not None and refusal(Path(inherited)) is None:
        return Path(inherited)
    named = os.environ.get("NUMBA_CACHE_DIR")
    root = Path(named or platformdirs.user_cache_dir("xray-seg", appauthor=False))
    # numba knows a kernel by name and line; each installation has a folder of its own.
    installation = hashlib.sha256(os.fsencode(Path(__file__).parent)).hexdigest()
    folder = root / f"kernels-{installation[:32]}"
    refused = refusal(root) or refusal(folder)
    problem = refused or _write_failure(folder)
    if problem is None:
        return folder
    is_readable = not refused and any(folder.glob("*.nbi"))
    used = folder if is_readable else _private_folder()
    warn_once(f"{problem}; {REMEDY}", used)
    return used


def refusal(folder: Path) -> str | None:
    """Why a folder must not be used, or None; makes it and its parents if they are missing."""
    if not folder.is_absolute():
        return f"{folder}: is not an absolute path"
    try:
        missing = [each for each in (folder, *folder.parents) if not each.exists()]
        for each in reversed(missing):
            each.mkdir(0o700, exist_ok=True)
        found = folder.stat()
    except OSError as error:
        return f"{folder}: {error.strerror or error}"
    if not stat.S_ISDIR(found.st_mode):
        return f"{folder}: is no folder"
    if found.st_uid != os.geteuid():
        return f"{folder}: belongs to another user"
    if found.st_mode & (stat.S_IWGRP | stat.S_IWOTH):
        return f"{folder}: other users can write to it"
    return None


_warned = False


def warn_once(problem: str, folder: Path | None) -> None:
    """Warn that the cache does not work as it should, once in this process and those it starts.

    Args:
        problem: file or folder, what is wrong with it, and what to do.
        folder: what this process and those that it starts use instead.
    """
    global _warned  # noqa: PLW0603
    if not _warned and INHERITED not in os.environ:
        _log.warning("%s", problem)
    _warned = True
    os.environ[INHERITED] = "" if folder is None else str(folder)


def _write_failure(folder: Path) -> str | None:
    try:
        with tempfile.TemporaryFile(dir=folder) as file:
            file.write(bytes(_PROBE_BYTES))
    except OSError as error:
        return f"{folder}: cannot be written: {error.strerror or error}"
    return None


def _private_folder() -> Path | None:
    """A new temporary folder of this user alone, removed when this process ends."""
    try:
        _sweep(Path(tempfile.gettempdir()))
        folder = Path(tempfile.mkdtemp(prefix=_PREFIX))
        atexit.register(_remove, folder, os.getpid())
        if _write_failure(folder) is not None:
            return None
        # Held open until this process ends, so that others see that the folder is in use.
        held = os.open(folder / _LOCK_FILE, os.O_CREAT | os.O_WRONLY | os.O_CLOEXEC, 0o600)
        fcntl.flock(held, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError:
        return None
    return folder


def _remove(folder: Path, owner: int) -> None:
    if os.getpid() == owner:  # not in a forked child
        shutil.rmtree(folder, ignore_errors=True)


def _sweep(place: Path) -> None:
    """Remove the temporary folders of this user's processes that were killed."""
    for folder in place.glob(f"{_PREFIX}*"):
        try:
            if folder.lstat().st_uid != os.geteuid() or folder.is_symlink():
                continue
            with (folder / _LOCK_FILE).open("r+") as lock:
                fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
                shutil.rmtree(folder, ignore_errors=True)
        except OSError:  # in use, or not finished
            continue
