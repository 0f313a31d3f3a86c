"""Fit the calibration of predicted Dice and warnings."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import numpy as np
import numpy.typing as npt
from quality_sample import Sample
from scipy.optimize import minimize

from xray_seg.analysis.calibration import Calibration, LogisticModel, shape_statistics
from xray_seg.analysis.features import THUMBNAIL_SIDE
from xray_seg.analysis.quality import quality_from_features
from xray_seg.analysis.shape_features import Vector
from xray_seg.data.phantom import make_phantom
from xray_seg.kernels import area_mean
from xray_seg.labels import ORGANS
from xray_seg.preprocessing.normalisation import normalise

_PHANTOMS = 48
_RIDGE = 1e-3
#: Limits of warnings: the quantile of undegraded training radiographs, and a margin beyond it.
_SOUND, _MARGIN = 0.995, 0.15
WHOLE = "whole"
#: Below this score a radiograph always counts as not a chest.
_HALF = 0.5


def fit_calibration(truths: Vector, samples: Sequence[Sample], sha256: str) -> Calibration:
    """Fit a calibration to samples of the training radiographs.

    Args:
        truths: (n, F) shape features of the true masks of the training radiographs.
        samples: degraded training radiographs, and images that are not chest radiographs.
        sha256: hash of the weights.
    """
    mean, scale, correlation = shape_statistics(truths)
    statistics = mean.tolist(), scale.tolist(), correlation.tolist()
    bare = Calibration(sha256, *statistics, _template().tolist(), {}, {})
    inputs = np.array([bare.model_inputs(sample.features) for sample in samples])
    organs = {
        organ.name: _logistic(inputs, np.array([each.dice[organ.name] for each in samples]))
        for organ in ORGANS
    }
    fitted = replace(bare, organs=organs)
    return replace(fitted, limits=_limits(fitted, [s for s in samples if s.family == WHOLE]))


def _template() -> npt.NDArray[np.float64]:
    total = np.zeros((THUMBNAIL_SIDE, THUMBNAIL_SIDE))
    for seed in range(_PHANTOMS):
        view = area_mean(make_phantom(seed, 256).radiograph, (THUMBNAIL_SIDE, THUMBNAIL_SIDE))
        normalise(view, inverted=False)
        total += view
    return total / _PHANTOMS


def _logistic(inputs: Vector, dice: Vector) -> LogisticModel:
    """Least-squares fit of Dice by a logistic function, with a small ridge penalty."""
    known = ~np.isnan(dice)
    inputs, dice = inputs[known], dice[known]
    mean, scale = inputs.mean(axis=0), inputs.std(axis=0) + 1e-9
    standard = (inputs - mean) / scale

    def loss(weights: Vector) -> tuple[float, Vector]:
        predicted = 1 / (1 + np.exp(-(standard @ weights[1:] + weights[0])))
        error = predicted - dice
        slope = 2 * error * predicted * (1 - predicted) / len(dice)
        ridge = _RIDGE * np.mean(weights[1:] ** 2)
        gradient = standard.T @ slope + 2 * _RIDGE * weights[1:] / len(weights[1:])
        return float(np.mean(error**2) + ridge), np.array([slope.sum(), *gradient])

    found = minimize(loss, np.zeros(1 + inputs.shape[1]), jac=True, method="L-BFGS-B")
    return LogisticModel(mean.tolist(), scale.tolist(), found.x[1:].tolist(), float(found.x[0]))


def _limits(fitted: Calibration, sound: Sequence[Sample]) -> dict[str, float]:
    """Limits of the warnings, beyond the values of undegraded radiographs."""
    open_ended = {"chest_score": 0.0, "chest_likeness": -1.0}
    open_ended |= dict.fromkeys(("rotated", "swapped", "touching"), np.inf)
    bare = replace(fitted, limits=open_ended)
    similarity = np.array(
        [fitted.template_similarity(sample.features.thumbnail) for sample in sound]
    )
    scores = [quality_from_features(sample.features, bare).score for sample in sound]
    lateral = [fitted.mirror_evidence(sample.features.shape) for sample in sound]
    touching = [max(sample.features.border_contact.values()) for sample in sound]
    return {
        "chest_score": min(_HALF, _below(scores) - _MARGIN),
        "chest_likeness": _below(similarity.max(axis=1)) - _MARGIN,
        "rotated": max(0.0, -_below(similarity[:, 0] - similarity[:, 1])) + _MARGIN,
        "swapped": max(0.0, -_below(-np.array(lateral))),
        "touching": -_below(-np.array(touching)) + _MARGIN / 3,
    }


def _below(values: npt.ArrayLike) -> float:
    return float(np.quantile(np.asarray(values), 1 - _SOUND))
