"""Outputs as rows of Parquet files instead of many small files: ``part-00000.parquet`` and so on.

A row has an input's cells of results.csv and the very bytes of the files that the folder form would
hold. A part is written whole or not at all, and the journal names it only then, so that what a
killed run had not yet written is done again.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path, PurePosixPath
from typing import Any

from ..._util.files import atomic_path, write_bytes
from ...errors import OutputError
from ..journal import COLUMNS, Journal, Record, write_results
from .parquet import arrow_cell, require_parquet, result_fields

#: A part is written when it has so many rows, or holds so many bytes of files.
_ROWS, _BYTES = 4096, 64 * 2**20
_NAME = re.compile(r"part(-(\d+)-of-\d+)?-(\d{5})\.parquet")


@dataclass(frozen=True)
class Packed(Record):
    """A record that carries its files, by their path in the folder form."""

    contents: dict[str, bytes] = field(default_factory=dict)


def pack(record: Record, folder: Path) -> Packed:
    """A record with the content of its outputs, which lie below ``folder``."""
    files = {name: (folder / name).read_bytes() for name in record.outputs}
    return Packed(record.key, record.fingerprint, record.row, contents=files)


class Parts:
    """Writes records as parts of an output folder and into its journal.

    Args:
        out: the output folder.
        journal: of a run there; of a shard's run, its parts are named like it.
        keys: of the run's inputs, in order.

    Raises:
        OutputError: pyarrow is not installed.
    """

    def __init__(self, out: Path, journal: Journal, keys: Sequence[str]) -> None:
        require_parquet()
        self._out, self._journal = out.absolute(), journal
        self._mark = journal.path.stem.removeprefix("journal")
        self._places = {key: place for place, key in enumerate(keys)}
        numbers = [int(match[3]) for _, match in _find(out) if (match[1] or "") == self._mark]
        self._number = max(numbers, default=-1) + 1
        self._waiting: list[Record] = []
        self._bytes = 0

    def add(self, record: Record) -> None:
        """Take a record, a Packed one where there are files; it is safe once its part is full."""
        self._waiting.append(record)
        self._bytes += sum(map(len, _files(record).values()))
        if len(self._waiting) >= _ROWS or self._bytes >= _BYTES:
            self._flush()

    def close(self) -> None:
        """Write what is waiting, then take out of earlier parts what was done anew."""
        self._flush()
        for path, match in _find(self._out):
            ours = (match[1] or "") == self._mark
            if ours or not self._mark:  # after a merge the shards' parts are the whole run's
                self._drop_superseded(path, ours)

    def _flush(self) -> None:
        if not self._waiting:
            return
        name = f"part{self._mark}-{self._number:05}.parquet"
        _write(self._out / name, [self._row(record) for record in self._waiting])
        for record in self._waiting:
            self._journal.append(Record(record.key, record.fingerprint, record.row, [name]))
        self._number += 1
        self._waiting, self._bytes = [], 0

    def _row(self, record: Record) -> dict[str, Any]:
        files = dict(_files(record))
        label_map = files.pop(record.row.get("labels", ""), None)
        others = [{"path": name, "content": content} for name, content in files.items()]
        own = {"key": record.key, "place": self._places.get(record.key)}
        return {**own, **record.row, "label_map": label_map, "others": others}

    def _drop_superseded(self, path: Path, ours: bool) -> None:
        import pyarrow.parquet as pq

        def stands(key: str) -> bool:
            record = self._journal.get(key)
            return not ours if record is None else record.outputs == [path.name]

        keys = pq.read_table(path, columns=["key"])["key"].to_pylist()
        kept = [stands(key) for key in keys]
        if not any(kept):
            path.unlink()
        elif not all(kept):
            with atomic_path(path) as temporary:
                pq.write_table(pq.read_table(path).filter(kept), temporary)


def _files(record: Record) -> dict[str, bytes]:
    return record.contents if isinstance(record, Packed) else {}


def _find(folder: Path) -> list[tuple[Path, re.Match[str]]]:
    """Parts of a folder, of one mark in the order in which they were written.

    Their paths are absolute: pyarrow would take a relative one with a colon for a URI.
    """
    paths = sorted(folder.absolute().glob("part-*.parquet"))
    found = ((path, _NAME.fullmatch(path.name)) for path in paths)
    return [(path, match) for path, match in found if match]


def _write(path: Path, rows: list[dict[str, Any]]) -> None:
    import pyarrow as pa
    import pyarrow.parquet as pq

    fields = [pa.field("key", pa.string()), pa.field("place", pa.int64())]
    fields += result_fields(COLUMNS)
    file = pa.struct([("path", pa.string()), ("content", pa.binary())])
    fields += [pa.field("label_map", pa.binary()), pa.field("others", pa.list_(file))]
    cells = {each.name: [arrow_cell(row.get(each.name)) for row in rows] for each in fields}
    table = pa.table(cells, schema=pa.schema(fields))
    with atomic_path(path) as temporary:
        pq.write_table(table, temporary)


def unpack(sources: Sequence[Path], out: Path) -> list[dict[str, Any]]:
    """Turn parts into the files and the results.csv of the folder form.

    Args:
        sources: parts, or folders of them; of one run, or of all its shards.
        out: made if it is not there.

    Returns:
        The rows of results.csv, in the order that the run's inputs had.

    Raises:
        OutputError: there are no parts, one is damaged, or a file cannot be written.
    """
    parts = [
        (path, match)
        for source in sources
        for path, match in (_find(source) if source.is_dir() else _one(source))
    ]
    if not parts:
        raise OutputError(f"{', '.join(map(str, sources))}: no part-*.parquet")
    rows: list[tuple[tuple[int, int], dict[str, Any]]] = []
    try:
        newest = {key: path for path, _ in parts for (key,) in _cells(path, ["key"])}
        for path, match in parts:
            names = ["key", "place", "label_map", "others", *_columns(path)]
            for key, place, label_map, others, *cells in _cells(path, names):
                if newest[key] != path:
                    continue  # a run that was killed had no time to take it out
                row = dict(zip(names[4:], cells, strict=True))
                rows.append(((place, int(match[2] or 0)), row))
                _restore(out, row["labels"], label_map)
                for each in others:
                    _restore(out, each["path"], each["content"])
        rows.sort(key=lambda pair: pair[0])
        out.mkdir(parents=True, exist_ok=True)
        write_results(out / "results.csv", (row for _, row in rows))
    except OSError as error:
        raise OutputError(f"{out}: cannot be written: {error.strerror or error}") from error
    return [row for _, row in rows]


def _one(path: Path) -> list[tuple[Path, re.Match[str]]]:
    match = _NAME.fullmatch(path.name)
    if match is None or not path.is_file():
        raise OutputError(f"{path}: is no part-*.parquet of a batch")
    return [(path.absolute(), match)]


def _columns(path: Path) -> list[str]:
    import pyarrow.parquet as pq

    there = pq.read_schema(path).names
    return [name for name in COLUMNS if name in there]


def _cells(path: Path, names: list[str]) -> Iterator[tuple[Any, ...]]:
    """Rows of a part, a few at a time in memory."""
    import pyarrow as pa
    import pyarrow.parquet as pq

    try:
        with pq.ParquetFile(path) as file:
            for batch in file.iter_batches(batch_size=64, columns=names):
                table = batch.to_pydict()
                yield from zip(*(table[name] for name in names), strict=True)
    except (pa.ArrowException, KeyError) as error:
        raise OutputError(f"{path}: cannot be read: {error}") from error


def _restore(out: Path, name: str | None, content: bytes | None) -> None:
    if content is None or not name:
        return
    relative = PurePosixPath(name)
    if relative.is_absolute() or ".." in relative.parts:
        raise OutputError(f"{name}: leads out of {out}; this is no part of a batch")
    path = out / relative
    path.parent.mkdir(parents=True, exist_ok=True)
    write_bytes(path, content)
