"""What a batch has done so far: a line per image, appended once its files are in place.

A process that is killed leaves at worst one torn line at the end, which the next run drops; the
image it was about is done again. ``results.csv`` is made from the journal, never appended to.
"""

from __future__ import annotations

import csv
import json
import os
from collections.abc import Iterable, Iterator, Sequence
from contextlib import suppress
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import IO, Any, BinaryIO

from .._util.files import atomic_path
from .._util.remote import Remote
from ..analysis.measurements import MEASURES, Measurements
from ..analysis.quality import Quality
from ..labels import ORGANS
from ..radiograph import Radiograph

#: Those of them that say how far the masks are to be trusted.
QUALITIES = ("quality", *(f"{organ.name}_predicted_dice" for organ in ORGANS), "flags")
#: Columns of results.csv.
COLUMNS = (
    "input",
    "status",
    "error",
    "notes",
    "labels",
    "format",
    "height_px",
    "width_px",
    "row_spacing_mm",
    "column_spacing_mm",
    "inverted",
    *QUALITIES,
    *MEASURES,
    "not_measured",
)
#: Significant digits of a measurement: more than any film has pixels across.
_DIGITS = 6
#: Decimals of a predicted Dice: more than it is good for.
_DICE_DIGITS = 4
#: A spreadsheet would take a cell that begins so for a formula.
_FORMULA = ("=", "+", "-", "@", "\t", "\r")


@dataclass(frozen=True)
class Record:
    """What became of one input.

    Attributes:
        key: the input's name in the output folder.
        fingerprint: of the input file, the model and the settings that it was made with.
        row: its cells in results.csv by column; absent ones are empty.
        outputs: files made of it, relative to the output folder.
        hashes: SHA-256 of each of them, when it was written.
        earlier: the same of files that earlier runs made of it with other settings and this run
            did not replace.
    """

    key: str
    fingerprint: str
    row: dict[str, Any]
    outputs: list[str] = field(default_factory=list)
    hashes: dict[str, str] = field(default_factory=dict)
    earlier: dict[str, str] = field(default_factory=dict)

    @property
    def done(self) -> bool:
        """Whether its outputs are in place."""
        return self.row["status"] == "ok"

    @property
    def files(self) -> list[str]:
        """All that lies in the output folder because of it."""
        return [*self.outputs, *self.earlier]

    def after(self, before: Record | None) -> Record:
        """This record, knowing of the files of the one that it takes the place of."""
        if before is None:
            return self
        known = {**dict.fromkeys(before.outputs, ""), **before.earlier, **before.hashes}
        return replace(
            self, earlier={name: of for name, of in known.items() if name not in self.outputs}
        )


def done_row(
    path: Path | Remote,
    labels: str,
    radiograph: Radiograph,
    measures: Measurements,
    quality: Quality,
    more: tuple[str, ...] = (),
) -> dict[str, Any]:
    """The row of an input that was segmented; ``more`` are notes besides the film's own."""
    spacing = radiograph.spacing or (None, None)
    row: dict[str, Any] = {
        "input": str(path),
        "status": "ok",
        "notes": "; ".join((*radiograph.notes, *measures.notes, *more)),
        "labels": labels,
        "format": radiograph.format,
        "height_px": radiograph.shape[0],
        "width_px": radiograph.shape[1],
        "row_spacing_mm": spacing[0],
        "column_spacing_mm": spacing[1],
        "inverted": bool(radiograph.inverted),
    }
    return row | quality_cells(quality) | measured_cells(measures)


def quality_cells(quality: Quality) -> dict[str, Any]:
    """Predicted Dice and flags as cells of a row."""
    predicted = {
        f"{name}_predicted_dice": round(dice, _DICE_DIGITS)
        for name, dice in quality.predicted_dice.items()
    }
    score = round(quality.score, _DICE_DIGITS)
    return {"quality": score, **predicted, "flags": "; ".join(quality.warnings)}


def measured_cells(measures: Measurements) -> dict[str, Any]:
    """Measurements as cells of a row; ``not_measured`` says which of them are empty, and why."""
    names: dict[str, list[str]] = {}
    for name, reason in measures.reasons.items():
        names.setdefault(reason, []).append(name)
    cells: dict[str, Any] = {
        name: float(f"{value:.{_DIGITS}g}") if isinstance(value, float) else value
        for name, value in measures.values.items()
    }
    cells["not_measured"] = "; ".join(f"{why}: {', '.join(of)}" for why, of in names.items())
    return cells


def failed_row(path: Path | Remote, error: str, status: str = "failed") -> dict[str, Any]:
    """The row of an input that has no masks, and why."""
    return {"input": str(path), "status": status, "error": " ".join(error.split())}


class Journal:
    """The records of an output folder, newest last; memory holds only where each begins."""

    def __init__(self, path: Path, read_only: bool = False) -> None:
        self.path = path
        if read_only:
            self._file: BinaryIO = path.open("rb")
        else:
            path.parent.mkdir(parents=True, exist_ok=True)
            self._file = path.open("a+b")
        self._places: dict[str, int] = {}
        self._file.seek(0)
        place = 0
        for line in self._file:
            if not line.endswith(b"\n"):
                if not read_only:
                    self._file.truncate(place)
                break
            with suppress(ValueError, KeyError, TypeError):  # damaged: its image is done again
                self._places[Record(**json.loads(line)).key] = place
            place += len(line)

    def __enter__(self) -> Journal:
        return self

    def __exit__(self, *error: object) -> None:
        self._file.close()

    def get(self, key: str) -> Record | None:
        """The newest record of a key."""
        return self._read(self._places[key]) if key in self._places else None

    def _read(self, place: int) -> Record:
        self._file.seek(place)
        return Record(**json.loads(self._file.readline()))

    def __iter__(self) -> Iterator[Record]:
        """The newest record of each key, in the order of the keys' first records."""
        for key in list(self._places):
            record = self.get(key)
            if record is not None:
                yield record

    def append(self, record: Record) -> None:
        """Add a record; once this returns, a killed process does not lose it."""
        self._file.seek(0, os.SEEK_END)
        self._places[record.key] = self._file.tell()
        self._file.write(json.dumps(asdict(record)).encode() + b"\n")
        self._file.flush()


def write_results(
    path: Path, rows: Iterable[dict[str, Any]], more_columns: Sequence[str] = ()
) -> None:
    """Write results.csv, whole or not at all; rows are taken one by one."""
    with (
        atomic_path(path) as temporary,
        temporary.open("w", newline="", encoding="utf-8", errors="surrogateescape") as file,
    ):
        write_rows(file, rows, more_columns)


def write_rows(
    file: IO[str], rows: Iterable[dict[str, Any]], more_columns: Sequence[str] = ()
) -> None:
    """Write rows of results.csv below their header, as they come."""
    # Records of other versions may have other columns.
    writer = csv.DictWriter(file, (*COLUMNS, *more_columns), extrasaction="ignore")
    writer.writeheader()
    for row in rows:
        writer.writerow({key: result_cell(value) for key, value in row.items()})


def result_cell(value: Any) -> Any:
    """A value as results.csv has it."""
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, str) and value.startswith(_FORMULA):
        return "'" + value
    return value
