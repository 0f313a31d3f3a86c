"""Features from which the quality of a segmentation is estimated."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from ..labels import CLAVICLES, HEART, LUNGS, ORGANS, RIGHT_LEFT_LABELS
from ..postprocessing.laterality import Sides, find_sides
from ..postprocessing.prediction import GridPrediction
from ..preprocessing.polarity import looks_inverted
from ..preprocessing.preprocessor import Preprocessor
from ..radiograph import Radiograph
from .shape_features import Vector, shape_features

#: Side of the thumbnail from which the orientation is judged, in pixels.
THUMBNAIL_SIDE = 32
#: Keeps logits and logarithms finite.
_EPSILON = 1e-3
#: Parts of a mask that are narrower than this share of the grid's side are thin.
_THIN_SHARE = 0.02


@dataclass(frozen=True)
class QualityFeatures:
    """Features of a radiograph, its probabilities and its masks.

    Attributes:
        confidence: by name of each organ and of each right and left one, (3,) float64: logit of
            the expected Dice between the mask and masks drawn from the probabilities; logit of
            the mean probability inside the mask; logarithm of the summed variance p (1 - p)
            relative to the square root of the mask's area.
        outlines: by name of each right and left organ and of the heart, (4,) float64: logarithm of
            the perimeter relative to that of the box around the structure, 0 for one convex piece;
            area as a share of the convex hull; share of the area in thin parts; logarithm of the
            area as a share of the image. NaN where the structure is missing.
        lost: by organ, share of its most probable pixels that lie outside the pieces that a person
            has of it; 1 where there are none.
        shape: (F,) float64 shape features, NaN where an organ is missing.
        thumbnail: (THUMBNAIL_SIDE, THUMBNAIL_SIDE) float32 in [0, 1], the radiograph as displayed,
            letterboxed.
        border_contact: by organ, the longest contact with one image border, as a fraction of the
            image's longer side.
        missing: names of the organs that were not found.
        polarity_contradicted: whether the radiograph looks inverted although its stated polarity
            was applied.
    """

    confidence: dict[str, Vector]
    outlines: dict[str, Vector]
    lost: dict[str, float]
    shape: Vector
    thumbnail: npt.NDArray[np.float32]
    border_contact: dict[str, float]
    missing: tuple[str, ...]
    polarity_contradicted: bool


def extract_features(
    radiograph: Radiograph,
    labels: npt.NDArray[np.uint8],
    prediction: GridPrediction,
) -> QualityFeatures:
    """Extract the quality features of one segmentation.

    Args:
        radiograph: the segmented radiograph, with its polarity decided.
        labels: (H, W) uint8 label map, at the radiograph's resolution or the grid's.
        prediction: probabilities on the grid.
    """
    from ..kernels import nearest

    probabilities = prediction.probabilities
    small = nearest(labels, probabilities.shape[:2])
    sides = find_sides(small)
    confidence, missing = _confidences(probabilities, small, sides.midline)
    thumbnail, contradicted = _thumbnail(radiograph)
    return QualityFeatures(
        confidence,
        _outlines(sides),
        {organ.name: _lost(prediction.pieces[organ.name], organ.pieces) for organ in ORGANS},
        shape_features(sides),
        thumbnail,
        {organ.name: _border_contact(labels, organ.label) for organ in (HEART, LUNGS)},
        missing,
        contradicted,
    )


def _confidences(
    probabilities: npt.NDArray[np.float32], labels: npt.NDArray[np.uint8], midline: float
) -> tuple[dict[str, Vector], tuple[str, ...]]:
    """Confidence by organ and by structure, and the organs that are missing.

    Right and left are what lies on either side of the midline.
    """
    from ..kernels import class_sums

    column = min(max(round(midline), 0), labels.shape[1])
    halves = class_sums(probabilities, labels, column)
    total = halves.sum(axis=0)
    found = {organ.name: _confidence(*total[organ.label]) for organ in ORGANS}
    for organ in (CLAVICLES, LUNGS):
        for half, side in enumerate(organ.sides):
            name = RIGHT_LEFT_LABELS.find(organ, side).name
            found[name] = _confidence(*halves[half, organ.label])
    return found, tuple(organ.name for organ in ORGANS if not total[organ.label, 0])


def _confidence(area: float, inside: float, total: float, variance: float) -> Vector:
    """Confidence features of one organ, from its row of ``class_sums``."""
    expected_dice = 2 * inside / max(total + area, _EPSILON)
    mean_inside = inside / max(area, 1)
    spread = variance / (np.sqrt(area) + 1)
    return np.array([_logit(expected_dice), _logit(mean_inside), np.log(spread + _EPSILON)])


def _outlines(sides: Sides) -> dict[str, Vector]:
    from ..kernels import raggedness

    height, width = sides.runs.shape
    count = 1 + len(RIGHT_LEFT_LABELS.structures)
    thickness = max(2, round(_THIN_SHARE * max(height, width)))
    moments, found = sides.moments, raggedness(sides.runs, sides.labels, count, thickness)
    measured = {}
    for structure in RIGHT_LEFT_LABELS.structures:
        label = structure.label
        area = moments.area[label]
        box = moments.x1[label] - moments.x0[label] + moments.y1[label] - moments.y0[label]
        measured[structure.name] = np.full(4, np.nan)
        if area:
            measured[structure.name][:] = (
                np.log(found.perimeter[label] / (2 * box)),
                2 * area / found.hull_twice[label],
                found.thin[label] / area,
                np.log(area / (height * width)),
            )
    return measured


def _lost(areas: Vector, pieces: int) -> float:
    """Share of an organ's most probable pixels outside its largest pieces."""
    total = areas.sum()
    return float(1 - areas[:pieces].sum() / total) if total else 1.0


def _logit(share: float) -> float:
    share = min(max(share, _EPSILON), 1 - _EPSILON)
    return float(np.log(share / (1 - share)))


def _thumbnail(radiograph: Radiograph) -> tuple[npt.NDArray[np.float32], bool]:
    """The thumbnail, and whether it looks inverted."""
    fitted = Preprocessor(THUMBNAIL_SIDE)(radiograph)
    return fitted.grid, looks_inverted(fitted.box.crop(fitted.grid))


def _border_contact(labels: npt.NDArray[np.uint8], label: int) -> float:
    borders = labels[0], labels[-1], labels[:, 0], labels[:, -1]
    return max(int(np.count_nonzero(border == label)) for border in borders) / max(labels.shape)
