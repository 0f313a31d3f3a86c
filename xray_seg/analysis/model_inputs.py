"""Inputs of the models of predicted Dice, made of the features of one segmentation."""

from __future__ import annotations

import numpy as np

from ..labels import CLAVICLES, LUNGS, ORGANS, RIGHT_LEFT_LABELS, Organ
from .features import QualityFeatures
from .shape_features import SHAPE_FEATURES, Vector

#: Sign of the effect on predicted Dice that a model may find, by input: 1 more is better, -1 less
#: is better.
_CONFIDENCE = {"expected_dice": 1, "mean_inside": 1, "spread": -1}
_OUTLINE = {"perimeter": -1, "solidity": 1, "thin": -1}
#: Paired organs, of which the worse side counts besides both together.
_PAIRED = (CLAVICLES, LUNGS)

#: Inputs of the models of organs, with their signs.
ORGAN_INPUTS: dict[str, int] = {
    **{f"{o.name}_{name}": sign for o in ORGANS for name, sign in _CONFIDENCE.items()},
    **{f"worse_{o.name}_{name}": sign for o in _PAIRED for name, sign in _CONFIDENCE.items()},
    **{f"{o.name}_{name}": sign for o in ORGANS for name, sign in _OUTLINE.items()},
    **{f"{o.name}_lost": -1 for o in ORGANS},
    "distance": -1,
    **{f"{o.name}_distance": -1 for o in ORGANS},
    **{f"{o.name}_asymmetry": -1 for o in _PAIRED},
    "missing": -1,
    "unknown": -1,
}
#: Inputs of the models of one lung and of one clavicle, with their signs.
SIDE_INPUTS: dict[str, int] = {
    **_CONFIDENCE,
    **{f"other_{name}": sign for name, sign in _CONFIDENCE.items()},
    **_OUTLINE,
    "smaller_than_other": -1,
    "larger_than_other": -1,
    "organ_lost": -1,
    "distance": -1,
    "organ_distance": -1,
    "unknown": -1,
}
#: Values where a structure is missing: (log perimeter, solidity, thin share).
_NO_OUTLINE = (1.0, 0.3, 1.0)
#: Largest logarithm of a ratio of areas.
_LARGEST_RATIO = 3.0
#: Added to shares before the logarithm.
_EPSILON = 0.003


def organ_inputs(features: QualityFeatures, distances: Vector) -> Vector:
    """(n,) inputs of the models of organs, in the order of ORGAN_INPUTS.

    Args:
        features: of the segmentation.
        distances: ``Anatomy.shape_distances`` of its shape.
    """
    confidence = features.confidence
    return np.concatenate(
        [
            *(confidence[organ.name] for organ in ORGANS),
            *(_worse([confidence[name] for name in _sides(o)], _CONFIDENCE) for o in _PAIRED),
            *(_worse([_outline(features, name) for name in _sides(o)], _OUTLINE) for o in ORGANS),
            [np.log(_EPSILON + features.lost[organ.name]) for organ in ORGANS],
            distances,
            [
                abs(_ratio(features.shape[SHAPE_FEATURES.index(f"{o.name}_right_to_left")]))
                for o in _PAIRED
            ],
            [len(features.missing), np.isnan(features.shape).mean()],
        ]
    )


def side_inputs(features: QualityFeatures, distances: Vector, organ: Organ, side: str) -> Vector:
    """(n,) inputs of the model of one lung or clavicle, in the order of SIDE_INPUTS."""
    name = RIGHT_LEFT_LABELS.find(organ, side).name
    (other,) = (each for each in _sides(organ) if each != name)
    ratio = _ratio(features.outlines[name][3] - features.outlines[other][3])
    return np.concatenate(
        [
            features.confidence[name],
            features.confidence[other],
            _outline(features, name),
            [max(-ratio, 0.0), max(ratio, 0.0), np.log(_EPSILON + features.lost[organ.name])],
            [distances[0], distances[1 + ORGANS.index(organ)], np.isnan(features.shape).mean()],
        ]
    )


def _sides(organ: Organ) -> list[str]:
    return [RIGHT_LEFT_LABELS.find(organ, side).name for side in organ.sides]


def _outline(features: QualityFeatures, name: str) -> Vector:
    found = features.outlines[name][:3]
    return np.where(np.isnan(found), _NO_OUTLINE, found)


def _ratio(logarithm: float) -> float:
    """A logarithm of a ratio of areas, clipped; 3 where it is unknown."""
    if np.isnan(logarithm):
        return _LARGEST_RATIO
    return float(np.clip(logarithm, -_LARGEST_RATIO, _LARGEST_RATIO))


def _worse(values: list[Vector], signs: dict[str, int]) -> Vector:
    """By input, the value of the side that speaks for a lower Dice."""
    direction = np.array(list(signs.values()))
    return direction * np.min(direction * np.array(values), axis=0)
