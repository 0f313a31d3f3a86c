"""The bytes of a DICOM file, from which pydicom cannot inflate more than a budget allows."""

from __future__ import annotations

import io
import zlib
from pathlib import Path

from ..errors import ReadError
from .limits import RAISE_LIMIT, Budget

#: Bytes of deflated data taken at a time, and of inflated data that they may give at once.
_PART, _INFLATED_PART = 1 << 16, 1 << 20


class GuardedFile(io.BytesIO):
    """A DICOM file in memory for ``pydicom.dcmread``.

    It is not read from disk, where pydicom allocates the length that an element claims before it
    checks that the file is that long.

    pydicom reads all that is left of a file only to inflate it. That is the one place where this
    class can tell that a data set is deflated as pydicom sees it: with or without a preamble, and
    with blanks around its transfer syntax.
    """

    def __init__(self, path: Path, data: bytes, budget: Budget) -> None:
        """Hold the content of a file.

        Args:
            path: file name for errors.
            data: its content.
            budget: limits of size.

        Raises:
            ReadError: the file is too long.
        """
        budget.check_length(path, len(data))
        super().__init__(data)
        self._path, self._budget = path, budget

    def read(self, size: int | None = -1) -> bytes:
        """Read bytes.

        Raises:
            ReadError: they are the rest of the file, and inflate to more than the budget allows.
        """
        data = super().read(size)
        if size is None or size < 0:
            self._check_inflated(data)
        return data

    def _check_inflated(self, data: bytes) -> None:
        inflater, left = zlib.decompressobj(-zlib.MAX_WBITS), self._budget.max_length
        place = 0
        try:
            while part := inflater.unconsumed_tail or data[place : place + _PART]:
                if not inflater.unconsumed_tail:
                    place += _PART
                left -= len(inflater.decompress(part, _INFLATED_PART))
                if left < 0:
                    raise ReadError(
                        f"{self._path}: inflates to more bytes than an image of "
                        f"{self._budget.max_samples:,} pixels has; {RAISE_LIMIT}"
                    )
        except zlib.error:  # pydicom finds the same
            return


def read_guarded(path: Path, data: bytes | None, budget: Budget) -> GuardedFile:
    """A DICOM file, from ``data`` if it is in memory already.

    Raises:
        ReadError: the file is too long; it is not read then.
    """
    if data is None:
        budget.check_length(path, path.stat().st_size)
        data = path.read_bytes()
    return GuardedFile(path, data, budget)
