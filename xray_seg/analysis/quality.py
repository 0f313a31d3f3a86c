"""How far masks are to be trusted, without a reference: predicted Dice, and doubts in words."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from ..labels import ORGANS
from ..radiograph import Radiograph
from .calibration import Calibration, load_calibration
from .features import Evidence, gather

SWAPPED = "left and right swapped?"
CUT = "organ cut by the border"
INVERTED = "image may be inverted"
ROTATED = "image may be rotated"
NOT_A_CHEST = "not a frontal chest film?"


@dataclass(frozen=True)
class Quality:
    """What to expect of the masks of one radiograph.

    Attributes:
        predicted_dice: by organ, the Dice in [0, 1] that masks with such evidence had on films
            whose true masks are known; 0 for an organ that was not found.
        score: the mean of these, for the film as a whole.
        flags: doubts in words.
    """

    predicted_dice: dict[str, float]
    score: float
    flags: tuple[str, ...] = ()


def assess(
    radiograph: Radiograph,
    labels: npt.NDArray[np.uint8],
    probabilities: npt.NDArray[np.float32],
) -> Quality:
    """Judge a segmentation by itself.

    Args:
        radiograph: its ``inverted`` is decided.
        labels: (H, W) uint8 its label map.
        probabilities: (h, w, classes) float32 on the part of the grid that it covers.
    """
    return judge(gather(radiograph, labels, probabilities), load_calibration())


def judge(evidence: Evidence, calibration: Calibration) -> Quality:
    """Turn evidence into predicted Dice and flags."""
    inputs = calibration.inputs(evidence)[None]
    predicted = {
        organ.name: 0.0
        if organ.name in evidence.empty
        else float(calibration.organs[organ.name](inputs)[0])
        for organ in ORGANS
    }
    score = float(np.mean(list(predicted.values())))
    return Quality(predicted, score, tuple(_flags(evidence, calibration, score)))


def _flags(evidence: Evidence, calibration: Calibration, score: float) -> list[str]:
    limits = calibration.limits
    flags = [f"empty {name}" for name in evidence.empty]
    upright, other = calibration.postures(evidence.view)
    doubtful = score < limits["chest_score"] or max(upright, other) < limits["chest_likeness"]
    turned = not evidence.contradicted and other - upright > limits["rotated"]
    if doubtful:
        flags.append(NOT_A_CHEST)
    if evidence.contradicted:
        flags.append(INVERTED)
    if turned:
        flags.append(ROTATED)
    # Of masks that make no chest, the sides say nothing.
    if not (doubtful or turned) and calibration.laterality(evidence.shape) > limits["swapped"]:
        flags.append(SWAPPED)
    if max(evidence.touching.values()) > limits["touching"]:
        flags.append(CUT)
    return flags
