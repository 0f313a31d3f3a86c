"""Sink that writes outputs as rows of Parquet files (parts): ``part-00000.parquet`` and so on.

A row has an input's cells of results.csv and the contents of the files that folder output would
have. A part is written completely or not at all, and recorded in the journal afterwards. After a
killed run, inputs without a part are segmented again.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from ..._util.files import write_bytes
from ...errors import OutputError
from ..journal import Journal, Record
from .columns import COLUMNS
from .parquet import arrow_cell, require_parquet, result_fields

#: Limits of a part: it is written when it has this many rows or bytes of files.
_MAX_ROWS, _MAX_BYTES = 4096, 64 * 2**20
_NAME = re.compile(r"part(-(\d+)-of-\d+)?-(\d{5})\.parquet")

#: Columns of a part besides those of results.csv.
_OWN_COLUMNS = ("key", "place", "label_map", "others")

Parts = list[tuple[Path, re.Match[str]]]


class ParquetSink:
    """Collects records and their files, writes them as parts, and records them in the journal.

    Args:
        out: the output folder.
        journal: the journal of the run; the parts of a shard have its suffix.
        keys: keys of the run's inputs, in order.

    Raises:
        OutputError: pyarrow is not installed.
    """

    def __init__(self, out: Path, journal: Journal, keys: Sequence[str]) -> None:
        require_parquet()
        self._out, self._journal = out.absolute(), journal
        self._run_suffix = journal.path.stem.removeprefix("journal")
        self._positions = {key: position for position, key in enumerate(keys)}
        numbers = [int(match[3]) for _, match in find_parts(out) if self._is_ours(match)]
        self._number = max(numbers, default=-1) + 1
        self._waiting: list[tuple[Record, dict[str, bytes]]] = []
        self._bytes = 0

    def add(self, record: Record, files: dict[str, bytes]) -> None:
        """Add a record and its files; they are stored when the part is full."""
        self._waiting.append((record, files))
        self._bytes += sum(map(len, files.values()))
        if len(self._waiting) >= _MAX_ROWS or self._bytes >= _MAX_BYTES:
            self._flush()

    def close(self) -> None:
        """Write the last part, then drop rows of earlier parts that were replaced."""
        self._flush()
        for path, match in find_parts(self._out):
            ours = self._is_ours(match)
            owned = ours or not self._run_suffix  # a whole run owns the parts of merged shards
            if owned and _is_part(path):
                self._drop_replaced(path, ours=ours)

    def _is_ours(self, match: re.Match[str]) -> bool:
        return (match[1] or "") == self._run_suffix

    def _flush(self) -> None:
        if not self._waiting:
            return
        name = f"part{self._run_suffix}-{self._number:05}.parquet"
        data = _encode(_table([self._row(record, files) for record, files in self._waiting]))
        write_bytes(self._out / name, data)
        sha256 = hashlib.sha256(data).hexdigest()
        for record, _ in self._waiting:
            self._append(record, name, sha256)
        self._number += 1
        self._waiting, self._bytes = [], 0

    def _append(self, record: Record, name: str, sha256: str) -> None:
        self._journal.append(replace(record, outputs=[name], hashes={name: sha256}))

    def _row(self, record: Record, contents: dict[str, bytes]) -> dict[str, Any]:
        files = dict(contents)
        label_map = files.pop(record.row.get("labels", ""), None)
        others = [{"path": name, "content": content} for name, content in files.items()]
        own = {"key": record.key, "place": self._positions.get(record.key)}
        return {**own, **record.row, "label_map": label_map, "others": others}

    def _drop_replaced(self, path: Path, *, ours: bool) -> None:
        """Drop rows of a part that were replaced by rows of later parts.

        The journal records the new hash first. If the process is killed before the part is
        written, the next run finds the replaced rows again and writes the same bytes.
        """
        import pyarrow.parquet as pq

        def is_current(key: str) -> bool:
            record = self._journal.get(key)
            return not ours if record is None else record.outputs == [path.name]

        keys = pq.read_table(path, columns=["key"])["key"].to_pylist()
        current = [is_current(key) for key in keys]
        if not any(current):
            path.unlink()
        elif not all(current):
            data = _encode(pq.read_table(path).filter(current))
            sha256 = hashlib.sha256(data).hexdigest()
            for key, is_kept in zip(keys, current, strict=True):
                record = self._journal.get(key)
                if is_kept and record is not None:
                    self._append(record, path.name, sha256)
            write_bytes(path, data)


def find_parts(folder: Path) -> Parts:
    """Find the parts in a folder, in the order in which each run wrote them.

    The paths are absolute: pyarrow interprets a relative path with a colon as a URI.
    """
    paths = sorted(folder.absolute().glob("part-*.parquet"))
    found = ((path, match_part(path)) for path in paths)
    return [(path, match) for path, match in found if match]


def match_part(path: Path) -> re.Match[str] | None:
    """Match the name of a part; the groups are the shard's suffix, its index, the part's number."""
    return _NAME.fullmatch(path.name)


def part_columns(path: Path) -> list[str]:
    """Names of the columns that a file has of those of a part.

    Raises:
        OutputError: the file is no Parquet file, lacks columns that each part has, or has them
            with other types.
    """
    import pyarrow as pa
    import pyarrow.parquet as pq

    try:
        found = pq.read_schema(path)
    except (pa.ArrowException, OSError) as error:
        raise OutputError(f"{path}: cannot be read: {error}") from error
    known = [field for field in _part_fields() if found.names.count(field.name) == 1]
    lacking = {*_OWN_COLUMNS, "labels"} - {field.name for field in known}
    others = [field.name for field in known if found.field(field.name).type != field.type]
    if lacking or others:
        what = f"lacks {', '.join(sorted(lacking))}" if lacking else f"other types: {others}"
        raise OutputError(f"{path}: cannot be read as a part of a batch: {what}; leave it out")
    return [field.name for field in known]


def _is_part(path: Path) -> bool:
    """Whether a file has the columns of a part; a file of somebody else's stays as it is."""
    try:
        return bool(part_columns(path))
    except OutputError:
        return False


def _part_fields() -> list[Any]:
    """Arrow fields of a part."""
    import pyarrow as pa

    fields = [pa.field("key", pa.string()), pa.field("place", pa.int64())]
    fields += result_fields(COLUMNS)
    file = pa.struct([("path", pa.string()), ("content", pa.binary())])
    return [*fields, pa.field("label_map", pa.binary()), pa.field("others", pa.list_(file))]


def _table(rows: list[dict[str, Any]]) -> Any:
    import pyarrow as pa

    fields = _part_fields()
    cells = {each.name: [arrow_cell(row.get(each.name)) for row in rows] for each in fields}
    return pa.table(cells, schema=pa.schema(fields))


def _encode(table: Any) -> bytes:
    """Encode an Arrow table as Parquet."""
    import pyarrow as pa
    import pyarrow.parquet as pq

    buffer = pa.BufferOutputStream()
    pq.write_table(table, buffer)
    return bytes(buffer.getvalue().to_pybytes())
