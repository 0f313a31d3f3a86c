"""Cache of compiled kernels: its files are checked, and no failure of it reaches a caller."""

from __future__ import annotations

import hashlib
import inspect
import os
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from io import BytesIO
from pathlib import Path
from typing import Any, BinaryIO

from numba.core.caching import (
    CompileResultCacheImpl,
    FunctionCache,
    IndexDataCacheFile,
    UserProvidedCacheLocator,
)

from ._cache_folder import REMEDY, cache_folder, refusal, warn_once

_DIGEST_BYTES = hashlib.sha256().digest_size


class KernelCache(FunctionCache):  # type: ignore[misc]
    """numba's cache of one function, in the folder of ``cache_folder``.

    Where it cannot be read or written, the function is compiled in memory.

    Raises:
        OSError: there is no folder, or the source of the function is no file.
    """

    @staticmethod
    def _impl_class(function: Callable[..., Any]) -> _Placement:
        return _Placement(function)

    def __init__(self, function: Callable[..., Any]) -> None:
        super().__init__(function)
        stamp = self._impl.locator.get_source_stamp()
        self._cache_file = _CheckedFile(self._cache_path, self._impl.filename_base, stamp)

    def load_overload(self, *signature: Any) -> Any:
        """The machine code for argument types; None where it must be compiled."""
        try:
            return super().load_overload(*signature)
        except Exception as error:  # noqa: BLE001 - unpickling raises whatever there is
            self._warn("read", error)
            return None

    def save_overload(self, *compiled: Any) -> None:
        """Store the machine code for argument types, if possible."""
        try:
            super().save_overload(*compiled)
        except Exception as error:  # noqa: BLE001 - a full disk, for instance
            self._warn("written", error)

    def _warn(self, what: str, error: Exception) -> None:
        reason = getattr(error, "strerror", None) or f"{type(error).__name__}: {error}"
        warn_once(
            f"{self._cache_path}: cannot be {what}: {reason}; {REMEDY}", Path(self._cache_path)
        )


class _Locator(UserProvidedCacheLocator):  # type: ignore[misc]
    """The place of a function's files, whatever numba's settings say."""

    def __init__(self, function: Callable[..., Any], source: str) -> None:
        folder = cache_folder()
        if folder is None:
            raise FileNotFoundError("no folder for compiled kernels")
        self._py_file = source
        self._lineno = function.__code__.co_firstlineno
        self._cache_path = str(folder)

    def ensure_cache_path(self) -> None:
        """Check the folder again before files are written to it.

        Raises:
            PermissionError: it is another user's by now, or others can write to it.
        """
        problem = refusal(Path(self._cache_path))
        if problem is not None:
            raise PermissionError(problem)


class _Placement(CompileResultCacheImpl):  # type: ignore[misc]
    def __init__(self, function: Callable[..., Any]) -> None:
        source = inspect.getfile(function)
        self._lineno = function.__code__.co_firstlineno
        self._locator = _Locator(function, source)
        name = f"checked-{Path(source).stem}.{function.__qualname__}"
        self._filename_base = self.get_filename_base(name, getattr(sys, "abiflags", ""))


class _CheckedFile(IndexDataCacheFile):  # type: ignore[misc]
    """Files that end in the SHA-256 of what is before; a damaged one counts as missing.

    ``pickle`` ignores what follows a pickle. Machine code with a flipped bit would be run.
    """

    def _load_index(self) -> Any:
        return super()._load_index() if _is_whole(self._index_path) else {}

    def _load_data(self, name: str) -> Any:
        if not _is_whole(self._data_path(name)):
            raise OSError("damaged")  # numba takes it for missing
        return super()._load_data(name)

    @contextmanager
    def _open_for_write(self, filepath: str) -> Iterator[BinaryIO]:
        content = BytesIO()
        yield content
        data = content.getvalue()
        with super()._open_for_write(filepath) as file:
            file.write(data + hashlib.sha256(data).digest())


def _is_whole(path: str) -> bool:
    """Whether a file is as it was written, or missing; warns where it is not."""
    if not os.path.exists(path):  # noqa: PTH110 - numba has text
        return True
    data = Path(path).read_bytes()
    if hashlib.sha256(data[:-_DIGEST_BYTES]).digest() == data[-_DIGEST_BYTES:]:
        return True
    warn_once(f"{path}: is damaged; its kernel is compiled and stored again", cache_folder())
    return False
