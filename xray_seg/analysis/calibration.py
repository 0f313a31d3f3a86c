"""Calibration from quality features to predicted Dice, fitted by benchmarks/quality.py."""

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
from .features import THUMBNAIL_SIDE, QualityFeatures
from .shape_features import FEATURES_OF, LATERALITY_FEATURES, SHAPE_FEATURES, Vector

CALIBRATION_FILE = Path(__file__).with_name("calibration.json")
#: Distance from the mean shape, in standard deviations, where no feature is known; larger
#: deviations are clipped to it.
FARTHEST = 30.0
#: Shrinkage: weight of the empirical correlation of shape features; the rest is the identity.
_EMPIRICAL_WEIGHT = 0.9
#: Orientations by right angles.
_ROTATIONS = 4


@dataclass(frozen=True)
class LogisticModel:
    """A logistic model of an organ's Dice, with standardised inputs.

    Attributes:
        mean: (n,) mean of the inputs.
        scale: (n,) standard deviation of the inputs.
        coefficients: (n,) weights of the standardised inputs.
        bias: the intercept.
    """

    mean: list[float]
    scale: list[float]
    coefficients: list[float]
    bias: float

    def __call__(self, inputs: Vector) -> Vector:
        """Predict (m,) Dice in [0, 1] from (m, n) inputs."""
        standard = (inputs - np.array(self.mean)) / np.array(self.scale)
        score = standard @ np.array(self.coefficients) + self.bias
        return 1 / (1 + np.exp(-np.clip(score, -30, 30)))


@dataclass(frozen=True)
class Calibration:
    """Statistics of the training radiographs, and models fitted to them.

    Attributes:
        weights_sha256: hash of the weights whose output it was fitted to.
        shape_mean: (F,) mean shape features of the true masks, in the order of SHAPE_FEATURES.
        shape_scale: (F,) their standard deviation.
        shape_correlation: (F, F) their correlation, shrunk towards the identity.
        template: (THUMBNAIL_SIDE, THUMBNAIL_SIDE) mean thumbnail of upright phantoms.
        organs: model of each organ's Dice, by name.
        limits: thresholds of the warnings: ``chest_score`` and ``chest_likeness`` (below: not a
            chest), ``rotated``, ``swapped`` and ``touching`` (above: a warning).
    """

    weights_sha256: str
    shape_mean: list[float]
    shape_scale: list[float]
    shape_correlation: list[list[float]]
    template: list[list[float]]
    organs: dict[str, LogisticModel]
    limits: dict[str, float]

    def model_inputs(self, features: QualityFeatures) -> Vector:
        """(n,) inputs of the models of Dice."""
        distances = [self.shape_distance(features.shape)]
        distances += [
            self.shape_distance(features.shape, FEATURES_OF[organ.name]) for organ in ORGANS
        ]
        return np.array(
            [
                *np.concatenate([features.confidence[organ.name] for organ in ORGANS]),
                *np.log1p(distances),
                len(features.missing),
                np.isnan(features.shape).mean(),
            ]
        )

    def shape_distance(self, shape: Vector, chosen: npt.NDArray[np.bool_] | None = None) -> float:
        """Mahalanobis distance from the mean true shape, divided by the root of the dimension.

        Args:
            shape: (F,) shape features; NaN where unknown.
            chosen: (F,) features to use; None for all.
        """
        deviation = (shape - np.array(self.shape_mean)) / np.array(self.shape_scale)
        used = ~np.isnan(deviation)
        if chosen is not None:
            used &= chosen
        if not used.any():
            return FARTHEST
        deviation = np.clip(deviation[used], -FARTHEST, FARTHEST)
        square = deviation @ np.linalg.solve(self._correlation[np.ix_(used, used)], deviation)
        return float(np.sqrt(square / len(deviation)))

    def template_similarity(self, thumbnail: npt.NDArray[np.float32]) -> tuple[float, float]:
        """Correlation with the template: as it stands, and the highest of three rotations."""
        found = [
            _correlation(np.rot90(thumbnail, turns), self._template) for turns in range(_ROTATIONS)
        ]
        return found[0], max(found[1:])

    def mirror_evidence(self, shape: Vector) -> float:
        """How much nearer the mirrored shape is to the true ones; 0 if unknown.

        The difference of squared standardised distances, over LATERALITY_FEATURES.
        """
        chosen = [SHAPE_FEATURES.index(name) for name in LATERALITY_FEATURES]
        mean, scale = np.array(self.shape_mean)[chosen], np.array(self.shape_scale)[chosen]
        stored = shape[chosen]
        if np.isnan(stored).any():
            return 0.0
        mirrored = np.array([-stored[0], 1 - stored[1]])
        as_is, flipped = (
            float((((each - mean) / scale) ** 2).sum()) for each in (stored, mirrored)
        )
        return as_is - flipped

    @cached_property
    def _template(self) -> Vector:
        return np.array(self.template)

    @cached_property
    def _correlation(self) -> Vector:
        return np.array(self.shape_correlation)


@cache
def load_calibration() -> Calibration:
    """Load the shipped calibration."""
    fields: dict[str, Any] = json.loads(CALIBRATION_FILE.read_text("utf-8"))
    fields["organs"] = {name: LogisticModel(**model) for name, model in fields["organs"].items()}
    return Calibration(**fields)


def save_calibration(calibration: Calibration, path: Path = CALIBRATION_FILE) -> None:
    """Write a calibration as JSON, with six significant digits."""
    rounded = json.loads(
        json.dumps(asdict(calibration)), parse_float=lambda text: float(f"{float(text):.6g}")
    )
    write_text(path, json.dumps(rounded) + "\n")


def shape_statistics(shapes: Vector) -> tuple[Vector, Vector, Vector]:
    """Mean, standard deviation and shrunk correlation of (n, F) shape features."""
    mean, scale = shapes.mean(axis=0), shapes.std(axis=0)
    empirical: Vector = np.asarray(np.corrcoef(shapes.T))
    identity = np.eye(len(empirical))
    return mean, scale, _EMPIRICAL_WEIGHT * empirical + (1 - _EMPIRICAL_WEIGHT) * identity


def _correlation(one: npt.NDArray[Any], other: npt.NDArray[Any]) -> float:
    """Pearson correlation of two images; 0 for a uniform one."""
    one, other = one - one.mean(), other - other.mean()
    norm = float(np.sqrt((one * one).sum() * (other * other).sum()))
    return float((one * other).sum()) / norm if norm > THUMBNAIL_SIDE * 1e-6 else 0.0
