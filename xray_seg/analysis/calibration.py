"""Calibration of predicted Dice: models for one set of weights, kept in their model folder."""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from functools import cached_property, lru_cache
from pathlib import Path
from typing import Any

import numpy as np

from .._util.files import write_text
from ..errors import WeightsError
from ..labels import ORGANS
from ..models.model_folder import CALIBRATION_FILE, Model
from .anatomy import rounded_json
from .model_inputs import ORGAN_INPUTS, SIDE_INPUTS
from .shape_features import Vector

#: Models of one side of a paired organ, by name of the organ.
SIDE_MODELS = {"clavicles": "clavicle", "lungs": "lung"}
#: Standardised inputs are clipped to this, so that rare values do not decide alone.
CLIP = 6.0
#: Names of the inputs of the models of organs and of single sides.
_INPUTS = {"organ": list(ORGAN_INPUTS), "side": list(SIDE_INPUTS)}


@dataclass(frozen=True)
class LogisticModel:
    """A logistic model of Dice, with standardised inputs.

    Attributes:
        mean: (n,) mean of the inputs.
        scale: (n,) standard deviation of the inputs.
        coefficients: (n,) weights of the standardised inputs.
        bias: the intercept.
        doubtful: predicted Dice below which more than half of the masks are bad.
    """

    mean: list[float]
    scale: list[float]
    coefficients: list[float]
    bias: float
    doubtful: float = 0.0

    def __call__(self, inputs: Vector) -> Vector:
        """Predict (m,) Dice in [0, 1] from (m, n) inputs."""
        mean, scale, coefficients = self._arrays
        score = np.clip((inputs - mean) / scale, -CLIP, CLIP) @ coefficients + self.bias
        return 1 / (1 + np.exp(-np.clip(score, -30, 30)))

    @cached_property
    def _arrays(self) -> tuple[Vector, Vector, Vector]:
        return np.array(self.mean), np.array(self.scale), np.array(self.coefficients)


@dataclass(frozen=True)
class Calibration:
    """Models of Dice for one set of weights.

    Attributes:
        weights_sha256: hash of the weights whose output they were fitted to.
        models: by name of organ, and ``clavicle`` and ``lung`` for a single one.
        chest_score: mean predicted Dice below which an image is taken for no chest radiograph.
        inputs: names of the inputs of the models of organs and of single sides.
        fitted_to: number of radiographs by source, and what else describes the fit.
    """

    weights_sha256: str
    models: dict[str, LogisticModel]
    chest_score: float
    inputs: dict[str, list[str]] = field(default_factory=lambda: dict(_INPUTS))
    fitted_to: dict[str, Any] = field(default_factory=dict)


def calibration_of(model: Model | None) -> Calibration | None:
    """The calibration in a model's folder.

    Returns:
        None without a model, without a calibration, or where it was fitted to other weights or by
        a version of this package with other features.

    Raises:
        WeightsError: the file is no calibration.
    """
    return None if model is None else _calibration_in(model.folder, model.sha256)


def save_calibration(calibration: Calibration, path: Path) -> None:
    """Write a calibration as JSON, with six significant digits."""
    write_text(path, rounded_json(calibration))
    _calibration_in.cache_clear()


def read_calibration(path: Path) -> Calibration:
    """Read a calibration.

    Raises:
        WeightsError: the file is no calibration.
    """
    try:
        fields: dict[str, Any] = json.loads(path.read_text("utf-8"))
        fields["models"] = {name: LogisticModel(**each) for name, each in fields["models"].items()}
        found = Calibration(**fields)
        if not {*(organ.name for organ in ORGANS), *SIDE_MODELS.values()} <= found.models.keys():
            raise ValueError(f"models of {', '.join(found.models)}")
    except (OSError, ValueError, KeyError, TypeError, AttributeError) as error:
        raise WeightsError(
            f"{path}: is not a calibration ({error!r}); remove it, or run xrayseg calibrate"
        ) from error
    return found


@lru_cache(maxsize=8)
def _calibration_in(folder: Path, sha256: str) -> Calibration | None:
    path = folder / CALIBRATION_FILE
    if not path.is_file():
        return None
    found = read_calibration(path)
    return found if found.weights_sha256 == sha256 and found.inputs == _INPUTS else None
