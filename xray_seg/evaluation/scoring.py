"""Evaluation of a segmenter on cases with reference masks, at the resolution of the masks.

What masks do not know is not scored: organs that they do not show have no scores, and pixels of a
lung mask in which the prediction shows an organ that the mask includes are left out.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from ..data.annotation import Annotation
from ..data.cases import Case, read_radiograph, read_truth
from ..labels import CLASSES, ORGANS
from ..models.losses import complete, soft_dice_cross_entropy
from ..postprocessing.prediction import GridPrediction
from ..postprocessing.restore import restore_stored
from ..preprocessing.preprocessor import ModelInput, Preprocessor
from ..radiograph import Radiograph
from ..second_look import Prediction, look_again
from ..segmenter import Segmenter
from .comparison import Comparison, Labels
from .metrics import Mask, dice, jaccard, surface_distances

#: Names of the scores of each organ.
SCORES = ("dice", "jaccard", "assd_mm", "hd95_mm", "assd_px", "hd95_px")


@dataclass(frozen=True)
class CaseScores:
    """Scores of one case.

    Attributes:
        name: name of the case.
        organs: by organ name and by name of SCORES: Dice, Jaccard, average symmetric surface
            distance and 95 % Hausdorff distance, both in mm and in pixels of the masks. A distance
            is None where one of the two masks is empty, and in mm where the spacing is unknown.
            All are None for an organ that the masks do not show.
        accuracy: share of the pixels whose label is right, or possible where organs are unknown;
            background included.
        loss: soft cross-entropy plus one minus soft Dice, on the part of the network's grid that
            the radiograph covers; None where label maps without probabilities are scored.
        dataset: name of its data set; empty where there is only one.
    """

    name: str
    organs: dict[str, dict[str, float | None]]
    accuracy: float
    loss: float | None
    dataset: str = ""


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
    and the lungs exclude what the heart and the clavicles cover. ``Case.annotation`` says which
    organs the masks show and what their lungs include.

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
        DatasetError: a case has no masks, or they differ in size or are empty.
    """
    scores = []
    preprocess = Preprocessor(segmenter.engine.size, segmenter.corrections)
    for index, case in enumerate(cases):
        model_input = preprocess(read_radiograph(case))
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
    mm = mask_spacing(model_input.radiograph, truth.shape, spacing)
    loss = _loss(model_input, probabilities, truth, case.annotation)
    return score_labels(case, labels, truth, spacing=mm, loss=loss)


def score_labels(
    case: Case,
    labels: Labels,
    truth: Labels,
    *,
    spacing: tuple[float, float] | None,
    loss: float | None = None,
) -> CaseScores:
    """Score a label map.

    Args:
        case: the case.
        labels: (H, W) uint8 predicted labels.
        truth: (H, W) uint8 true labels, see ``read_truth``.
        spacing: (row, column) spacing of the pixels in mm, if known.
        loss: as in CaseScores.
    """
    compared = Comparison.of(labels, truth, case.annotation)
    organs: dict[str, dict[str, float | None]] = {}
    for organ in ORGANS:
        if organ.name in case.annotation.organs:
            reference = compared.reference(truth == organ.label)
            organs[organ.name] = _score_organ(labels == organ.label, reference, spacing)
        else:
            organs[organ.name] = dict.fromkeys(SCORES)
    return CaseScores(case.name, organs, float(np.mean(compared.right)), loss, case.dataset)


def _score_organ(
    prediction: Mask, reference: Mask, spacing: tuple[float, float] | None
) -> dict[str, float | None]:
    """Values of SCORES for (H, W) masks of one organ."""
    distances = surface_distances(prediction, reference, spacing) if spacing else None
    pixels: npt.NDArray[np.float64] | None
    if spacing and distances is not None and spacing[0] == spacing[1]:
        pixels = distances / spacing[0]
    else:
        pixels = surface_distances(prediction, reference, (1.0, 1.0))
    return {
        "dice": dice(prediction, reference),
        "jaccard": jaccard(prediction, reference),
        **_distances("mm", distances),
        **_distances("px", pixels),
    }


def _distances(unit: str, distances: npt.NDArray[np.float64] | None) -> dict[str, float | None]:
    """Average and 95 % Hausdorff distance of surface distances, in their unit."""
    return {
        f"assd_{unit}": None if distances is None else float(distances.mean()),
        f"hd95_{unit}": None if distances is None else float(np.percentile(distances, 95)),
    }


def mask_spacing(
    radiograph: Radiograph, shape: tuple[int, ...], spacing: float | None
) -> tuple[float, float] | None:
    """(row, column) spacing in mm of masks of a shape, which may be coarser than the radiograph.

    Args:
        radiograph: the radiograph of the masks.
        shape: (H, W) of the masks.
        spacing: mm between the centres of mask pixels, if given; None to derive it from the
            radiograph.
    """
    if spacing is not None:
        return spacing, spacing
    if radiograph.spacing is None:
        return None
    height, width = radiograph.shape
    return radiograph.spacing[0] * height / shape[0], radiograph.spacing[1] * width / shape[1]


def _loss(
    model_input: ModelInput,
    probabilities: npt.NDArray[np.float32],
    truth: Labels,
    annotation: Annotation,
) -> float:
    """Loss of (S, S, 4) probabilities against the class shares of (H, W) labels."""
    from ..kernels import area_fractions

    box, radiograph = model_input.box, model_input.radiograph
    shown = radiograph.region.scaled(radiograph.shape, truth.shape).crop(truth)
    upright = np.ascontiguousarray(radiograph.turn.upright(shown))
    target = area_fractions(upright, (box.height, box.width), CLASSES)[None]
    inside = box.crop(probabilities)[None]
    if not annotation.is_full:
        target = complete(target, annotation.possible[None].astype(np.float32), inside, np)
    return float(soft_dice_cross_entropy(target, inside, np))
