"""Outputs as files in the output folder, and the rule of what may be replaced there."""

from __future__ import annotations

import hashlib
import json
import time
from collections.abc import Iterable, Mapping
from pathlib import Path

from ..._util.files import file_sha256, sync_filesystem, write_bytes, write_text
from ..._util.folder_lock import HIDDEN
from ..._util.json_types import check_fields, parse_object
from ..._util.paths import resolve_inside
from ...errors import OutputError
from ...outputs import OutputFile
from ..journal import Journal, Record

#: Records, and seconds, after which what was written is flushed to disk.
_SYNC_RECORDS, _SYNC_SECONDS = 256, 10.0


def write_files(
    out: Path,
    key: str,
    files: Iterable[OutputFile],
    owned: Mapping[str, str],
    *,
    adopt: bool = False,
) -> dict[str, str]:
    """Write the outputs of one radiograph.

    A file that is there already is replaced only if it belongs to the input and is as this program
    wrote it, or holds nothing but what the new one begins with, as after a power cut. Nothing is
    written if another file is in the way. Before a file is replaced, the hashes of the new ones are
    noted: if the run is killed before its journal has them, the next run knows the files by this
    note.

    Args:
        out: the output folder.
        key: of the input.
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
    if there:
        noted = _read_note(out, key)
        if not adopt:
            others = {
                file.name: there[file.name]
                for file in files
                if file.name in there and not _is_start_of(paths[file.name], file.data)
            }
            _refuse_foreign(paths, others, owned, noted)
        replaced = [name for name, sha256 in there.items() if sha256 != hashes[name]]
        if replaced:
            noted |= {name: [there[name], hashes[name]] for name in replaced}
            _write_note(out, key, noted)
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


def _is_start_of(path: Path, data: bytes) -> bool:
    """Whether a file holds nothing but what the data begin with."""
    size = path.stat().st_size
    return size <= len(data) and path.read_bytes() == data[:size]


def _refuse_foreign(
    paths: Mapping[str, Path],
    there: Mapping[str, str],
    owned: Mapping[str, str],
    noted: Mapping[str, list[str]],
) -> None:
    for name, sha256 in there.items():
        known = (owned.get(name), *noted.get(name, ()))
        if sha256 in known or owned.get(name) == "":
            continue
        how = "was changed since it was written" if name in owned else "was not written by xrayseg"
        raise OutputError(f"{paths[name]}: {how}; move it away, or give --adopt to replace it")


def _note_path(out: Path, key: str) -> Path:
    """Where the hashes of files are noted while they replace others."""
    digest = hashlib.sha256(key.encode(errors="surrogateescape")).hexdigest()[:32]
    return out / HIDDEN / "replacing" / f"{digest}.json"


def _read_note(out: Path, key: str) -> dict[str, list[str]]:
    """The hashes that each file of an input may have, by name; empty without a note."""
    try:
        noted = parse_object(_note_path(out, key).read_bytes())
        check_fields(noted, dict.fromkeys(noted, list[str]))
    except (OSError, ValueError):
        return {}
    return noted


def _write_note(out: Path, key: str, noted: Mapping[str, list[str]]) -> None:
    path = _note_path(out, key)
    try:
        path.parent.mkdir(exist_ok=True, parents=True)
        write_text(path, json.dumps(noted), durable=False)
    except OSError as error:
        raise OutputError(f"{path}: cannot be written: {error.strerror or error}") from error


def _drop_note(out: Path, record: Record) -> None:
    """Remove the note on an input once the journal has the hashes of all files in it."""
    if record.done and _read_note(out, record.key).keys() <= set(record.outputs):
        _note_path(out, record.key).unlink(missing_ok=True)


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
        _drop_note(self._out, record)
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
