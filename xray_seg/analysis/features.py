"""Features from which the quality of a segmentation is estimated."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from ..labels import HEART, LUNGS, ORGANS
from ..postprocessing.laterality import find_sides
from ..preprocessing.polarity import looks_inverted
from ..preprocessing.preprocessor import Preprocessor
from ..radiograph import Radiograph
from .shape_features import Vector, shape_features

#: Side of the thumbnail from which the orientation is judged, in pixels.
THUMBNAIL_SIDE = 32
#: Keeps logits and logarithms finite.
_EPSILON = 1e-3


@dataclass(frozen=True)
class QualityFeatures:
    """Features of a radiograph, its probabilities and its masks.

    Attributes:
        confidence: by organ, (3,) float64: logit of the expected Dice between the mask and masks
            drawn from the probabilities; logit of the mean probability inside the mask; logarithm
            of the summed variance p (1 - p) relative to the square root of the mask's area.
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
    shape: Vector
    thumbnail: npt.NDArray[np.float32]
    border_contact: dict[str, float]
    missing: tuple[str, ...]
    polarity_contradicted: bool


def extract_features(
    radiograph: Radiograph,
    labels: npt.NDArray[np.uint8],
    probabilities: npt.NDArray[np.float32],
) -> QualityFeatures:
    """Extract the quality features of one segmentation.

    Args:
        radiograph: the segmented radiograph, with its polarity decided.
        labels: (H, W) uint8 label map.
        probabilities: (h, w, classes) float32 on the part of the grid that the radiograph covers.
    """
    from ..kernels import class_sums, nearest

    height, width = probabilities.shape[:2]
    small = nearest(labels, (height, width))
    sums = class_sums(probabilities, small)
    thumbnail, contradicted = _thumbnail(radiograph)
    return QualityFeatures(
        {organ.name: _confidence(*sums[organ.label]) for organ in ORGANS},
        shape_features(find_sides(small)),
        thumbnail,
        {organ.name: _border_contact(labels, organ.label) for organ in (HEART, LUNGS)},
        tuple(organ.name for organ in ORGANS if not sums[organ.label, 0]),
        contradicted,
    )


def _confidence(area: float, inside: float, total: float, variance: float) -> Vector:
    """Confidence features of one organ, from its row of ``class_sums``."""
    expected_dice = 2 * inside / max(total + area, _EPSILON)
    mean_inside = inside / max(area, 1)
    spread = variance / (np.sqrt(area) + 1)
    return np.array([_logit(expected_dice), _logit(mean_inside), np.log(spread + _EPSILON)])


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
