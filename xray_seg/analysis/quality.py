"""Estimate the quality of a segmentation without a reference: predicted Dice and warnings."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
import numpy.typing as npt

from ..labels import ORGANS
from ..radiograph import Radiograph
from .calibration import Calibration, load_calibration
from .features import QualityFeatures, extract_features
from .plausibility import implausible

# Texts of warnings. results.csv has them in its column ``warnings``; it is an interface, and its
# values do not change.
SWAPPED = "left and right swapped?"
CUT = "organ cut by the border"
INVERTED = "image may be inverted"
ROTATED = "image may be rotated"
NOT_A_CHEST = "not a frontal chest film?"


@dataclass(frozen=True)
class Quality:
    """Estimated quality of the masks of one radiograph.

    Attributes:
        predicted_dice: by organ, the expected Dice in [0, 1], calibrated on radiographs with known
            masks; 0 for an organ that was not found.
        score: mean of the predicted Dice, for the radiograph as a whole.
        warnings: suspected problems, in words.
    """

    predicted_dice: dict[str, float]
    score: float
    warnings: tuple[str, ...] = ()


def estimate_quality(
    radiograph: Radiograph,
    labels: npt.NDArray[np.uint8],
    probabilities: npt.NDArray[np.float32],
) -> Quality:
    """Estimate the quality of a segmentation with the shipped calibration.

    Args:
        radiograph: the segmented radiograph, with its polarity decided.
        labels: (H, W) uint8 label map.
        probabilities: (h, w, classes) float32 on the part of the grid that the radiograph covers.
    """
    from ..kernels import nearest

    features = extract_features(radiograph, labels, probabilities)
    quality = quality_from_features(features, load_calibration())
    if {NOT_A_CHEST, ROTATED} & set(quality.warnings):  # then anatomy means nothing
        return quality
    small = nearest(labels, probabilities.shape[:2])
    return replace(quality, warnings=(*quality.warnings, *implausible(small, probabilities)))


def quality_from_features(features: QualityFeatures, calibration: Calibration) -> Quality:
    """Predict Dice and derive warnings from features."""
    inputs = calibration.model_inputs(features)[None]
    predicted = {
        organ.name: 0.0
        if organ.name in features.missing
        else float(calibration.organs[organ.name](inputs)[0])
        for organ in ORGANS
    }
    score = float(np.mean(list(predicted.values())))
    return Quality(predicted, score, tuple(_warnings(features, calibration, score)))


def _warnings(features: QualityFeatures, calibration: Calibration, score: float) -> list[str]:
    limits = calibration.limits
    warnings = [f"empty {name}" for name in features.missing]
    upright, rotated = calibration.template_similarity(features.thumbnail)
    not_a_chest = score < limits["chest_score"] or max(upright, rotated) < limits["chest_likeness"]
    is_rotated = not features.polarity_contradicted and rotated - upright > limits["rotated"]
    if not_a_chest:
        warnings.append(NOT_A_CHEST)
    if features.polarity_contradicted:
        warnings.append(INVERTED)
    if is_rotated:
        warnings.append(ROTATED)
    is_upright_chest = not (not_a_chest or is_rotated)  # otherwise laterality means nothing
    if is_upright_chest and calibration.mirror_evidence(features.shape) > limits["swapped"]:
        warnings.append(SWAPPED)
    if max(features.border_contact.values()) > limits["touching"]:
        warnings.append(CUT)
    return warnings
