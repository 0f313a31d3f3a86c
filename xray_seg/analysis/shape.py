"""What a label map's organs look like as a whole: the numbers that tell a chest from none."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt

from ..labels import CLAVICLES, HEART, LUNGS, RIGHT_LEFT_LABELS

if TYPE_CHECKING:
    from ..postprocessing.laterality import Sides

Vector = npt.NDArray[np.float64]

#: Names of the numbers that ``describe`` gives. Places and lengths are in shares of the box that
#: holds both lungs, areas in shares of the lungs', so that size and crop of a film matter little.
FEATURES = (
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
#: Those that are the same for a chest and its mirror image but for their sign, once centred.
LATERAL = ("lungs_right_to_left", "heart_x")


def describe(sides: Sides) -> Vector:
    """Describe a label map.

    Args:
        sides: of an (H, W) label map of organs, as ``find_sides`` tells them.

    Returns:
        (len(FEATURES),) float64; not a number where an organ that it is about was not found.
    """
    boxes = {part.name: _Box.of(sides, part.label) for part in RIGHT_LEFT_LABELS.structures}
    right, left = boxes["right lung"], boxes["left lung"]
    found = dict.fromkeys(FEATURES, np.nan)
    if right is None or left is None:
        return np.array(list(found.values()))
    chest = right.joined(left)
    height, width = sides.runs.shape
    lungs = right.area + left.area
    found["lungs_share"] = np.log(lungs / (height * width))
    found["lungs_aspect"] = np.log(chest.height / chest.width)
    found["lungs_fill"] = lungs / (chest.height * chest.width)
    found["lungs_right_to_left"] = np.log(right.area / left.area)
    found["right_lung_x"], _ = chest.place(right)
    found["left_lung_x"], _ = chest.place(left)
    found["lungs_level"] = (right.y - left.y) / chest.height
    heart = boxes[HEART.name]
    if heart is not None:
        found["heart_area"] = np.log(heart.area / lungs)
        found["heart_x"], found["heart_y"] = chest.place(heart)
        found["heart_aspect"] = np.log(heart.height / heart.width)
        found["heart_fill"] = heart.area / (heart.height * heart.width)
    one, two = (boxes[RIGHT_LEFT_LABELS.find(CLAVICLES, side).name] for side in ("right", "left"))
    if one is not None and two is not None:
        both = one.joined(two)
        found["clavicles_area"] = np.log(both.area / lungs)
        found["clavicles_x"], found["clavicles_y"] = chest.place(both)
        found["clavicles_width"] = np.log(both.width / chest.width)
        found["clavicles_right_to_left"] = np.log(one.area / two.area)
    return np.array(list(found.values()))


#: Which of FEATURES are about which organ.
ABOUT = {
    organ.name: np.array(
        [(organ is LUNGS and "lung" in name) or name.startswith(organ.name) for name in FEATURES]
    )
    for organ in (CLAVICLES, HEART, LUNGS)
}


class _Box:
    """Area, mean place and extent of a part, in pixels."""

    def __init__(self, area: float, x: float, y: float, sides: tuple[int, int, int, int]) -> None:
        self.area, self.x, self.y = area, x, y
        self.x0, self.y0, self.x1, self.y1 = sides
        self.width, self.height = self.x1 - self.x0, self.y1 - self.y0

    @classmethod
    def of(cls, sides: Sides, label: int) -> _Box | None:
        found = sides.moments
        area = float(found.area[label])
        if not area:
            return None
        corners = found.x0[label], found.y0[label], found.x1[label], found.y1[label]
        x0, y0, x1, y1 = (int(corner) for corner in corners)
        x, y = found.x_twice[label] / (2 * area), found.y_sum[label] / area + 0.5
        return cls(area, float(x), float(y), (x0, y0, x1, y1))

    def joined(self, other: _Box) -> _Box:
        area = self.area + other.area
        return _Box(
            area,
            (self.x * self.area + other.x * other.area) / area,
            (self.y * self.area + other.y * other.area) / area,
            (
                min(self.x0, other.x0),
                min(self.y0, other.y0),
                max(self.x1, other.x1),
                max(self.y1, other.y1),
            ),
        )

    def place(self, other: _Box) -> tuple[float, float]:
        """The other's mean place in shares of this box."""
        return (other.x - self.x0) / self.width, (other.y - self.y0) / self.height
