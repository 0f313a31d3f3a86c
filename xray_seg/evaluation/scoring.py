"""Scores of a model against true masks, at the masks' own resolution."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from ..data.cases import Case, read_truth
from ..labels import CLASSES, ORGANS
from ..models.losses import soft_dice_cross_entropy
from ..postprocessing.restore import restore
from ..preprocessing.preprocessor import ModelInput, Preprocessor
from ..readers import read
from ..segmenter import Segmenter

Mask = npt.NDArray[np.bool_]

#: What is reported of each organ.
SCORES = ("dice", "jaccard", "assd_mm", "hd95_mm")


@dataclass(frozen=True)
class CaseScores:
    """Scores of one case.

    Attributes:
        name: the case's.
        organs: per organ name and score of SCORES; None where it is not defined (a distance
            where a mask is empty, or where no spacing is known).
        accuracy: share of pixels with the right label.
        loss: cross-entropy plus one minus soft Dice on the network's grid.
    """

    name: str
    organs: dict[str, dict[str, float | None]]
    accuracy: float
    loss: float


def evaluate(
    segmenter: Segmenter,
    cases: Sequence[Case],
    spacing: float | None = None,
    tell: Callable[[int], None] = lambda done: None,
) -> list[CaseScores]:
    """Segment each case and score it against its masks.

    Args:
        segmenter: model and engine.
        cases: radiographs with masks.
        spacing: mm between pixels of the masks; None to take it from the radiographs where
            their files state it.
        tell: called with the number done after each case.

    Raises:
        ReadError, DatasetError: a case cannot be read.
    """
    scores = []
    preprocess = Preprocessor(segmenter.engine.size)
    for index, case in enumerate(cases):
        model_input = preprocess(read(case.image))
        probabilities = segmenter.engine.predict(model_input.grid[None])[0]
        scores.append(_score(case, model_input, probabilities, spacing))
        tell(index + 1)
    return scores


def dice(one: Mask, other: Mask) -> float:
    """Twice the common part by the sum of both (Dice 1945); 1 where both are empty."""
    total = int(one.sum()) + int(other.sum())
    return 2 * int((one & other).sum()) / total if total else 1.0


def jaccard(one: Mask, other: Mask) -> float:
    """The common part by the union (Jaccard 1901); 1 where both are empty."""
    union = int((one | other).sum())
    return int((one & other).sum()) / union if union else 1.0


def surface_distances(
    one: Mask, other: Mask, spacing: tuple[float, float]
) -> npt.NDArray[np.float64] | None:
    """Distances from each mask's boundary pixels to the other's boundary, both ways, in mm.

    A boundary pixel is one of the mask with a side on the outside. The average of the result is
    the average symmetric surface distance, its 95th percentile the 95 % Hausdorff distance
    (definitions as in Taha and Hanbury, BMC Medical Imaging 15:29, 2015).

    Returns:
        A flat array, or None where a mask is empty.
    """
    from scipy import ndimage

    if not one.any() or not other.any():
        return None
    rows, columns = np.nonzero(one | other)
    window = np.s_[rows.min() : rows.max() + 1, columns.min() : columns.max() + 1]
    edges = [mask & ~ndimage.binary_erosion(mask) for mask in (one[window], other[window])]
    away = [ndimage.distance_transform_edt(~edge, spacing) for edge in edges]
    return np.concatenate([away[1][edges[0]], away[0][edges[1]]])


def _score(
    case: Case,
    model_input: ModelInput,
    probabilities: npt.NDArray[np.float32],
    spacing: float | None,
) -> CaseScores:
    truth = read_truth(case)
    inside = model_input.box.crop(probabilities)
    found, _ = restore(inside, (truth.shape[0], truth.shape[1]))
    scale = _mask_spacing(model_input, truth.shape, spacing)
    organs: dict[str, dict[str, float | None]] = {}
    for organ in ORGANS:
        one, other = found == organ.label, truth == organ.label
        away = surface_distances(one, other, scale) if scale else None
        organs[organ.name] = {
            "dice": dice(one, other),
            "jaccard": jaccard(one, other),
            "assd_mm": None if away is None else float(away.mean()),
            "hd95_mm": None if away is None else float(np.percentile(away, 95)),
        }
    return CaseScores(
        case.name, organs, float(np.mean(found == truth)), _loss(model_input, probabilities, truth)
    )


def _mask_spacing(
    model_input: ModelInput, shape: tuple[int, ...], spacing: float | None
) -> tuple[float, float] | None:
    """(row, column) spacing of the masks, which may be coarser than the radiograph."""
    if spacing is not None:
        return spacing, spacing
    film = model_input.radiograph
    if film.spacing is None:
        return None
    return film.spacing[0] * film.shape[0] / shape[0], film.spacing[1] * film.shape[1] / shape[1]


def _loss(
    model_input: ModelInput, probabilities: npt.NDArray[np.float32], truth: npt.NDArray[np.uint8]
) -> float:
    from ..kernels import area_fractions

    box = model_input.box
    target = area_fractions(truth, (box.height, box.width), CLASSES)
    return float(soft_dice_cross_entropy(target[None], box.crop(probabilities)[None], np))
