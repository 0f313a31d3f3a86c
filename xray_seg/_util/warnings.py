"""Warnings of other libraries, ignored while they are called."""

from __future__ import annotations

import threading
import warnings
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from typing import Any

_LOCK = threading.Lock()
_ACTIVE: dict[str, int] = {}
_FILTERS: dict[str, Any] = {}


@contextmanager
def warnings_ignored(*modules: str) -> Iterator[None]:
    """Ignore warnings raised in some modules within the block; for several threads at once.

    ``warnings.catch_warnings`` restores the whole list of filters, which goes wrong where blocks
    of several threads overlap. Here each module's filter is added by the first block and removed
    by the last, and no other filter is touched.

    Args:
        modules: beginnings of the names of the modules, for instance ``pydicom``.
    """
    with _LOCK:
        for module in modules:
            _ACTIVE[module] = _ACTIVE.get(module, 0) + 1
            if _ACTIVE[module] == 1:
                warnings.filterwarnings("ignore", module=module)
                _FILTERS[module] = warnings.filters[0]
    try:
        yield
    finally:
        with _LOCK:
            for module in modules:
                _ACTIVE[module] -= 1
                if not _ACTIVE[module]:
                    with suppress(ValueError):  # somebody has reset the filters meanwhile
                        warnings.filters.remove(_FILTERS.pop(module))  # type: ignore[attr-defined]
