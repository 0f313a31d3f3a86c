"""Outputs as files in the output folder, and the rule of what may be replaced there."""

from __future__ import annotations

import hashlib
import time
from collections.abc import Iterable, Mapping
from pathlib import Path

from ..._util.files import file_sha256, sync_filesystem, write_bytes
from ..._util.paths import resolve_inside
from ...errors import OutputError
from ...outputs import OutputFile
from ..journal import Journal, Record

#: Records, and seconds, after which what was written is flushed to disk.
_SYNC_RECORDS, _SYNC_SECONDS = 256, 10.0


def write_files(
    out: Path, files: Iterable[OutputFile], owned: Mapping[str, str], *, adopt: bool = False
) -> dict[str, str]:
    """Write the outputs of one radiograph.

    A file that is there already is replaced only if it belongs to the input and is as this program
    wrote it, or has the same bytes as the new one. Nothing is written if another file is in the
    way.

    Args:
        out: the output folder.
        files: the encoded outputs.
        owned: SHA-256 by name of the files that the journal names for the input; empty where it
            is not known.
        adopt: replace files in any case.

    Returns:
        SHA-256 of each file by name.

    Raises:
        OutputError: a file is in the way, or cannot be written. Files that were new are removed
            then; files that were replaced before stay.
    """
    hashes = {file.name: hashlib.sha256(file.data).hexdigest() for file in files}
    paths = {name: resolve_inside(out, name) for name in hashes}
    there = {name: file_sha256(path) for name, path in paths.items() if path.is_file()}
    if not adopt:
        _refuse_foreign(paths, there, hashes, owned)
    new: list[Path] = []
    try:
        for file in files:
            path = paths[file.name]
            try:
                path.parent.mkdir(parents=True, exist_ok=True)
                write_bytes(path, file.data, durable=False)  # FolderSink flushes many at once
            except OSError as error:
                reason = error.strerror or error
                raise OutputError(f"{path}: cannot be written: {reason}") from error
            if file.name not in there:
                new.append(path)
    except BaseException:
        for path in new:
            path.unlink(missing_ok=True)
        raise
    return hashes


def _refuse_foreign(
    paths: Mapping[str, Path],
    there: Mapping[str, str],
    hashes: Mapping[str, str],
    owned: Mapping[str, str],
) -> None:
    for name, sha256 in there.items():
        if sha256 == hashes[name] or sha256 == owned.get(name) or owned.get(name) == "":
            continue
        how = "was changed since it was written" if name in owned else "was not written by xrayseg"
        raise OutputError(f"{paths[name]}: {how}; move it away, or give --adopt to replace it")


class FolderSink:
    """Records whose files are in the output folder: they go straight into the journal.

    Files and journal are flushed to disk together, after some records or seconds and at the end.
    After a power cut, an input whose files did not reach the disk is noticed by their sizes.

    Args:
        out: the output folder.
        journal: of the run.
    """

    def __init__(self, out: Path, journal: Journal) -> None:
        self._out, self._journal = out, journal
        self._unsynced, self._synced_at = 0, time.monotonic()

    def add(self, record: Record, files: dict[str, bytes]) -> None:
        """Store a record; ``files`` is empty, since workers have written them."""
        self._journal.append(record.after(self._journal.get(record.key)))
        self._unsynced += 1
        waited = time.monotonic() - self._synced_at
        if self._unsynced >= _SYNC_RECORDS or waited > _SYNC_SECONDS:
            self._sync()

    def close(self) -> None:
        """Flush files and journal to disk."""
        if self._unsynced:
            self._sync()

    def _sync(self) -> None:
        sync_filesystem(self._out)
        self._journal.sync()
        self._unsynced, self._synced_at = 0, time.monotonic()
