"""Sink that keeps outputs as files in the output folder."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable
from contextlib import suppress
from pathlib import Path

from ..._util.files import write_bytes
from ..._util.folder_lock import HIDDEN
from ...errors import OutputError
from ...outputs import OutputFile
from ..journal import Journal, Record
from ..report.fragment import fragment_path


def write_files(out: Path, files: Iterable[OutputFile]) -> dict[str, str]:
    """Write the output files of one radiograph: all, or none on failure.

    Args:
        out: the output folder.
        files: the encoded outputs.

    Returns:
        The SHA-256 of each file, by name.

    Raises:
        OutputError: a file cannot be written.
    """
    hashes: dict[str, str] = {}
    try:
        for file in files:
            path = out / file.name
            try:
                path.parent.mkdir(parents=True, exist_ok=True)
                write_bytes(path, file.data)
            except OSError as error:
                reason = error.strerror or error
                raise OutputError(f"{path}: cannot be written: {reason}") from error
            hashes[file.name] = hashlib.sha256(file.data).hexdigest()
    except BaseException:
        for name in hashes:
            (out / name).unlink(missing_ok=True)
        raise
    return hashes


class FolderSink:
    """Stores records in the journal; workers have already written the files.

    Args:
        out: the output folder.
        journal: the journal of the run.
    """

    def __init__(self, out: Path, journal: Journal) -> None:
        self._out, self._journal = out, journal

    def add(self, record: Record, files: dict[str, bytes]) -> None:
        """Store a record; ``files`` is empty."""
        previous = self._journal.get(record.key)
        if record.done:
            record = record.after(previous)
        else:
            self._remove_outdated(record.key, previous)
        self._journal.append(record)

    def close(self) -> None:
        """Do nothing: records are stored already."""

    def _remove_outdated(self, key: str, previous: Record | None) -> None:
        """Remove the outputs of an input that fails now: they belong to its earlier content."""
        for name in (fragment_path(Path(HIDDEN), key), *(previous.files if previous else ())):
            with suppress(OSError):
                (self._out / name).unlink(missing_ok=True)
