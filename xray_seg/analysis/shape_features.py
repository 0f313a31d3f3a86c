"""Features of the shape and arrangement of the organs in a label map."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from ..labels import CLAVICLES, HEART, LUNGS, ORGANS, RIGHT_LEFT_LABELS
from ..postprocessing.laterality import Sides

Vector = npt.NDArray[np.float64]

#: Names of the shape features. Positions and lengths are relative to the box around both lungs and
#: areas are relative to the lungs', so that size and crop of a radiograph matter little.
SHAPE_FEATURES = (
    "lungs_share",
    "lungs_aspect",
    "lungs_fill",
    "lungs_right_to_left",
    "right_lung_x",
    "left_lung_x",
    "lungs_level",
    "heart_area",
    "heart_x",
    "heart_y",
    "heart_aspect",
    "heart_fill",
    "clavicles_area",
    "clavicles_x",
    "clavicles_y",
    "clavicles_width",
    "clavicles_right_to_left",
)
#: Features that tell a chest from its mirror image: mirroring changes ``lungs_right_to_left`` to
#: its negative and ``heart_x`` to one minus itself.
LATERALITY_FEATURES = ("lungs_right_to_left", "heart_x")
#: (F,) bool for each organ: the features that describe it.
FEATURES_OF = {
    organ.name: np.array(
        [
            (organ is LUNGS and "lung" in name) or name.startswith(organ.name)
            for name in SHAPE_FEATURES
        ]
    )
    for organ in ORGANS
}


def shape_features(sides: Sides) -> Vector:
    """Compute the shape features of a label map.

    Args:
        sides: laterality of the label map, as ``find_sides`` returns it.

    Returns:
        (F,) float64 in the order of SHAPE_FEATURES; NaN where an organ that the feature needs
        is missing.
    """
    regions = {
        structure.name: _region(sides, structure.label)
        for structure in RIGHT_LEFT_LABELS.structures
    }
    right, left = regions["right lung"], regions["left lung"]
    found = dict.fromkeys(SHAPE_FEATURES, np.nan)
    if right is None or left is None:
        return np.array(list(found.values()))
    chest = right.joined(left)
    height, width = sides.runs.shape
    lungs = right.area + left.area
    found["lungs_share"] = np.log(lungs / (height * width))
    found["lungs_aspect"] = np.log(chest.height / chest.width)
    found["lungs_fill"] = lungs / (chest.height * chest.width)
    found["lungs_right_to_left"] = np.log(right.area / left.area)
    found["right_lung_x"], _ = chest.position_of(right)
    found["left_lung_x"], _ = chest.position_of(left)
    found["lungs_level"] = (right.y - left.y) / chest.height
    heart = regions[HEART.name]
    if heart is not None:
        found["heart_area"] = np.log(heart.area / lungs)
        found["heart_x"], found["heart_y"] = chest.position_of(heart)
        found["heart_aspect"] = np.log(heart.height / heart.width)
        found["heart_fill"] = heart.area / (heart.height * heart.width)
    right_clavicle, left_clavicle = (
        regions[RIGHT_LEFT_LABELS.find(CLAVICLES, side).name] for side in CLAVICLES.sides
    )
    if right_clavicle is not None and left_clavicle is not None:
        both = right_clavicle.joined(left_clavicle)
        found["clavicles_area"] = np.log(both.area / lungs)
        found["clavicles_x"], found["clavicles_y"] = chest.position_of(both)
        found["clavicles_width"] = np.log(both.width / chest.width)
        found["clavicles_right_to_left"] = np.log(right_clavicle.area / left_clavicle.area)
    return np.array(list(found.values()))


@dataclass(frozen=True)
class _Region:
    """Area, centroid (x, y) and box of a structure, in pixels; x1 and y1 are exclusive."""

    area: float
    x: float
    y: float
    x0: int
    y0: int
    x1: int
    y1: int

    @property
    def width(self) -> int:
        return self.x1 - self.x0

    @property
    def height(self) -> int:
        return self.y1 - self.y0

    def joined(self, other: _Region) -> _Region:
        """Both regions together."""
        area = self.area + other.area
        return _Region(
            area,
            (self.x * self.area + other.x * other.area) / area,
            (self.y * self.area + other.y * other.area) / area,
            min(self.x0, other.x0),
            min(self.y0, other.y0),
            max(self.x1, other.x1),
            max(self.y1, other.y1),
        )

    def position_of(self, other: _Region) -> tuple[float, float]:
        """The other region's centroid, as fractions of this box's width and height."""
        return (other.x - self.x0) / self.width, (other.y - self.y0) / self.height


def _region(sides: Sides, label: int) -> _Region | None:
    moments = sides.moments
    area = float(moments.area[label])
    if not area:
        return None
    x = float(moments.x_twice[label] / (2 * area))
    y = float(moments.y_sum[label] / area + 0.5)
    corners = moments.x0[label], moments.y0[label], moments.x1[label], moments.y1[label]
    return _Region(area, x, y, *(int(corner) for corner in corners))
