"""Compilation of kernels: machine code is cached per user, and the GIL is released."""

from collections.abc import Callable
from contextlib import suppress
from typing import Any

import numba

from ._cache import KernelCache


def kernel(function: Callable[..., Any]) -> Callable[..., Any]:
    """Compile a function with numba, at its first call per argument type.

    ``cache_folder`` says where machine code is cached. Where that is impossible, each process
    compiles the kernel again.
    """
    compiled = numba.njit(nogil=True)(function)
    with suppress(OSError):  # no folder can be used, or the source lies in an archive
        compiled._cache = KernelCache(function)
    return compiled
