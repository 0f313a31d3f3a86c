"""results.csv and other tables of rows, as CSV."""

from __future__ import annotations

import csv
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import IO, Any

from ..._util.files import atomic_path
from .columns import COLUMNS, Row

#: A spreadsheet takes a cell that begins so for a formula.
_FORMULA = ("=", "+", "-", "@", "\t", "\r")


def write_csv(path: Path, rows: Iterable[Row], more_columns: Sequence[str] = ()) -> None:
    """Write rows of results.csv, whole or not at all; rows are taken one by one."""
    with (
        atomic_path(path) as temporary,
        temporary.open("w", newline="", encoding="utf-8", errors="surrogateescape") as file,
    ):
        write_rows(file, rows, more_columns)


def write_rows(file: IO[str], rows: Iterable[Row], more_columns: Sequence[str] = ()) -> None:
    """Write the header and rows of results.csv to an open text file, as they come."""
    # Records of other versions may have other columns.
    writer = csv.DictWriter(file, (*COLUMNS, *more_columns), extrasaction="ignore")
    writer.writeheader()
    for row in rows:
        writer.writerow({key: csv_cell(value) for key, value in row.items()})


def csv_cell(value: Any) -> Any:
    """A value as results.csv has it: booleans in lower case, no text that acts as a formula."""
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, str) and value.startswith(_FORMULA):
        return "'" + value
    return value
