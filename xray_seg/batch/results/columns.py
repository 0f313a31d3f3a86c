"""Columns of results.csv, and rows of single inputs."""

from __future__ import annotations

from typing import Any

from ..._util.remote import InputPath
from ...analysis.measurements import MEASURES, Measurements
from ...analysis.quality import Quality
from ...labels import ORGANS
from ...radiograph import Radiograph

#: Columns of the estimated quality.
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
#: Significant digits of measurements, enough for any image width in pixels.
_DIGITS = 6
#: Decimals of a predicted Dice, beyond its accuracy.
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
    """Make the row of an input that was segmented.

    Args:
        path: path of the input.
        labels: name of its label map in the output folder, or empty.
        radiograph: the radiograph, with its polarity decided.
        measures: measurements of its label map.
        quality: its estimated quality.
        output_notes: notes of the output formats, added to those of the radiograph and the
            measurements, and to the reason why there is no predicted Dice.
    """
    spacing = radiograph.spacing or (None, None)
    notes = (*radiograph.notes, *measures.notes, *output_notes, quality.reason)
    row: Row = {
        "input": str(path),
        "status": "ok",
        "notes": "; ".join(filter(None, notes)),
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
    """Make the row of an input without masks, with the reason on one line."""
    return {"input": str(path), "status": status, "error": " ".join(error.split())}


def quality_cells(quality: Quality) -> Row:
    """Make the cells of predicted Dice and warnings; without predicted Dice they are empty."""
    predicted = {
        f"{name}_predicted_dice": round(dice, _DICE_DIGITS)
        for name, dice in quality.predicted_dice.items()
    }
    score = None if quality.score is None else round(quality.score, _DICE_DIGITS)
    return {"quality": score, **predicted, "warnings": "; ".join(quality.warnings)}


def measured_cells(measures: Measurements) -> Row:
    """Make the cells of measurements; ``not_measured`` lists the empty ones by reason."""
    names_by_reason: dict[str, list[str]] = {}
    for name, reason in measures.reasons.items():
        names_by_reason.setdefault(reason, []).append(name)
    cells: Row = {
        name: float(f"{value:.{_DIGITS}g}") if isinstance(value, float) else value
        for name, value in measures.values.items()
    }
    cells["not_measured"] = "; ".join(
        f"{reason}: {', '.join(names)}" for reason, names in names_by_reason.items()
    )
    return cells
