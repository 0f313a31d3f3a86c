"""Orientation, side and exposed part of a radiograph, as its DICOM header states them."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING, Any

from ..radiograph import Orientation, Region

if TYPE_CHECKING:
    from pydicom import Dataset

#: Directions of the body: left, right, head, foot (PS3.3, C.7.6.1.1.1); the opposite of each.
_OPPOSITE = {"L": "R", "R": "L", "H": "F", "F": "H"}
#: Directions of rows and columns of an upright frontal radiograph: rows run to the patient's left,
#: columns to the feet.
_UPRIGHT = ("L", "F")
#: Attributes of the edges of a rectangular shutter and of a rectangular collimator, both in
#: columns and rows counted from 1 (PS3.3, C.7.6.11 and C.8.7.3): left, right, upper, lower.
_EDGES = tuple(
    tuple(
        f"{device}{edge}Edge"
        for edge in ("LeftVertical", "RightVertical", "UpperHorizontal", "LowerHorizontal")
    )
    for device in ("Shutter", "Collimator")
)
#: A stated part smaller than this share of the image's sides is taken for a mistake.
_SMALLEST = 0.2


def stated_orientation(dataset: Dataset) -> Orientation | None:
    """The orientation that PatientOrientation states; None where it states no frontal one."""
    directions = dataset.get("PatientOrientation") or ()
    if isinstance(directions, str) or len(directions) != 2:
        return None
    row, column = (str(each).strip().upper()[:1] for each in directions)
    if {row, column} not in ({"L", "F"}, {"L", "H"}, {"R", "F"}, {"R", "H"}):
        return None
    for mirrored in (False, True):
        for angle in (0, 90, 180, 270):
            if _directions_after(row, column, angle, mirrored) == _UPRIGHT:
                return Orientation(angle, mirrored)
    return None


def _directions_after(row: str, column: str, angle: int, mirrored: bool) -> tuple[str, str]:
    """Directions of rows and columns of an image that is turned clockwise, then mirrored."""
    for _ in range(angle // 90):  # what pointed up points right, and what pointed right, down
        row, column = _OPPOSITE[column], row
    return (_OPPOSITE[row] if mirrored else row), column


def stated_side(dataset: Dataset) -> str:
    """``R`` or ``L`` where the header says that one side alone is shown, else empty."""
    for name in ("ImageLaterality", "Laterality"):
        word = str(dataset.get(name) or "").strip().upper()
        if word in ("R", "L"):
            return word
    return ""


def exposed_region(dataset: Dataset, shape: Sequence[int]) -> Region | None:
    """The part of an (H, W) image inside its shutter and collimator, by their bounding boxes.

    None where the header states none, or none that is plausible.
    """
    left, right, top, bottom = 0, shape[1], 0, shape[0]
    for box in _boxes(dataset):
        left, right = max(left, box[0]), min(right, box[1])
        top, bottom = max(top, box[2]), min(bottom, box[3])
    region = Region(top, left, bottom - top, right - left)
    is_part = region.height < shape[0] or region.width < shape[1]
    is_sound = region.height >= _SMALLEST * shape[0] and region.width >= _SMALLEST * shape[1]
    return region if is_part and is_sound else None


def _boxes(dataset: Dataset) -> Iterator[tuple[int, int, int, int]]:
    """Columns (first, after the last) and rows (first, after the last) of each stated shape."""
    for names in _EDGES:
        edges = [_numbers(dataset, name, 1) for name in names]
        if all(edges):
            left, right, upper, lower = (each[0] for each in edges)
            yield left, right - 1, upper, lower - 1  # the edges themselves are covered
    for device in ("Shutter", "Collimator"):
        centre = _numbers(dataset, f"CenterOfCircular{device}", 2)
        radius = _numbers(dataset, f"RadiusOfCircular{device}", 1)
        if centre and radius:
            row, column = centre
            reach = radius[0]
            yield column - 1 - reach, column + reach, row - 1 - reach, row + reach
        corners = _numbers(dataset, f"VerticesOfThePolygonal{device}", 0)
        if len(corners) >= 6:
            rows, columns = corners[::2], corners[1::2]
            yield min(columns) - 1, max(columns), min(rows) - 1, max(rows)


def _numbers(dataset: Dataset, name: str, count: int) -> list[int]:
    """The integers of an attribute; empty if there are not so many (0 for any number)."""
    value: Any = dataset.get(name)
    try:
        values = [value] if isinstance(value, int | float | str) else list(value or ())
        numbers = [int(each) for each in values]
    except (TypeError, ValueError, OverflowError):
        return []
    return numbers if not count or len(numbers) == count else []
