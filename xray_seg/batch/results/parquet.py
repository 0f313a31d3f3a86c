"""results.parquet: the columns of results.csv, typed."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from itertools import islice
from pathlib import Path
from typing import Any

from ..._util.files import atomic_path
from ...analysis.measurements import MEASURES
from ...errors import OutputError
from .columns import COLUMNS, QUALITY_COLUMNS

#: Rows held in memory at a time.
GROUP_ROWS = 4096
_WHOLE = ("height_px", "width_px", *(name for name in MEASURES if name.endswith("_px")))
_REAL = (
    *(name for name in QUALITY_COLUMNS if name != "warnings"),
    "row_spacing_mm",
    "column_spacing_mm",
    *(name for name in MEASURES if not name.endswith("_px")),
)


def require_parquet() -> None:
    """Check, before the work, that Parquet can be written.

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
    """Write the columns of results.csv, typed, whole or not at all; rows are taken in groups.

    Unknown values are null. Bytes of file names that are not UTF-8 appear as ``\\xNN``.

    Raises:
        OutputError: pyarrow is not installed.
    """
    require_parquet()
    import pyarrow as pa
    import pyarrow.parquet as pq

    names = (*COLUMNS, *more_columns)
    schema = pa.schema(result_fields(names))
    # An open file, not its name: pyarrow would take a name with a colon for a URI.
    with (
        atomic_path(path) as temporary,
        temporary.open("wb") as file,
        pq.ParquetWriter(file, schema) as writer,
    ):
        for group in _groups(rows):
            columns = {name: [_known(row.get(name)) for row in group] for name in names}
            writer.write_table(pa.table(columns, schema))


def _groups(rows: Iterable[dict[str, Any]]) -> Iterator[list[dict[str, Any]]]:
    left = iter(rows)
    while group := list(islice(left, GROUP_ROWS)):
        yield group


def _known(value: Any) -> Any:
    return None if value == "" else arrow_cell(value)


def result_fields(names: Iterable[str]) -> list[Any]:
    """Arrow fields for columns of results.csv; other names become text fields."""
    import pyarrow as pa

    kinds = {name: pa.int64() for name in _WHOLE} | {name: pa.float64() for name in _REAL}
    kinds["inverted"] = pa.bool_()
    return [pa.field(name, kinds.get(name, pa.string())) for name in names]


def arrow_cell(value: Any) -> Any:
    """A value as Arrow takes it: bytes of a file name that are not UTF-8 become ``\\xNN``."""
    if isinstance(value, str):
        return value.encode("utf-8", "surrogateescape").decode("utf-8", "backslashreplace")
    return value
