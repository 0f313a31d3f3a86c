"""The fit behind predicted Dice and flags."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import numpy as np
import numpy.typing as npt
from quality_sample import Sample
from scipy.optimize import minimize

from xray_seg.analysis.calibration import Calibration, Linear, shape_statistics
from xray_seg.analysis.features import VIEW_SIDE
from xray_seg.analysis.quality import judge
from xray_seg.data.phantom import make_phantom
from xray_seg.kernels import area_mean
from xray_seg.labels import ORGANS
from xray_seg.preprocessing.normalisation import normalise

Vector = npt.NDArray[np.float64]

_PHANTOMS = 48
_RIDGE = 1e-3
#: Limits of flags lie beyond what this share of sound training films show, and a bit further.
_SOUND, _ROOM = 0.995, 0.15
WHOLE = "whole"
#: Masks expected to be less than half right are of no chest, or of a film that is useless as one.
_HALF = 0.5


def fit_calibration(truths: Vector, samples: Sequence[Sample], sha256: str) -> Calibration:
    """Fit to samples of training films.

    Args:
        truths: (n, F) shapes of the training films' true masks.
        samples: spoilt training films, and what is none.
        sha256: of the weights.
    """
    mean, scale, correlation = shape_statistics(truths)
    statistics = mean.tolist(), scale.tolist(), correlation.tolist()
    bare = Calibration(sha256, *statistics, _template().tolist(), {}, {})
    inputs = np.array([bare.inputs(sample.evidence) for sample in samples])
    organs = {
        organ.name: _logistic(inputs, np.array([each.dice[organ.name] for each in samples]))
        for organ in ORGANS
    }
    fitted = replace(bare, organs=organs)
    return replace(fitted, limits=_limits(fitted, [s for s in samples if s.family == WHOLE]))


def _template() -> npt.NDArray[np.float64]:
    total = np.zeros((VIEW_SIDE, VIEW_SIDE))
    for seed in range(_PHANTOMS):
        view = area_mean(make_phantom(seed, 256).radiograph, (VIEW_SIDE, VIEW_SIDE))
        normalise(view, inverted=False)
        total += view
    return total / _PHANTOMS


def _logistic(inputs: Vector, dice: Vector) -> Linear:
    """Least squares of Dice by a logistic function of standardised inputs, slightly ridged."""
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
    return Linear(mean.tolist(), scale.tolist(), found.x[1:].tolist(), float(found.x[0]))


def _limits(fitted: Calibration, sound: Sequence[Sample]) -> dict[str, float]:
    """Beyond what sound films show."""
    open_ended = {"chest_score": 0.0, "chest_likeness": -1.0}
    open_ended |= dict.fromkeys(("rotated", "swapped", "touching"), np.inf)
    bare = replace(fitted, limits=open_ended)
    postures = np.array([fitted.postures(sample.evidence.view) for sample in sound])
    scores = [judge(sample.evidence, bare).score for sample in sound]
    lateral = [fitted.laterality(sample.evidence.shape) for sample in sound]
    touching = [max(sample.evidence.touching.values()) for sample in sound]
    return {
        "chest_score": min(_HALF, _below(scores) - _ROOM),
        "chest_likeness": _below(postures.max(axis=1)) - _ROOM,
        "rotated": max(0.0, -_below(postures[:, 0] - postures[:, 1])) + _ROOM,
        "swapped": max(0.0, -_below(-np.array(lateral))),
        "touching": -_below(-np.array(touching)) + _ROOM / 3,
    }


def _below(values: npt.ArrayLike) -> float:
    return float(np.quantile(np.asarray(values), 1 - _SOUND))
