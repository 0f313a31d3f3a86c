"""Measure a label map: areas, widths, heights, boxes, grey levels, cardiothoracic ratio.

Right and left are the patient's. Columns (x) and rows (y) are counted from 0 at the top left pixel
of the stored image. Lengths in mm and areas in cm2 are in the image plane: the projection enlarges
organs that are nearer to the X-ray tube.
"""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from ..labels import LUNGS, ORGANS, RIGHT_LEFT_LABELS
from ..postprocessing.laterality import Sides, find_midline, find_sides
from ..radiograph import Orientation
from .cardiothoracic import Line, cardiothoracic_lines

if TYPE_CHECKING:
    from ..kernels import Runs

Value = int | float | None

_MM2_PER_CM2 = 100
_SPACING_UNKNOWN = "the spacing is not known"
_NO_IMAGE = "no image is given"
_ONE_LUNG = "a lung on one side only"
_STRUCTURES = RIGHT_LEFT_LABELS.structures
_LUNGS = tuple(structure for structure in _STRUCTURES if structure.organ is LUNGS)
_SIDED = tuple(structure for structure in _STRUCTURES if structure.side)
_ENDS = ("right_x_px", "right_y_px", "left_x_px", "left_y_px")
_BOX = ("x0_px", "y0_px", "x1_px", "y1_px")


def column_name(name: str, quantity: str) -> str:
    """The name of a measurement, for instance ``right_lung_area_px``."""
    return f"{name.replace(' ', '_')}_{quantity}"


#: Names of all measurements, in the order of the columns of results.csv.
MEASURES: tuple[str, ...] = (
    *(column_name(organ.name, "area_px") for organ in ORGANS),
    *(column_name(organ.name, "area_cm2") for organ in ORGANS),
    "heart_width_px",
    "thorax_width_px",
    "cardiothoracic_ratio",
    "heart_width_mm",
    "thorax_width_mm",
    *(column_name(name, end) for name in ("heart", "thorax") for end in _ENDS),
    *(column_name(each.name, unit) for each in _SIDED for unit in ("area_px", "area_cm2")),
    *(column_name(each.name, unit) for each in _LUNGS for unit in ("height_px", "height_mm")),
    *(column_name(each.name, corner) for each in _STRUCTURES for corner in _BOX),
    *(column_name(organ.name, "mean_grey") for organ in ORGANS),
    *(
        column_name(name, f"whole_area_{unit}")
        for name in (LUNGS.name, *(each.name for each in _LUNGS))
        for unit in ("px", "cm2")
    ),
)


@dataclass(frozen=True)
class Measurements:
    """Measurements of a label map by name; each name ends in its unit.

    Areas are pixel counts. A ``..._whole_area`` of lungs includes what clavicles cover of them; all
    other measurements take each pixel for one organ, as the label map does. Of a box, x0 and y0 are
    the first column and row, x1 and y1 the ones after the last. A height is that of the box.
    ``..._mean_grey`` is the mean of the stored values: bright is high, unless the radiograph is
    ``inverted``. The cardiothoracic ratio and its lines are defined in ``cardiothoracic``.

    Attributes:
        values: each of MEASURES; None, never 0 or -1, where it cannot be measured.
        reasons: for each name whose value is None, why.
        notes: missing anatomy, in words.
    """

    values: dict[str, Value] = field(default_factory=dict)
    reasons: dict[str, str] = field(default_factory=dict)
    notes: tuple[str, ...] = ()

    def __getitem__(self, name: str) -> Value:
        return self.values[name]

    @property
    def area_px(self) -> dict[str, Value]:
        """Area of each organ in pixels, by name."""
        return {organ.name: self[column_name(organ.name, "area_px")] for organ in ORGANS}

    @property
    def area_cm2(self) -> dict[str, Value] | None:
        """Area of each organ in cm2, by name; None where all are unknown."""
        found = {organ.name: self[column_name(organ.name, "area_cm2")] for organ in ORGANS}
        return None if all(area is None for area in found.values()) else found

    @property
    def heart_width_px(self) -> Value:
        """Columns from the heart's first to its last, both included."""
        return self["heart_width_px"]

    @property
    def thorax_width_px(self) -> Value:
        """Columns from the lungs' first to their last, both included."""
        return self["thorax_width_px"]

    @property
    def cardiothoracic_ratio(self) -> Value:
        """Heart width divided by thorax width."""
        return self["cardiothoracic_ratio"]

    @property
    def heart_line(self) -> Line | None:
        """The line of the heart's width; its ends may lie in different rows."""
        return self._line("heart")

    @property
    def thorax_line(self) -> Line | None:
        """The line of the thorax's width; its ends may lie in different rows."""
        return self._line("thorax")

    def stored(self, orientation: Orientation, shape: tuple[int, ...]) -> Measurements:
        """The same measurements of an upright image with the positions of the stored image.

        Args:
            orientation: how the stored image was turned upright.
            shape: (H, W) of the stored image.
        """
        if orientation.is_upright:
            return self
        values = dict(self.values)
        for line in ("heart", "thorax"):
            for end in ("right", "left"):
                x, y = (column_name(line, f"{end}_{axis}_px") for axis in "xy")
                if values[x] is not None:
                    point = int(values[x] or 0), int(values[y] or 0)
                    values[x], values[y] = orientation.stored_point(point, shape)
        for structure in _STRUCTURES:
            names = [column_name(structure.name, corner) for corner in _BOX]
            if values[names[0]] is not None:
                x0, y0, x1, y1 = (int(values[name] or 0) for name in names)
                corners = (x0, y0), (x1 - 1, y1 - 1)
                columns, rows = zip(
                    *(orientation.stored_point(each, shape) for each in corners), strict=True
                )
                box = min(columns), min(rows), max(columns) + 1, max(rows) + 1
                values.update(zip(names, box, strict=True))
        return replace(self, values=values)

    def _line(self, name: str) -> Line | None:
        ends: list[Any] = [self[column_name(name, end)] for end in _ENDS]
        return None if ends[0] is None else Line((ends[0], ends[1]), (ends[2], ends[3]))


def measure(
    labels: npt.NDArray[np.uint8],
    *,
    spacing: tuple[float, float] | None = None,
    pixels: npt.NDArray[Any] | None = None,
    sided: bool = False,
) -> Measurements:
    """Measure a label map.

    Args:
        labels: (H, W) uint8: 0 background, 1 clavicles, 2 heart, 3 lungs.
        spacing: (row, column) distance of pixel centres in mm, or None where it is unknown.
        pixels: (H, W) the radiograph's values as stored, for mean grey levels.
        sided: whether ``labels`` follows RIGHT_LEFT_LABELS instead of ORGAN_LABELS.

    Raises:
        ValueError: an array has another shape or dtype.
    """
    sides = _stored_sides(labels) if sided else find_sides(labels)
    return measure_sides(sides, spacing=spacing, pixels=pixels)


def measure_sides(
    sides: Sides,
    *,
    spacing: tuple[float, float] | None = None,
    pixels: npt.NDArray[Any] | None = None,
) -> Measurements:
    """Measure a label map whose laterality is known already; arguments as of ``measure``."""
    found = _Collector(spacing)
    _measure_areas(sides, found)
    _measure_whole_lungs(sides, found)
    one_lung = _measure_widths(sides, found)
    _measure_boxes(sides, found)
    _measure_greys(sides.runs, pixels, found)
    missing = [f"no {organ.name} found" for organ in ORGANS if not found.has(organ.name)]
    if one_lung:
        missing.append(_ONE_LUNG)
    values = {name: found.values[name] for name in MEASURES}
    return Measurements(values, found.reasons, tuple(missing))


class _Collector:
    """Collects measurements, converts their units, and notes why values are missing."""

    def __init__(self, spacing: tuple[float, float] | None) -> None:
        self.spacing = spacing
        self.values: dict[str, Value] = {}
        self.reasons: dict[str, str] = {}

    def put(self, name: str, value: Value, reason: str) -> None:
        """Add a measurement, or None with its reason."""
        self.values[name] = value
        if value is None:
            self.reasons[name] = reason

    def put_width(self, name: str, value: int | None, reason: str) -> None:
        """Add a distance of columns, in pixels and mm."""
        self.put(f"{name}_px", value, reason)
        self._put_scaled(f"{name}_mm", value, self.spacing and self.spacing[1], reason)

    def put_height(self, name: str, value: int | None, reason: str) -> None:
        """Add a distance of rows, in pixels and mm."""
        self.put(f"{name}_px", value, reason)
        self._put_scaled(f"{name}_mm", value, self.spacing and self.spacing[0], reason)

    def put_area(self, name: str, value: int | None, reason: str) -> None:
        """Add an area, in pixels and cm2."""
        pixel = self.spacing and self.spacing[0] * self.spacing[1] / _MM2_PER_CM2
        self.put(f"{name}_px", value, reason)
        self._put_scaled(f"{name}_cm2", value, pixel, reason)

    def _put_scaled(self, name: str, value: int | None, scale: float | None, reason: str) -> None:
        scaled = None if value is None or scale is None else value * scale
        self.put(name, scaled, reason if value is None else _SPACING_UNKNOWN)

    def has(self, organ: str) -> bool:
        """Whether any pixel of an organ was found."""
        return self.values[column_name(organ, "area_px")] is not None


def _stored_sides(labels: npt.NDArray[np.uint8]) -> Sides:
    """Sides of an (H, W) uint8 label map with RIGHT_LEFT_LABELS, which states them itself."""
    from ..kernels import find_runs

    runs = find_runs(labels)
    organ_labels = np.zeros(256, np.uint8)
    for structure in _STRUCTURES:
        organ_labels[structure.label] = structure.organ.label
    organs = replace(runs, labels=organ_labels[runs.labels])
    return Sides(organs, runs.labels, find_midline(organs))


def _measure_areas(sides: Sides, found: _Collector) -> None:
    counts = sides.moments.area
    for organ in ORGANS:
        count = sum(int(counts[each.label]) for each in _STRUCTURES if each.organ is organ)
        found.put_area(column_name(organ.name, "area"), count or None, f"no {organ.name} found")
    for structure in _SIDED:
        count = int(counts[structure.label])
        name = column_name(structure.name, "area")
        found.put_area(name, count or None, f"no {structure.name} found")


def _measure_whole_lungs(sides: Sides, found: _Collector) -> None:
    """Measure areas of lungs with what clavicles cover of them."""
    areas = {
        each.name: int(sides.moments.area[each.label] + sides.covered[each.side].lengths.sum())
        for each in _LUNGS
    }
    for name, count in {LUNGS.name: sum(areas.values()), **areas}.items():
        found.put_area(column_name(name, "whole_area"), count or None, f"no {name} found")


def _measure_widths(sides: Sides, found: _Collector) -> bool:
    """Measure widths and their ratio; True where only one lung is seen."""
    lines = cardiothoracic_lines(sides)
    no_heart, no_thorax = "no heart found", _ONE_LUNG if lines.one_lung else "no lungs found"
    for name, line, reason in (
        ("heart", lines.heart, no_heart),
        ("thorax", lines.thorax, no_thorax),
    ):
        found.put_width(f"{name}_width", line.width if line else None, reason)
        ends = (*line.right, *line.left) if line else (None,) * 4
        for end, value in zip(_ENDS, ends, strict=True):
            found.put(column_name(name, end), value, reason)
    found.put("cardiothoracic_ratio", lines.ratio, no_thorax if lines.heart else no_heart)
    return lines.one_lung


def _measure_boxes(sides: Sides, found: _Collector) -> None:
    moments = sides.moments
    corners = moments.x0, moments.y0, moments.x1, moments.y1
    for structure in _STRUCTURES:
        label, reason = structure.label, f"no {structure.name} found"
        is_found = bool(moments.area[label])
        for name, corner in zip(_BOX, corners, strict=True):
            value = int(corner[label]) if is_found else None
            found.put(column_name(structure.name, name), value, reason)
        if structure in _LUNGS:
            height = int(moments.y1[label] - moments.y0[label]) if is_found else None
            found.put_height(column_name(structure.name, "height"), height, reason)


def _measure_greys(runs: Runs, pixels: npt.NDArray[Any] | None, found: _Collector) -> None:
    from ..kernels import sum_runs

    sums = None if pixels is None else sum_runs(pixels, runs, runs.labels)
    for organ in ORGANS:
        area = found.values[column_name(organ.name, "area_px")]
        mean = None if sums is None or not area else float(sums[organ.label] / area)
        reason = _NO_IMAGE if area else f"no {organ.name} found"
        found.put(column_name(organ.name, "mean_grey"), mean, reason)
