"""Columns of results.csv, and the rows of single inputs."""

from __future__ import annotations

from typing import Any

from ..._util.remote import InputPath
from ...analysis.measurements import MEASURES, Measurements
from ...analysis.quality import Quality
from ...labels import ORGANS
from ...radiograph import Radiograph

#: Columns that say how far the masks can be trusted.
QUALITY_COLUMNS = ("quality", *(f"{organ.name}_predicted_dice" for organ in ORGANS), "warnings")
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
    *QUALITY_COLUMNS,
    *MEASURES,
    "not_measured",
)
#: Significant digits of a measurement: more than an image has pixels across.
_DIGITS = 6
#: Decimals of a predicted Dice: more than its accuracy.
_DICE_DIGITS = 4

Row = dict[str, Any]


def done_row(
    path: InputPath,
    labels: str,
    radiograph: Radiograph,
    measures: Measurements,
    quality: Quality,
    output_notes: tuple[str, ...] = (),
) -> Row:
    """The row of an input that was segmented.

    Args:
        path: of the input.
        labels: name of its label map in the output folder, or empty.
        radiograph, measures, quality: what is known of it.
        output_notes: notes besides the radiograph's and the measurements' own.
    """
    spacing = radiograph.spacing or (None, None)
    row: Row = {
        "input": str(path),
        "status": "ok",
        "notes": "; ".join((*radiograph.notes, *measures.notes, *output_notes)),
        "labels": labels,
        "format": radiograph.format,
        "height_px": radiograph.shape[0],
        "width_px": radiograph.shape[1],
        "row_spacing_mm": spacing[0],
        "column_spacing_mm": spacing[1],
        "inverted": bool(radiograph.inverted),
    }
    return row | quality_cells(quality) | measured_cells(measures)


def failed_row(path: InputPath, error: str, *, status: str = "failed") -> Row:
    """The row of an input without masks, with the reason on one line."""
    return {"input": str(path), "status": status, "error": " ".join(error.split())}


def quality_cells(quality: Quality) -> Row:
    """Predicted Dice and warnings as cells of a row."""
    predicted = {
        f"{name}_predicted_dice": round(dice, _DICE_DIGITS)
        for name, dice in quality.predicted_dice.items()
    }
    score = round(quality.score, _DICE_DIGITS)
    return {"quality": score, **predicted, "warnings": "; ".join(quality.warnings)}


def measured_cells(measures: Measurements) -> Row:
    """Measurements as cells of a row; ``not_measured`` says which are empty, and why."""
    names: dict[str, list[str]] = {}
    for name, reason in measures.reasons.items():
        names.setdefault(reason, []).append(name)
    cells: Row = {
        name: float(f"{value:.{_DIGITS}g}") if isinstance(value, float) else value
        for name, value in measures.values.items()
    }
    cells["not_measured"] = "; ".join(f"{why}: {', '.join(of)}" for why, of in names.items())
    return cells
