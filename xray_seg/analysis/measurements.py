"""What a label map measures: widths, areas, heights, boxes, grey levels, cardiothoracic ratio.

Right and left are the patient's; columns (x) and rows (y) are counted from 0 at the top left pixel
of the image. Lengths in mm and areas in cm2 are in the plane of the film: organs nearer to the tube
are enlarged on it.
"""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np
import numpy.typing as npt

from ..labels import HEART, LUNGS, ORGANS, RIGHT_LEFT_LABELS, Organ
from ..postprocessing.laterality import Sides, find_sides, has_both_sides, midline

if TYPE_CHECKING:
    from ..kernels import Runs

Value = int | float | None

_MM2_PER_CM2 = 100
_SPACING_UNKNOWN = "the spacing is not known"
_NO_IMAGE = "no image is given"
_ONE_SIDE = "a lung on one side only"
_STRUCTURES = RIGHT_LEFT_LABELS.structures
_LUNGS = tuple(part for part in _STRUCTURES if part.organ is LUNGS)
_SIDED = tuple(part for part in _STRUCTURES if part.side)
_ENDS = ("right_x_px", "right_y_px", "left_x_px", "left_y_px")
_BOX = ("x0_px", "y0_px", "x1_px", "y1_px")


def column_name(name: str, what: str) -> str:
    """The name of a measurement, for instance ``right_lung_area_px``."""
    return f"{name.replace(' ', '_')}_{what}"


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
    *(column_name(part.name, what) for part in _SIDED for what in ("area_px", "area_cm2")),
    *(column_name(part.name, what) for part in _LUNGS for what in ("height_px", "height_mm")),
    *(column_name(part.name, corner) for part in _STRUCTURES for corner in _BOX),
    *(column_name(organ.name, "mean_grey") for organ in ORGANS),
)


class Line(NamedTuple):
    """A width as drawn: (x, y) of its end pixels, which it includes."""

    right: tuple[int, int]
    left: tuple[int, int]

    @property
    def width(self) -> int:
        """Columns from end to end."""
        return self.left[0] - self.right[0] + 1


@dataclass(frozen=True)
class Measurements:
    """Measurements of a label map by name, units in the names.

    Areas are counts of pixels. Of a part's box, x0 and y0 are its first column and row, x1 and y1
    the ones after its last. A height is that of the box. ``..._mean_grey`` is the mean of the
    values as stored: bright is high where the film is not ``inverted``, and low where it is.

    The cardiothoracic ratio is the heart's width by the thorax's (Danzer, American Journal of the
    Medical Sciences 157:513-521, 1919). The heart's is the sum of its greatest distances from the
    midline to the right and to the left, which need not lie in one row: the extent of its columns.
    The thorax's is the extent of the lungs' columns. By hand it is the internal diameter at one
    level, the widest; in the 222 SCR cases that is smaller by 0.1 % in the median and by 2.4 % at
    most, which makes the ratio larger by 0.0006 and by 0.013, and as near to the true masks' one.

    Attributes:
        values: each of MEASURES; None where something cannot be measured, never 0 or -1.
        reasons: why, by the names of those.
        notes: what is missing of the anatomy, in words.
    """

    values: dict[str, Value] = field(default_factory=dict)
    reasons: dict[str, str] = field(default_factory=dict)
    notes: tuple[str, ...] = ()

    def __getitem__(self, name: str) -> Value:
        return self.values[name]

    @property
    def area_px(self) -> dict[str, Value]:
        """Pixels of each organ by name."""
        return {organ.name: self[column_name(organ.name, "area_px")] for organ in ORGANS}

    @property
    def area_cm2(self) -> dict[str, Value] | None:
        """The same in cm2; None where there is none of them, as where the spacing is not known."""
        found = {organ.name: self[column_name(organ.name, "area_cm2")] for organ in ORGANS}
        return None if all(area is None for area in found.values()) else found

    @property
    def heart_width_px(self) -> Value:
        """Columns from the heart's rightmost to its leftmost pixel, both included."""
        return self["heart_width_px"]

    @property
    def thorax_width_px(self) -> Value:
        """Columns of the thorax's line."""
        return self["thorax_width_px"]

    @property
    def cardiothoracic_ratio(self) -> Value:
        """Heart width by thorax width."""
        return self["cardiothoracic_ratio"]

    @property
    def heart_line(self) -> Line | None:
        """Where the heart's width lies; its ends may differ in row."""
        return self._line("heart")

    @property
    def thorax_line(self) -> Line | None:
        """Where the thorax's width lies."""
        return self._line("thorax")

    def _line(self, name: str) -> Line | None:
        ends: list[Any] = [self[column_name(name, end)] for end in _ENDS]
        return None if ends[0] is None else Line((ends[0], ends[1]), (ends[2], ends[3]))


def measure(
    labels: npt.NDArray[np.uint8],
    spacing: tuple[float, float] | None = None,
    pixels: npt.NDArray[Any] | None = None,
    sided: bool = False,
) -> Measurements:
    """Measure a label map.

    Args:
        labels: (H, W) uint8: 0 background, 1 clavicles, 2 heart, 3 lungs.
        spacing: (row, column) distance of pixel centres in mm, or None where it is not known.
        pixels: (H, W) the radiograph's values as stored, for mean grey levels.
        sided: whether ``labels`` follows RIGHT_LEFT_LABELS instead of ORGAN_LABELS.

    Raises:
        ValueError: arrays of other shapes or types.
    """
    return measure_sides(_as_stored(labels) if sided else find_sides(labels), spacing, pixels)


def measure_sides(
    sides: Sides,
    spacing: tuple[float, float] | None = None,
    pixels: npt.NDArray[Any] | None = None,
) -> Measurements:
    """Measure a label map whose sides are told apart already; otherwise as ``measure``."""
    found = _Found(spacing)
    _measure_areas(sides, found)
    _measure_widths(sides, found)
    _measure_boxes(sides, found)
    _measure_greys(sides.runs, pixels, found)
    values = {name: found.values[name] for name in MEASURES}
    missing = [f"no {organ.name} found" for organ in ORGANS if not found.has(organ.name)]
    if found.reasons.get("thorax_width_px") == _ONE_SIDE:
        missing.append(_ONE_SIDE)
    return Measurements(values, found.reasons, tuple(missing))


class _Found:
    """Measurements as they are gathered."""

    def __init__(self, spacing: tuple[float, float] | None) -> None:
        self.spacing = spacing
        self.values: dict[str, Value] = {}
        self.reasons: dict[str, str] = {}

    def put(self, name: str, value: Value, reason: str) -> None:
        """A measurement, or None and why."""
        self.values[name] = value
        if value is None:
            self.reasons[name] = reason

    def put_width(self, name: str, value: int | None, reason: str) -> None:
        """A distance between columns, in pixels and mm."""
        self.put(f"{name}_px", value, reason)
        self._put_scaled(f"{name}_mm", value, self.spacing and self.spacing[1], reason)

    def put_height(self, name: str, value: int | None, reason: str) -> None:
        """A distance between rows, in pixels and mm."""
        self.put(f"{name}_px", value, reason)
        self._put_scaled(f"{name}_mm", value, self.spacing and self.spacing[0], reason)

    def put_area(self, name: str, value: int | None, reason: str) -> None:
        """A count of pixels, also in cm2."""
        each = self.spacing and self.spacing[0] * self.spacing[1] / _MM2_PER_CM2
        self.put(f"{name}_px", value, reason)
        self._put_scaled(f"{name}_cm2", value, each, reason)

    def _put_scaled(self, name: str, value: int | None, scale: float | None, reason: str) -> None:
        known = None if value is None or scale is None else value * scale
        self.put(name, known, reason if value is None else _SPACING_UNKNOWN)

    def has(self, organ: str) -> bool:
        """Whether there is anything of an organ."""
        return self.values[column_name(organ, "area_px")] is not None


def _as_stored(parts: npt.NDArray[np.uint8]) -> Sides:
    from ..kernels import find_runs

    runs = find_runs(parts)
    organs = np.zeros(256, np.uint8)
    for part in _STRUCTURES:
        organs[part.label] = part.organ.label
    merged = replace(runs, labels=organs[runs.labels])
    return Sides(merged, runs.labels, midline(merged))


def _measure_areas(sides: Sides, found: _Found) -> None:
    counts = sides.moments.area
    for organ in ORGANS:
        count = sum(int(counts[part.label]) for part in _STRUCTURES if part.organ is organ)
        found.put_area(column_name(organ.name, "area"), count or None, f"no {organ.name} found")
    for part in _SIDED:
        count = int(counts[part.label])
        found.put_area(column_name(part.name, "area"), count or None, f"no {part.name} found")


def _measure_widths(sides: Sides, found: _Found) -> None:
    heart = _extent(sides, HEART)
    thorax, why = None, "no lungs found"
    if found.has(LUNGS.name):
        thorax = _extent(sides, LUNGS)
        if not has_both_sides(sides.runs, sides.middle):
            thorax, why = None, _ONE_SIDE  # one lung's width is not the thorax's
    for name, line, reason in (("heart", heart, "no heart found"), ("thorax", thorax, why)):
        width = line.width if line else None
        found.put_width(f"{name}_width", width, reason)
        ends = (*line.right, *line.left) if line else (None,) * 4
        for end, value in zip(_ENDS, ends, strict=True):
            found.put(column_name(name, end), value, reason)
    ratio = heart.width / thorax.width if heart and thorax else None
    found.put("cardiothoracic_ratio", ratio, why if heart else "no heart found")


def _extent(sides: Sides, organ: Organ) -> Line | None:
    """From the first to the last column; each end in the middle row of those that reach it."""
    parts = [part.label for part in _STRUCTURES if part.organ is organ]
    if not sides.moments.area[parts].any():
        return None
    runs, mine = sides.runs, sides.runs.labels == organ.label
    first, last = int(sides.moments.x0[parts].min()), int(sides.moments.x1[parts].max())
    right, left = (
        runs.rows[mine & reaches] for reaches in (runs.starts == first, runs.stops == last)
    )
    return Line((first, int(right[len(right) // 2])), (last - 1, int(left[len(left) // 2])))


def _measure_boxes(sides: Sides, found: _Found) -> None:
    there = sides.moments
    corners = there.x0, there.y0, there.x1, there.y1
    for part in _STRUCTURES:
        is_found = bool(there.area[part.label])
        box = [int(corner[part.label]) if is_found else None for corner in corners]
        reason = f"no {part.name} found"
        for corner, value in zip(_BOX, box, strict=True):
            found.put(column_name(part.name, corner), value, reason)
        if part in _LUNGS:
            height = int(there.y1[part.label] - there.y0[part.label]) if is_found else None
            found.put_height(column_name(part.name, "height"), height, reason)


def _measure_greys(runs: Runs, pixels: npt.NDArray[Any] | None, found: _Found) -> None:
    from ..kernels import sum_runs

    sums = None if pixels is None else sum_runs(pixels, runs, runs.labels)
    for organ in ORGANS:
        area = found.values[column_name(organ.name, "area_px")]
        mean = None if sums is None or not area else float(sums[organ.label] / area)
        reason = _NO_IMAGE if area else f"no {organ.name} found"
        found.put(column_name(organ.name, "mean_grey"), mean, reason)
