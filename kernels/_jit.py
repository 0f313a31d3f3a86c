"""Compilation of kernels: machine code is cached per user, and the GIL is released."""

from collections.abc import Callable
from typing import Any

import numba
import platformdirs


def kernel(function: Callable[..., Any]) -> Callable[..., Any]:
    """Compile a function with numba, at its first call per argument type.

    Machine code is cached under ``NUMBA_CACHE_DIR`` if set, else in the user's cache directory.
    numba's default, next to the source, fails where site-packages is read-only, and another
    installation that shares the folder could load it. Where no cache can be written, each process
    compiles the kernel again.
    """
    default = platformdirs.user_cache_dir("xray-seg", appauthor=False)
    before = numba.config.CACHE_DIR
    # numba reads this when it creates the dispatcher; restored for other users of numba.
    numba.config.CACHE_DIR = before or default
    try:
        return numba.njit(cache=True, nogil=True)(function)
    except RuntimeError:  # "cannot cache function": no directory is writable
        return numba.njit(nogil=True)(function)
    finally:
        numba.config.CACHE_DIR = before
