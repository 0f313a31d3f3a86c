"""The one way a kernel is compiled: cached in the user's cache directory, GIL released."""

from collections.abc import Callable
from typing import Any

import numba
import platformdirs


def kernel(function: Callable[..., Any]) -> Callable[..., Any]:
    """Compile with numba, lazily per argument type, releasing the GIL.

    The machine code is cached under ``NUMBA_CACHE_DIR`` where the user set it, else in the
    user's cache directory: next to the source it would be lost where site-packages is read-only,
    and would be picked up by a second installation that shares the folder. Where nothing can be
    written, the kernel is compiled anew in each process.
    """
    ours = platformdirs.user_cache_dir("xray-seg", appauthor=False)
    before = numba.config.CACHE_DIR
    # Read when the dispatcher is made, so other users of numba in this process keep their setting.
    numba.config.CACHE_DIR = before or ours
    try:
        return numba.njit(cache=True, nogil=True)(function)
    except RuntimeError:  # "cannot cache function": no writable place at all
        return numba.njit(nogil=True)(function)
    finally:
        numba.config.CACHE_DIR = before
