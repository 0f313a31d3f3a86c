"""What is left of a run as a whole, made of its films' records: tables, review page, COCO JSON."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ..._util.folder_lock import HIDDEN
from ...outputs import gather
from ...readers import ID_COLUMNS
from ..journal import Journal, Record, write_results
from ..report import write_report
from .parquet import write_parquet


@dataclass(frozen=True)
class Tables:
    """Which of them are asked for, beside results.csv.

    Attributes:
        parquet: ``results.parquet``.
        min_quality: ``distrusted.csv``, the rows of what is below it, worst first; None for none.
        report: ``report.html``.
        ids: whether DICOM's identifiers are among the columns.
        kinds: of output; some of them are gathered in one file, ``coco.json`` for instance.
        sides: whether outputs tell right and left apart.
    """

    parquet: bool = False
    min_quality: float | None = None
    report: bool = True
    ids: bool = False
    kinds: Sequence[str] = ()
    sides: bool = False


@dataclass(frozen=True)
class Entry:
    """One input of a run.

    Attributes:
        key: its name in the output folder.
        row: its row of results.csv.
        record: of what became of it; None where it was not reached.
    """

    key: str
    row: dict[str, Any]
    record: Record | None


Entries = Callable[[], Iterable[Entry]]


def write_tables(
    out: Path, mark: str, entries: Entries, journal: Journal, tables: Tables
) -> tuple[list[Path], int | None]:
    """Make all files that are about more than one film, each whole or not at all.

    Args:
        out: the output folder.
        mark: of a part of the inputs, put after each name.
        entries: called for each file; gives the inputs in their order.
        journal: which holds their records.
        tables: what is asked for.

    Returns:
        What was made, and how many films are distrusted (None where that was not asked for).

    Raises:
        OSError: a file cannot be written.
        OutputError: pyarrow is not installed.
    """
    ids = ID_COLUMNS if tables.ids else ()
    results = out / f"results{mark}.csv"
    write_results(results, (entry.row for entry in entries()), ids)
    made, below = [results], None
    if tables.parquet:
        made.append(results.with_suffix(".parquet"))
        write_parquet(made[-1], (entry.row for entry in entries()), ids)
    if tables.min_quality is not None:
        made.append(out / f"distrusted{mark}.csv")
        keys = _distrusted(entries(), tables.min_quality)
        below = len(keys)
        write_results(made[-1], _rows(keys, journal), ids)
    if tables.report:
        made.append(out / f"report{mark}.html")
        write_report(
            made[-1], lambda: ((entry.key, entry.row) for entry in entries()), out / HIDDEN
        )
    made += gather(out, mark, tables.kinds, tables.sides, lambda: _outputs(entries()))
    return made, below


def _distrusted(entries: Iterable[Entry], least: float) -> list[str]:
    """Keys of the films whose masks are expected to be worse than ``least``, worst first."""
    below = []
    for entry in entries:
        score = entry.row.get("quality") if entry.record and entry.record.done else None
        if score is not None and score < least:
            below.append((score, entry.key))
    return [key for _, key in sorted(below)]


def _rows(keys: Iterable[str], journal: Journal) -> Iterator[dict[str, Any]]:
    records = (journal.get(key) for key in keys)
    return (record.row for record in records if record)


def _outputs(entries: Iterable[Entry]) -> Iterator[list[str]]:
    """The files of each film that has masks."""
    return (entry.record.outputs for entry in entries if entry.record and entry.record.done)
