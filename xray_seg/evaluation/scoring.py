"""Evaluation of a segmenter on cases with reference masks, at the resolution of the masks."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from ..data.cases import Case, read_truth
from ..labels import CLASSES, ORGANS
from ..models.losses import soft_dice_cross_entropy
from ..postprocessing.prediction import GridPrediction
from ..postprocessing.restore import restore_stored
from ..preprocessing.preprocessor import ModelInput, Preprocessor
from ..readers import read
from ..second_look import Prediction, look_again
from ..segmenter import Segmenter
from .metrics import dice, jaccard, surface_distances

#: Names of the scores of each organ.
SCORES = ("dice", "jaccard", "assd_mm", "hd95_mm")


@dataclass(frozen=True)
class CaseScores:
    """Scores of one case.

    Attributes:
        name: name of the case.
        organs: by organ name and by name of SCORES: Dice, Jaccard, average symmetric surface
            distance and 95 % Hausdorff distance, both in mm. A distance is None where one of the
            two masks is empty or the spacing is unknown.
        accuracy: share of the pixels whose label is right, background included.
        loss: soft cross-entropy plus one minus soft Dice, on the part of the network's grid that
            the radiograph covers.
    """

    name: str
    organs: dict[str, dict[str, float | None]]
    accuracy: float
    loss: float


def evaluate(
    segmenter: Segmenter,
    cases: Sequence[Case],
    *,
    spacing: float | None = None,
    on_progress: Callable[[int], None] = lambda done: None,
) -> list[CaseScores]:
    """Segment cases and score the results against their reference masks.

    Predictions are label maps, cleaned up and restored to the resolution of the masks. Masks are
    merged into one label map (``data.cases.read_truth``), so that each pixel counts for one organ
    and the lungs exclude what the heart and the clavicles cover.

    Example:
        cases = find_cases("jsrt/images", "jsrt/scr")
        scores = evaluate(Segmenter(), cases, spacing=0.35)

    Args:
        segmenter: the model and its engine.
        cases: radiographs with masks, as ``find_cases`` returns them.
        spacing: mm between the centres of mask pixels. None derives it from the spacing that a
            radiograph's file states, if it states one.
        on_progress: called after each case with the number of cases scored so far.

    Returns:
        The scores, in the order of ``cases``. ``evaluation.summary.summarise`` aggregates them.

    Raises:
        ReadError: a radiograph or mask cannot be read.
        DatasetError: the masks of a case differ in size or are empty.
    """
    scores = []
    preprocess = Preprocessor(segmenter.engine.size, segmenter.corrections)
    for index, case in enumerate(cases):
        model_input = preprocess(read(case.image))
        first = Prediction(model_input, segmenter.engine.predict(model_input.grid[None])[0])
        (prediction,) = look_again(segmenter.engine, [first], segmenter.model)
        scores.append(_score(case, prediction, spacing))
        on_progress(index + 1)
    return scores


def _score(case: Case, prediction: Prediction, spacing: float | None) -> CaseScores:
    truth = read_truth(case)
    model_input, probabilities = prediction.model_input, prediction.probabilities
    on_grid = GridPrediction.inside(model_input.box, probabilities)
    labels, _ = restore_stored(model_input, on_grid, (truth.shape[0], truth.shape[1]))
    mask_spacing = _mask_spacing(model_input, truth.shape, spacing)
    return CaseScores(
        case.name,
        {
            organ.name: _score_organ(labels == organ.label, truth == organ.label, mask_spacing)
            for organ in ORGANS
        },
        float(np.mean(labels == truth)),
        _loss(model_input, probabilities, truth),
    )


def _score_organ(
    prediction: npt.NDArray[np.bool_],
    reference: npt.NDArray[np.bool_],
    spacing: tuple[float, float] | None,
) -> dict[str, float | None]:
    """Values of SCORES for (H, W) masks of one organ."""
    distances = surface_distances(prediction, reference, spacing) if spacing else None
    return {
        "dice": dice(prediction, reference),
        "jaccard": jaccard(prediction, reference),
        "assd_mm": None if distances is None else float(distances.mean()),
        "hd95_mm": None if distances is None else float(np.percentile(distances, 95)),
    }


def _mask_spacing(
    model_input: ModelInput, shape: tuple[int, ...], spacing: float | None
) -> tuple[float, float] | None:
    """(row, column) spacing in mm of masks of a shape, which may be coarser than the radiograph."""
    if spacing is not None:
        return spacing, spacing
    radiograph = model_input.radiograph
    if radiograph.spacing is None:
        return None
    height, width = radiograph.shape
    return radiograph.spacing[0] * height / shape[0], radiograph.spacing[1] * width / shape[1]


def _loss(
    model_input: ModelInput, probabilities: npt.NDArray[np.float32], truth: npt.NDArray[np.uint8]
) -> float:
    """Loss of (S, S, 4) probabilities against the class shares of (H, W) labels."""
    from ..kernels import area_fractions

    box, radiograph = model_input.box, model_input.radiograph
    shown = radiograph.region.scaled(radiograph.shape, truth.shape).crop(truth)
    upright = np.ascontiguousarray(radiograph.turn.upright(shown))
    target = area_fractions(upright, (box.height, box.width), CLASSES)
    return float(soft_dice_cross_entropy(target[None], box.crop(probabilities)[None], np))
