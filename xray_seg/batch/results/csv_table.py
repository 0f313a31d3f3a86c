"""Write results.csv and other tables with its columns."""

from __future__ import annotations

import csv
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import IO

from ..._util.csv_cells import csv_cell
from ..._util.files import atomic_path
from .columns import COLUMNS, Row

#: Spreadsheets interpret a cell with one of these first characters as a formula.
_FORMULA_STARTS = ("=", "+", "-", "@", "\t", "\r")


def write_csv(path: Path, rows: Iterable[Row], more_columns: Sequence[str] = ()) -> None:
    """Write a CSV file, completely or not at all, in constant memory.

    Args:
        path: file to write.
        rows: cells by column.
        more_columns: columns after those of results.csv.

    Raises:
        OSError: the file cannot be written.
    """
    with (
        atomic_path(path) as temporary,
        temporary.open("w", newline="", encoding="utf-8", errors="surrogateescape") as file,
    ):
        write_rows(file, rows, more_columns)


def write_rows(file: IO[str], rows: Iterable[Row], more_columns: Sequence[str] = ()) -> None:
    """Write the header, and each row as it comes, to an open text file."""
    # Records of other versions may have unknown columns.
    writer = csv.DictWriter(file, (*COLUMNS, *more_columns), extrasaction="ignore")
    writer.writeheader()
    for row in rows:
        writer.writerow({key: csv_cell(value) for key, value in row.items()})
