"""Columns of results.csv, and rows of single inputs."""

from __future__ import annotations

from typing import Any

from ..._util.remote import InputPath
from ...analysis.measurements import MEASURES, Measurements
from ...analysis.quality import Quality
from ...labels import ORGANS
from ...preprocessing.corrections import SECOND_LOOK, Presentation
from ...radiograph import Radiograph
from ...segmentation import Segmentation

#: Columns of the estimated quality.
QUALITY_COLUMNS = ("quality", *(f"{organ.name}_predicted_dice" for organ in ORGANS), "warnings")
#: Columns of how the stored image is shown. ``polarity`` and ``orientation`` say why ``inverted``,
#: ``rotation_deg`` and ``mirrored`` are what they are; ``field_of_view`` is x0, y0, x1, y1 of the
#: part that was segmented, with x1 and y1 behind the last, or empty for all of the image.
PRESENTATION_COLUMNS = (
    "polarity",
    "rotation_deg",
    "mirrored",
    "orientation",
    "field_of_view",
    "field_of_view_reason",
)
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
    *PRESENTATION_COLUMNS,
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
    result: Segmentation,
    output_notes: tuple[str, ...] = (),
) -> Row:
    """Make the row of an input that was segmented.

    Args:
        path: path of the input.
        labels: name of its label map in the output folder, or empty.
        result: its segmentation.
        output_notes: notes of the output formats, added to those of the radiograph, of how it is
            shown, of the measurements, and to the reason why there is no predicted Dice.
    """
    radiograph, measures, shown = result.radiograph, result.measurements, result.presentation
    spacing = radiograph.spacing or (None, None)
    notes = (*radiograph.notes, *shown.notes, *measures.notes, *output_notes, result.quality.reason)
    row: Row = {
        "input": str(path),
        "status": "doubtful" if result.is_doubtful else "ok",
        "notes": "; ".join(filter(None, notes)),
        "labels": labels,
        "format": radiograph.format,
        "height_px": radiograph.shape[0],
        "width_px": radiograph.shape[1],
        "row_spacing_mm": spacing[0],
        "column_spacing_mm": spacing[1],
        "inverted": bool(radiograph.inverted),
    }
    row |= presentation_cells(radiograph, shown)
    return row | quality_cells(result.quality) | measured_cells(measures)


def presentation_cells(radiograph: Radiograph, shown: Presentation) -> Row:
    """Make the cells of how the stored image is shown."""
    orientation, field = radiograph.turn, radiograph.field_of_view
    corners = (
        (field.left, field.top, field.left + field.width, field.top + field.height) if field else ()
    )
    return {
        "polarity": shown.polarity,
        "rotation_deg": orientation.rotation_deg,
        "mirrored": orientation.mirrored,
        "orientation": shown.orientation,
        "field_of_view": " ".join(map(str, corners)),
        "field_of_view_reason": shown.field_of_view,
    }


def corrections_in(row: Row) -> dict[str, int]:
    """How the image of a row was shown otherwise than it is stored: 1 or 0 by name."""
    reasons = [row.get(name) for name in ("polarity", "orientation", "field_of_view_reason")]
    facts = {
        "inverted": row.get("inverted") is True,
        "turned": bool(row.get("rotation_deg")),
        "mirrored": row.get("mirrored") is True,
        "borders_left_out": bool(row.get("field_of_view")),
        "second_look": SECOND_LOOK in reasons,
    }
    return {name: int(fact) for name, fact in facts.items()}


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
