"""Fit the models of predicted Dice to segmentations with known Dice."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from ..errors import DatasetError
from ..labels import ORGANS, RIGHT_LEFT_LABELS
from .anatomy import Anatomy
from .calibration import CLIP, SIDE_MODELS, Calibration, LogisticModel
from .features import QualityFeatures
from .model_inputs import ORGAN_INPUTS, SIDE_INPUTS, organ_inputs, side_inputs
from .quality import quality_from_features
from .shape_features import Vector

#: Family of radiographs that are not degraded.
WHOLE = "whole"
#: Masks below this Dice are bad, by model. Clavicles are small, so that their Dice is lower.
BAD = {"clavicles": 0.8, "clavicle": 0.8, "heart": 0.9, "lungs": 0.9, "lung": 0.9}

#: Weight of all undegraded radiographs of a source together, and of all images of a degraded
#: family. Undegraded ones are what is met most, degraded ones show what bad masks look like.
_SOURCE_WEIGHT, _FAMILY_WEIGHT = 1.0, 0.05
#: Weight of radiographs that the network was trained on, relative to others: it does better on
#: them than on new ones.
_SEEN_WEIGHT = 0.5
#: Penalty on squared coefficients.
_RIDGE = 0.003
#: Dice is kept this far from 0 and 1.
_EPSILON = 1e-3
#: Limit of the score below which an image is no chest: the quantile of undegraded radiographs, a
#: margin beyond it, and at most this.
_SOUND, _MARGIN, _HALF = 0.005, 0.15, 0.5


@dataclass(frozen=True)
class Sample:
    """A segmented image with known Dice.

    Attributes:
        case: name of the radiograph.
        source: name of the set that it comes from.
        family: kind of degradation, or WHOLE.
        features: quality features of the segmentation.
        dice: true Dice by organ and by right and left one; missing or NaN where unknown.
        seen: whether the network was trained on the radiograph.
    """

    case: str
    source: str
    family: str
    features: QualityFeatures
    dice: dict[str, float]
    seen: bool = False


def fit_calibration(
    samples: Sequence[Sample],
    anatomy: Anatomy,
    sha256: str,
    *,
    base: Calibration | None = None,
) -> Calibration:
    """Fit a calibration.

    Args:
        samples: undegraded and degraded radiographs.
        anatomy: statistics of chests.
        sha256: hash of the weights that segmented them.
        base: calibration whose models are kept for organs without known Dice.

    Raises:
        DatasetError: the Dice of an organ is known for no radiograph, and there is no ``base``.
    """
    distances = [anatomy.shape_distances(sample.features.shape) for sample in samples]
    inputs = np.array(
        [organ_inputs(each.features, near) for each, near in zip(samples, distances, strict=True)]
    )
    models: dict[str, LogisticModel] = {}
    kept = []
    for organ in ORGANS:
        if base is not None and not _is_known(samples, organ.name):
            kept.append(organ.name)
            names = [organ.name, *(SIDE_MODELS[each] for each in SIDE_MODELS if each == organ.name)]
            models |= {name: base.models[name] for name in names}
            continue
        known = _known(samples, organ.name)
        dice = np.array([samples[index].dice[organ.name] for index in known])
        weights = _weights([samples[index] for index in known])
        models[organ.name] = _fit(inputs[known], dice, weights, ORGAN_INPUTS, BAD[organ.name])
        if organ.name not in SIDE_MODELS:
            continue
        rows, dice, weights = [], np.empty(0), np.empty(0)
        for side in organ.sides:
            structure = RIGHT_LEFT_LABELS.find(organ, side).name
            places = _known(samples, structure)
            chosen = [samples[place] for place in places]
            rows += [
                side_inputs(samples[place].features, distances[place], organ, side)
                for place in places
            ]
            dice = np.append(dice, [each.dice[structure] for each in chosen])
            weights = np.append(weights, _weights(chosen))
        name = SIDE_MODELS[organ.name]
        models[name] = _fit(np.array(rows), dice, weights, SIDE_INPUTS, BAD[name])
    fitted = Calibration(sha256, models, 0.0)
    sound = [
        quality_from_features(each.features, fitted, anatomy).score or 0.0
        for each in samples
        if each.family == WHOLE
    ]
    chest_score = min(_HALF, float(np.quantile(sound, _SOUND)) - _MARGIN) if sound else 0.0
    fitted_to: dict[str, Any] = dict(Counter(f"{each.source} {each.family}" for each in samples))
    if base is not None and kept:
        fitted_to["kept"] = {"organs": kept, "weights_sha256": base.weights_sha256}
    return Calibration(sha256, models, max(chest_score, 0.0), fitted_to=fitted_to)


def _is_known(samples: Sequence[Sample], name: str) -> bool:
    """Whether the Dice of an organ is known for a radiograph that was not degraded."""
    return any(
        each.family == WHOLE and not np.isnan(each.dice.get(name, np.nan)) for each in samples
    )


def _known(samples: Sequence[Sample], name: str) -> list[int]:
    """Places of the samples in which the Dice of an organ or structure is known."""
    known = [
        index for index, sample in enumerate(samples) if not np.isnan(sample.dice.get(name, np.nan))
    ]
    # Drawn images know that every organ is wrong, which says nothing of radiographs.
    if not known or not _is_known(samples, name):
        raise DatasetError(
            f"no radiograph has a known Dice of the {name}; add masks of it, or give weights whose "
            "calibration is kept for it (--base)"
        )
    return known


def _weights(samples: Sequence[Sample]) -> npt.NDArray[np.float64]:
    groups = [
        (WHOLE, sample.source) if sample.family == WHOLE else ("", sample.family)
        for sample in samples
    ]
    sizes = Counter(groups)
    return np.array(
        [
            (_SOURCE_WEIGHT if group[0] == WHOLE else _FAMILY_WEIGHT)
            / sizes[group]
            * (_SEEN_WEIGHT if sample.seen else 1)
            for group, sample in zip(groups, samples, strict=True)
        ]
    )


def _fit(
    inputs: Vector, dice: Vector, weights: Vector, signs: dict[str, int], bad: float
) -> LogisticModel:
    """Fit Dice by cross-entropy, with coefficients of the given signs."""
    weights = weights / weights.sum()
    mean = weights @ inputs
    scale = np.sqrt(weights @ (inputs - mean) ** 2) + 1e-9
    standard = np.clip((inputs - mean) / scale, -CLIP, CLIP)
    bounds = [(0.0, None) if sign > 0 else (None, 0.0) for sign in signs.values()]
    bias, *coefficients = _logistic(standard, dice, weights, bounds)
    model = LogisticModel(mean.tolist(), scale.tolist(), coefficients, bias)
    limit = _doubtful(model(inputs), dice < bad, weights, bad)
    return LogisticModel(model.mean, model.scale, model.coefficients, bias, limit)


def _logistic(
    inputs: Vector,
    target: Vector,
    weights: Vector,
    bounds: Sequence[tuple[float | None, float | None]],
    ridge: float = _RIDGE,
) -> list[float]:
    """Bias and coefficients of a logistic regression on shares."""
    from scipy.optimize import minimize

    target = np.clip(target, _EPSILON, 1 - _EPSILON)

    def loss(values: Vector) -> tuple[float, Vector]:
        score = np.clip(inputs @ values[1:] + values[0], -30, 30)
        predicted = 1 / (1 + np.exp(-score))
        entropy = np.log1p(np.exp(score)) - target * score
        error = weights * (predicted - target)
        gradient = inputs.T @ error + 2 * ridge * values[1:]
        penalty = ridge * float((values[1:] ** 2).sum())
        return float(weights @ entropy) + penalty, np.array([error.sum(), *gradient])

    start = np.zeros(1 + inputs.shape[1])
    found = minimize(loss, start, jac=True, method="L-BFGS-B", bounds=[(None, None), *bounds])
    return [float(value) for value in found.x]


def _doubtful(
    predicted: Vector, is_bad: npt.NDArray[np.bool_], weights: Vector, highest: float
) -> float:
    """Predicted Dice below which more than half of the masks are bad, at most ``highest``."""
    if is_bad.all() or not is_bad.any():
        return highest if is_bad.any() else 0.0
    shares = np.clip(predicted, _EPSILON, 1 - _EPSILON)
    logits = np.log(shares / (1 - shares))[:, None]
    bias, slope = _logistic(logits, is_bad.astype(float), weights, [(None, 0.0)], ridge=1e-6)
    if not slope:
        return 0.0
    return float(min(highest, 1 / (1 + np.exp(bias / slope))))
