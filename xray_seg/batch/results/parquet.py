"""Write results.parquet: the columns of results.csv, with types."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from itertools import islice
from pathlib import Path
from typing import Any

from ..._util.files import atomic_path
from ...analysis.measurements import MEASURES
from ...errors import OutputError
from .columns import COLUMNS, QUALITY_COLUMNS

#: Rows per row group, and in memory at a time.
GROUP_ROWS = 4096
_INTEGER_COLUMNS = ("height_px", "width_px", *(name for name in MEASURES if name.endswith("_px")))
_FLOAT_COLUMNS = (
    *(name for name in QUALITY_COLUMNS if name != "warnings"),
    "row_spacing_mm",
    "column_spacing_mm",
    *(name for name in MEASURES if not name.endswith("_px")),
)


def require_parquet() -> None:
    """Check that Parquet can be written.

    Raises:
        OutputError: pyarrow is not installed.
    """
    try:
        import pyarrow.parquet  # noqa: F401
    except ImportError as error:
        raise OutputError(
            "Parquet needs pyarrow, which is not installed: pip install 'xray-seg[parquet]'"
        ) from error


def write_parquet(
    path: Path, rows: Iterable[dict[str, Any]], more_columns: Sequence[str] = ()
) -> None:
    """Write a Parquet file with typed columns, completely or not at all, in constant memory.

    Missing values are null. Bytes of file names that are not UTF-8 are written as ``\\xNN``.

    Args:
        path: file to write.
        rows: cells by column.
        more_columns: columns after those of results.csv.

    Raises:
        OSError: the file cannot be written.
        OutputError: pyarrow is not installed.
    """
    require_parquet()
    import pyarrow as pa
    import pyarrow.parquet as pq

    names = (*COLUMNS, *more_columns)
    schema = pa.schema(result_fields(names))
    # Pass an open file: pyarrow interprets a path with a colon as a URI.
    with (
        atomic_path(path) as temporary,
        temporary.open("wb") as file,
        pq.ParquetWriter(file, schema) as writer,
    ):
        for group in _groups(rows):
            columns = {name: [_cell_or_null(row.get(name)) for row in group] for name in names}
            writer.write_table(pa.table(columns, schema))


def _groups(rows: Iterable[dict[str, Any]]) -> Iterator[list[dict[str, Any]]]:
    remaining = iter(rows)
    while group := list(islice(remaining, GROUP_ROWS)):
        yield group


def _cell_or_null(value: Any) -> Any:
    return None if value == "" else arrow_cell(value)


def result_fields(names: Iterable[str]) -> list[Any]:
    """Make Arrow fields for columns of results.csv; columns without a known type are text."""
    import pyarrow as pa

    types = {name: pa.int64() for name in _INTEGER_COLUMNS} | {
        name: pa.float64() for name in _FLOAT_COLUMNS
    }
    types |= {"inverted": pa.bool_(), "mirrored": pa.bool_(), "rotation_deg": pa.int64()}
    return [pa.field(name, types.get(name, pa.string())) for name in names]


def arrow_cell(value: Any) -> Any:
    """Convert a cell for Arrow: bytes of a file name that are not UTF-8 become ``\\xNN``."""
    if isinstance(value, str):
        return value.encode("utf-8", "surrogateescape").decode("utf-8", "backslashreplace")
    return value
