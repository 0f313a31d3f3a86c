"""From evidence to predicted Dice and flags: fitted by benchmarks/quality.py, kept as JSON."""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass
from functools import cache, cached_property
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from .._util.files import write_text
from ..labels import ORGANS
from .features import VIEW_SIDE, Evidence
from .shape import ABOUT, FEATURES, LATERAL

Vector = npt.NDArray[np.float64]

CALIBRATION_FILE = Path(__file__).with_name("calibration.json")
#: Distance of a shape of which nothing was found, in standard deviations.
FARTHEST = 30.0
#: Of the correlation of shape features, the share taken as it was found; the rest is the identity.
_TRUSTED = 0.9
_ROTATIONS = 4


@dataclass(frozen=True)
class Linear:
    """A logistic model of the Dice of one organ: of standardised inputs."""

    mean: list[float]
    scale: list[float]
    coefficients: list[float]
    bias: float

    def __call__(self, inputs: Vector) -> Vector:
        """(n,) predicted Dice in [0, 1] of (n, inputs)."""
        standard = (inputs - np.array(self.mean)) / np.array(self.scale)
        score = standard @ np.array(self.coefficients) + self.bias
        return 1 / (1 + np.exp(-np.clip(score, -30, 30)))


@dataclass(frozen=True)
class Calibration:
    """What the training films are like, and what follows from being unlike them.

    Attributes:
        weights_sha256: of the model whose answers it was fitted to.
        shape_mean: (F,) of the true masks of training films, in the order of shape.FEATURES.
        shape_scale: (F,) their standard deviation.
        shape_correlation: (F, F) of them.
        template: (VIEW_SIDE, VIEW_SIDE) mean of upright phantoms as they are shown.
        organs: by name.
        limits: of the flags, by name.
    """

    weights_sha256: str
    shape_mean: list[float]
    shape_scale: list[float]
    shape_correlation: list[list[float]]
    template: list[list[float]]
    organs: dict[str, Linear]
    limits: dict[str, float]

    def inputs(self, evidence: Evidence) -> Vector:
        """(n,) numbers that predicted Dice is a function of."""
        distances = [self.distance(evidence.shape)]
        distances += [self.distance(evidence.shape, ABOUT[organ.name]) for organ in ORGANS]
        return np.array(
            [
                *np.concatenate([evidence.confidence[organ.name] for organ in ORGANS]),
                *np.log1p(distances),
                len(evidence.empty),
                np.isnan(evidence.shape).mean(),
            ]
        )

    def distance(self, shape: Vector, about: npt.NDArray[np.bool_] | None = None) -> float:
        """How unlike the true masks a shape is: root mean square of Mahalanobis' distance."""
        deviation = (shape - np.array(self.shape_mean)) / np.array(self.shape_scale)
        known = ~np.isnan(deviation)
        if about is not None:
            known &= about
        if not known.any():
            return FARTHEST
        deviation = np.clip(deviation[known], -FARTHEST, FARTHEST)
        square = deviation @ np.linalg.solve(self._correlations[np.ix_(known, known)], deviation)
        return float(np.sqrt(square / len(deviation)))

    def postures(self, view: npt.NDArray[np.float32]) -> tuple[float, float]:
        """How like a chest film a view is as it stands, and at best when it is turned."""
        found = [_correlation(np.rot90(view, turn), self._template) for turn in range(_ROTATIONS)]
        return found[0], max(found[1:])

    def laterality(self, shape: Vector) -> float:
        """How much nearer to the true masks' the mirror image of a shape is; 0 if not known."""
        chosen = [FEATURES.index(name) for name in LATERAL]
        mean, scale = np.array(self.shape_mean)[chosen], np.array(self.shape_scale)[chosen]
        as_is = shape[chosen]
        if np.isnan(as_is).any():
            return 0.0
        mirror = np.array([-as_is[0], 1 - as_is[1]])
        near, far = (float((((each - mean) / scale) ** 2).sum()) for each in (as_is, mirror))
        return near - far

    @cached_property
    def _template(self) -> npt.NDArray[np.float64]:
        return np.array(self.template)

    @cached_property
    def _correlations(self) -> npt.NDArray[np.float64]:
        return np.array(self.shape_correlation)


@cache
def load_calibration() -> Calibration:
    """The shipped calibration."""
    facts: dict[str, Any] = json.loads(CALIBRATION_FILE.read_text("utf-8"))
    facts["organs"] = {name: Linear(**model) for name, model in facts["organs"].items()}
    return Calibration(**facts)


def save_calibration(calibration: Calibration, path: Path = CALIBRATION_FILE) -> None:
    """Write a calibration as JSON, six significant digits each."""
    rounded = json.loads(
        json.dumps(asdict(calibration)), parse_float=lambda text: float(f"{float(text):.6g}")
    )
    write_text(path, json.dumps(rounded) + "\n")


def shape_statistics(shapes: Vector) -> tuple[Vector, Vector, Vector]:
    """Mean, standard deviation and correlation of (n, F) shapes, the last drawn to the identity."""
    mean, scale = shapes.mean(axis=0), shapes.std(axis=0)
    found: Vector = np.asarray(np.corrcoef(shapes.T))
    return mean, scale, _TRUSTED * found + (1 - _TRUSTED) * np.eye(len(found))


def _correlation(one: npt.NDArray[Any], other: npt.NDArray[Any]) -> float:
    one, other = one - one.mean(), other - other.mean()
    norm = float(np.sqrt((one * one).sum() * (other * other).sum()))
    return float((one * other).sum()) / norm if norm > VIEW_SIDE * 1e-6 else 0.0
