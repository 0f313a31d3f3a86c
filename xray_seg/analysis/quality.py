"""Estimate the quality of a segmentation without a reference: predicted Dice and warnings."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
import numpy.typing as npt

from ..labels import CLAVICLES, ORGANS, RIGHT_LEFT_LABELS, Organ
from ..postprocessing.prediction import GridPrediction
from ..radiograph import Radiograph
from .anatomy import Anatomy, load_anatomy
from .calibration import SIDE_MODELS, Calibration
from .features import QualityFeatures, extract_features
from .model_inputs import organ_inputs, side_inputs
from .plausibility import implausible
from .shape_features import Vector

# Texts of warnings. results.csv has them in its column ``warnings``; it is an interface, and its
# values do not change. "left clavicle doubtful" and so on are among them, see ``doubtful``.
SWAPPED = "left and right swapped?"
ASYMMETRIC = "asymmetric lungs"
CUT = "organ cut by the border"
INVERTED = "image may be inverted"
ROTATED = "image may be rotated"
NOT_A_CHEST = "not a frontal chest film?"

#: Least predicted Dice of masks that can tell a mirror image.
_SURE = 0.8
#: A clavicle with less than this share of the other's area is doubtful. In the 222 SCR cases the
#: smaller one has at least 0.67 of it. Lungs differ more, see ASYMMETRIC.
_SMALL_CLAVICLE = 1 / 3
#: Reason why there is no predicted Dice: the weights have no calibration of their own.
UNCALIBRATED = "uncalibrated"


@dataclass(frozen=True)
class Quality:
    """Estimated quality of the masks of one radiograph.

    Attributes:
        predicted_dice: by organ, the expected Dice in [0, 1], calibrated on radiographs with known
            masks; 0 for an organ that was not found. Empty for weights without a calibration.
        score: mean of the predicted Dice, for the radiograph as a whole; None without them.
        warnings: suspected problems, in words.
        reason: why there is no predicted Dice, or empty.
    """

    predicted_dice: dict[str, float]
    score: float | None
    warnings: tuple[str, ...] = ()
    reason: str = ""


def estimate_quality(
    radiograph: Radiograph,
    labels: npt.NDArray[np.uint8],
    prediction: GridPrediction,
    calibration: Calibration | None,
) -> Quality:
    """Estimate the quality of a segmentation.

    Args:
        radiograph: the segmented radiograph, with its polarity decided.
        labels: (H, W) uint8 label map, at the radiograph's resolution or the grid's.
        prediction: probabilities on the grid.
        calibration: of the weights, as ``calibration_of`` finds it; None for no predicted Dice.
    """
    from ..kernels import nearest

    features = extract_features(radiograph, labels, prediction)
    quality = quality_from_features(features, calibration, load_anatomy())
    if {NOT_A_CHEST, ROTATED} & set(quality.warnings):  # then anatomy means nothing
        return quality
    small = nearest(labels, prediction.probabilities.shape[:2])
    return replace(quality, warnings=(*quality.warnings, *implausible(small, prediction)))


def quality_from_features(
    features: QualityFeatures, calibration: Calibration | None, anatomy: Anatomy
) -> Quality:
    """Predict Dice and derive warnings from features."""
    if calibration is None:
        warnings = _warnings(features, anatomy, is_chest=True, is_sure=True)
        return Quality({}, None, tuple(warnings), UNCALIBRATED)
    distances = anatomy.shape_distances(features.shape)
    inputs = organ_inputs(features, distances)[None]
    predicted = {
        organ.name: 0.0
        if organ.name in features.missing
        else float(calibration.models[organ.name](inputs)[0])
        for organ in ORGANS
    }
    score = float(np.mean(list(predicted.values())))
    is_chest = score >= calibration.chest_score
    warnings = _warnings(features, anatomy, is_chest=is_chest, is_sure=score >= _SURE)
    if NOT_A_CHEST not in warnings:  # otherwise every structure is doubtful
        warnings += _doubts(features, calibration, distances, predicted)
    return Quality(predicted, score, tuple(warnings))


def doubtful(name: str) -> str:
    """Text of the warning that a structure or an organ is doubtful."""
    return f"{name} doubtful"


def _doubts(
    features: QualityFeatures,
    calibration: Calibration,
    distances: Vector,
    predicted: dict[str, float],
) -> list[str]:
    """Name what is doubtful: one side of a paired organ, or the organ."""
    doubts = []
    for organ in ORGANS:
        if organ.name in features.missing:
            continue
        names = [
            RIGHT_LEFT_LABELS.find(organ, side).name
            for side in organ.sides
            if side and _is_doubtful(features, calibration, distances, organ, side)
        ]
        is_low = predicted[organ.name] < calibration.models[organ.name].doubtful
        if len(names) == 1:
            doubts.append(doubtful(names[0]))
        elif names or is_low:
            doubts.append(doubtful(organ.name))
    return doubts


def _is_doubtful(
    features: QualityFeatures,
    calibration: Calibration,
    distances: Vector,
    organ: Organ,
    side: str,
) -> bool:
    """Whether the right or left one of a paired organ is missing, far too small, or likely bad."""
    areas = {
        each: features.outlines[RIGHT_LEFT_LABELS.find(organ, each).name][3] for each in organ.sides
    }
    own = areas.pop(side)
    (other,) = areas.values()
    if np.isnan(own) or (organ is CLAVICLES and own - other < np.log(_SMALL_CLAVICLE)):
        return True
    model = calibration.models[SIDE_MODELS[organ.name]]
    inputs = side_inputs(features, distances, organ, side)[None]
    return float(model(inputs)[0]) < model.doubtful


def _warnings(
    features: QualityFeatures, anatomy: Anatomy, *, is_chest: bool, is_sure: bool
) -> list[str]:
    """Warnings besides those of doubtful organs.

    Args:
        features, anatomy: what they derive from.
        is_chest: whether predicted Dice is high enough for a chest radiograph.
        is_sure: whether it is high enough for the masks to tell a mirror image.
    """
    limits = anatomy.limits
    warnings = [f"empty {name}" for name in features.missing]
    upright, rotated = anatomy.template_similarity(features.thumbnail)
    not_a_chest = not is_chest or max(upright, rotated) < limits["chest_likeness"]
    is_rotated = not features.polarity_contradicted and rotated - upright > limits["rotated"]
    if not_a_chest:
        warnings.append(NOT_A_CHEST)
    if features.polarity_contradicted:
        warnings.append(INVERTED)
    if is_rotated:
        warnings.append(ROTATED)
    if not (not_a_chest or is_rotated):  # otherwise laterality means nothing
        warnings += _laterality(features, anatomy, is_sure=is_sure)
    if max(features.border_contact.values()) > limits["touching"]:
        warnings.append(CUT)
    return warnings


def _laterality(features: QualityFeatures, anatomy: Anatomy, *, is_sure: bool) -> list[str]:
    """A mirror image is suspected by heart and lungs together, and by sound masks alone."""
    shape, limits = features.shape, anatomy.limits
    evidence = anatomy.mirror_evidence(shape)
    heart = anatomy.heart_mirror_evidence(shape)
    if is_sure and evidence > limits["swapped"] and heart > limits["heart"]:
        return [SWAPPED]
    return [ASYMMETRIC] if anatomy.lung_asymmetry(shape) > limits["asymmetric"] else []
