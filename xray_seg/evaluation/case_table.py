"""``cases.csv``: the scores of each case."""

from __future__ import annotations

import csv
from collections.abc import Collection, Sequence
from pathlib import Path

from .._util.csv_cells import csv_cell
from .._util.files import atomic_path
from ..data.cases import Case
from ..labels import ORGANS
from .scoring import SCORES, CaseScores

#: Columns of cases.csv.
COLUMNS = (
    "dataset",
    "name",
    "trained_on",
    *(f"{organ.name}_{score}" for organ in ORGANS for score in SCORES),
    "accuracy",
    "loss",
)


def write_case_table(
    path: Path,
    scores: Sequence[CaseScores],
    *,
    missing: Sequence[Case] = (),
    trained_on: Collection[str] | None = None,
) -> None:
    """Write ``cases.csv``: a row per case; what is not known is empty.

    Args:
        path: file to write.
        scores: of the cases.
        missing: cases without a prediction; their rows have no scores.
        trained_on: names of the cases that the weights were trained on; None where it is not known.

    Raises:
        OSError: the file cannot be written.
    """
    rows = [
        {
            "dataset": case.dataset,
            "name": case.name,
            "trained_on": None if trained_on is None else case.name in trained_on,
            **{
                f"{organ}_{name}": case.organs[organ][name]
                for organ in case.organs
                for name in SCORES
            },
            "accuracy": case.accuracy,
            "loss": case.loss,
        }
        for case in scores
    ]
    rows += [{"dataset": case.dataset, "name": case.name} for case in missing]
    with (
        atomic_path(path) as temporary,
        temporary.open("w", newline="", encoding="utf-8", errors="surrogateescape") as file,
    ):
        writer = csv.DictWriter(file, COLUMNS)
        writer.writeheader()
        for row in rows:
            writer.writerow({key: csv_cell(value) for key, value in row.items()})
