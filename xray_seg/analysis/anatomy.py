"""Statistics of chests: shapes of true masks, a mean radiograph, and limits of warnings.

They belong to no weights. benchmarks/quality.py computes them.
"""

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
from .features import THUMBNAIL_SIDE
from .shape_features import FEATURES_OF, LATERALITY_FEATURES, SHAPE_FEATURES, Vector

ANATOMY_FILE = Path(__file__).with_name("anatomy.json")
#: Distance from the mean shape, in standard deviations, where no feature is known; larger
#: deviations are clipped to it.
FARTHEST = 30.0
#: Shrinkage: weight of the empirical correlation of shape features; the rest is the identity.
_EMPIRICAL_WEIGHT = 0.9
#: Orientations by right angles.
_ROTATIONS = 4


@dataclass(frozen=True)
class Anatomy:
    """Statistics of chests.

    Attributes:
        shape_mean: (F,) mean shape features of true masks, in the order of SHAPE_FEATURES.
        shape_scale: (F,) their standard deviation.
        shape_correlation: (F, F) their correlation, shrunk towards the identity.
        template: (THUMBNAIL_SIDE, THUMBNAIL_SIDE) mean thumbnail of upright phantoms.
        limits: thresholds of the warnings: ``chest_likeness`` (below: not a chest), ``rotated``,
            ``swapped``, ``heart``, ``asymmetric`` and ``touching`` (above: a warning).
    """

    shape_mean: list[float]
    shape_scale: list[float]
    shape_correlation: list[list[float]]
    template: list[list[float]]
    limits: dict[str, float]

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

    def shape_distances(self, shape: Vector) -> Vector:
        """(4,) logarithm of one plus the distance of all features, and of each organ's."""
        chosen = [None, *(FEATURES_OF[organ.name] for organ in ORGANS)]
        return np.log1p([self.shape_distance(shape, each) for each in chosen])

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

    def heart_mirror_evidence(self, shape: Vector) -> float:
        """How much nearer to the true ones the mirrored position of the heart is; 0 if unknown."""
        place = SHAPE_FEATURES.index("heart_x")
        if np.isnan(shape[place]):
            return 0.0
        mean, scale = self.shape_mean[place], self.shape_scale[place]
        as_is, flipped = (((x - mean) / scale) ** 2 for x in (shape[place], 1 - shape[place]))
        return float(as_is - flipped)

    def lung_asymmetry(self, shape: Vector) -> float:
        """Deviation of the ratio of the lungs' areas from the mean, in standard deviations."""
        place = SHAPE_FEATURES.index("lungs_right_to_left")
        deviation = abs(shape[place] - self.shape_mean[place]) / self.shape_scale[place]
        return 0.0 if np.isnan(deviation) else float(deviation)

    @cached_property
    def _template(self) -> Vector:
        return np.array(self.template)

    @cached_property
    def _correlation(self) -> Vector:
        return np.array(self.shape_correlation)


@cache
def load_anatomy() -> Anatomy:
    """Load the shipped statistics."""
    fields: dict[str, Any] = json.loads(ANATOMY_FILE.read_text("utf-8"))
    return Anatomy(**fields)


def save_anatomy(anatomy: Anatomy, path: Path = ANATOMY_FILE) -> None:
    """Write statistics as JSON."""
    write_text(path, rounded_json(anatomy))


def rounded_json(fields: Any) -> str:
    """Encode a dataclass as JSON, with six significant digits."""
    rounded = json.loads(
        json.dumps(asdict(fields)), parse_float=lambda text: float(f"{float(text):.6g}")
    )
    return json.dumps(rounded) + "\n"


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
