"""Parquet outputs of a batch, turned into the files of folder output."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

from .._util.files import write_bytes
from .._util.folder_lock import lock_output_folder
from .._util.paths import resolve_inside
from ..errors import OutputError
from ..outputs import FOLDERS
from .results.columns import COLUMNS
from .results.csv_table import write_csv
from .results.parquet_sink import Parts, find_parts, match_part, part_columns


def unpack(sources: Sequence[Path], out: Path) -> list[dict[str, Any]]:
    """Turn parts into the files and the results.csv of folder output.

    Args:
        sources: parts, or folders of them; of one run, or of all its shards.
        out: made if it does not exist.

    Returns:
        The rows of results.csv, in the order of the run's inputs.

    Raises:
        OutputError: there are no parts, one is damaged, another run writes to ``out``, or a file
            cannot be written.
    """
    parts = [
        part
        for source in sources
        for part in (find_parts(source) if source.is_dir() else _one_part(source))
    ]
    if not parts:
        raise OutputError(f"{', '.join(map(str, sources))}: no part-*.parquet")
    columns = {path: part_columns(path) for path, _ in parts}
    newest = {key: path for path, _ in parts for (key,) in _cells(path, ["key"])}
    try:
        # The lock's folder marks the files as outputs, which later batches do not read.
        with lock_output_folder(out, "", FOLDERS):
            rows: list[tuple[tuple[int, int], dict[str, Any]]] = []
            for path, match in parts:
                for cells in _rows(path, columns[path]):
                    if newest[cells["key"]] != path:
                        continue  # replaced by a later part; a killed run did not drop it
                    _write_files(out, cells)
                    place = (cells["place"] or 0, int(match[2] or 0))
                    rows.append((place, {name: cells[name] for name in COLUMNS if name in cells}))
            rows.sort(key=lambda pair: pair[0])
            write_csv(out / "results.csv", (row for _, row in rows))
    except OSError as error:
        raise OutputError(f"{out}: cannot be written: {error.strerror or error}") from error
    return [row for _, row in rows]


def _one_part(path: Path) -> Parts:
    match = match_part(path)
    if match is None or not path.is_file():
        raise OutputError(f"{path}: is no part-*.parquet of a batch")
    return [(path.absolute(), match)]


def _rows(path: Path, names: list[str]) -> Iterator[dict[str, Any]]:
    """Rows of a part as dicts, a few at a time in memory."""
    return (dict(zip(names, cells, strict=True)) for cells in _cells(path, names))


def _cells(path: Path, names: list[str]) -> Iterator[tuple[Any, ...]]:
    """Rows of a part, a few at a time in memory."""
    import pyarrow as pa
    import pyarrow.parquet as pq

    try:
        with pq.ParquetFile(path) as file:
            for batch in file.iter_batches(batch_size=64, columns=names):
                table = batch.to_pydict()
                yield from zip(*(table[name] for name in names), strict=True)
    except (pa.ArrowException, OSError, KeyError) as error:
        raise OutputError(f"{path}: cannot be read: {error}") from error


def _write_files(out: Path, cells: dict[str, Any]) -> None:
    """Write the files that a row holds."""
    _write_file(out, cells["labels"], cells["label_map"])
    for each in cells["others"] or ():
        if each is not None:
            _write_file(out, each["path"], each["content"])


def _write_file(out: Path, name: str | None, content: bytes | None) -> None:
    if content is None or not name:
        return
    path = resolve_inside(out, name)
    if path.is_file():
        if path.read_bytes() == content:
            return
        raise OutputError(f"{path}: exists with other content; move it away, or give another --out")
    path.parent.mkdir(parents=True, exist_ok=True)
    write_bytes(path, content)
