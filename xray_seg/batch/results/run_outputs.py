"""Run-level outputs: result tables, review page, and merged COCO and CheXmask files."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ..._util.folder_lock import HIDDEN
from ...outputs import merge_outputs
from ...readers import ID_COLUMNS
from ..journal import Journal, Record
from ..options import BatchOptions
from ..report import write_report
from .csv_table import write_csv
from .parquet import write_parquet


@dataclass(frozen=True)
class Entry:
    """One input of a run.

    Attributes:
        key: name of its outputs in the output folder.
        row: its row of results.csv.
        record: its record in the journal; None if it was not processed.
    """

    key: str
    row: dict[str, Any]
    record: Record | None


Entries = Callable[[], Iterable[Entry]]


def write_run_outputs(
    out: Path, run_suffix: str, entries: Entries, journal: Journal, options: BatchOptions
) -> tuple[list[Path], int | None]:
    """Write the files about all inputs of a run, each completely or not at all.

    Args:
        out: the output folder.
        run_suffix: put after the file names, ``-1-of-4`` for a shard; empty for a whole run.
        entries: called once for each file; returns the inputs in order.
        journal: the journal of the run.
        options: the options of the batch.

    Returns:
        The files written, and the number of radiographs below ``min_quality`` (None without it).

    Raises:
        OSError: a file cannot be written.
        OutputError: pyarrow is not installed.
    """
    ids = ID_COLUMNS if options.keep_ids else ()
    results = out / f"results{run_suffix}.csv"
    write_csv(results, (entry.row for entry in entries()), ids)
    written, distrusted = [results], None
    if options.parquet:
        written.append(results.with_suffix(".parquet"))
        write_parquet(written[-1], (entry.row for entry in entries()), ids)
    if options.min_quality is not None:
        written.append(out / f"distrusted{run_suffix}.csv")
        keys = _below(entries(), options.min_quality)
        distrusted = len(keys)
        write_csv(written[-1], _rows(keys, journal), ids)
    if options.report:
        written.append(out / f"report{run_suffix}.html")
        write_report(
            written[-1], lambda: ((entry.key, entry.row) for entry in entries()), out / HIDDEN
        )
    kinds = () if options.output_format == "parquet" else options.save
    written += merge_outputs(out, run_suffix, kinds, options.scheme, lambda: _outputs(entries()))
    return written, distrusted


def _below(entries: Iterable[Entry], limit: float) -> list[str]:
    """Keys of the radiographs with a predicted Dice below a limit, lowest first."""
    below = []
    for entry in entries:
        score = entry.row.get("quality") if entry.record and entry.record.done else None
        if score is not None and score < limit:
            below.append((score, entry.key))
    return [key for _, key in sorted(below)]


def _rows(keys: Iterable[str], journal: Journal) -> Iterator[dict[str, Any]]:
    records = (journal.get(key) for key in keys)
    return (record.row for record in records if record)


def _outputs(entries: Iterable[Entry]) -> Iterator[list[str]]:
    """Output files of each radiograph with masks."""
    return (entry.record.outputs for entry in entries if entry.record and entry.record.done)
