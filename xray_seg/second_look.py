"""A second look at radiographs whose first prediction is doubtful.

The network was trained on upright radiographs with bright bones. On an image that is inverted,
turned, or framed by something that is no border, its masks are poor, and the predicted quality
says so. Then other readings of the image are predicted, and the best one is taken if it is better
by a margin. Everything here happens on the grid: no pixel is read again.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace

import numpy as np
import numpy.typing as npt

from .analysis.calibration import Calibration, calibration_of
from .analysis.quality import estimate_quality
from .labels import ORGANS
from .models.engines import Engine
from .models.model_folder import Model
from .postprocessing.prediction import GridPrediction
from .postprocessing.restore import restore
from .preprocessing.corrections import Reading
from .preprocessing.preprocessor import ModelInput
from .radiograph import Radiograph

#: A prediction in which each organ has at least this expected Dice (of its mask and masks drawn
#: from its probabilities) is not looked at closer. Of inverted and turned copies of 1,107
#: radiographs of three sources, none reaches it.
CLEAR = 0.8
#: Predicted quality below which other readings are tried. No inverted or turned copy reaches it.
DOUBTFUL = 0.7
#: Another reading is taken if its predicted quality is higher by this much. Of 1,107 upright
#: radiographs of three sources each has a higher quality than its inverted and turned copies; for
#: 3 of them, not by this much.
MARGIN = 0.1
#: Below this predicted quality no reading is believed: the image may show anything. Of 1,738
#: upright radiographs of four sources, all but 3 have a higher one.
CREDIBLE = 0.3

_RIGHT_ANGLES = (90, 180, 270)


@dataclass(frozen=True)
class Prediction:
    """What the network predicts of a radiograph, in one reading.

    Attributes:
        model_input: the radiograph in that reading.
        probabilities: (S, S, 4) float32 on its grid.
    """

    model_input: ModelInput
    probabilities: npt.NDArray[np.float32]

    def with_note(self, note: str) -> Prediction:
        """The same, with a sentence on how it came about."""
        shown = self.model_input.presentation
        presentation = replace(shown, notes=(*shown.notes, note))
        return replace(self, model_input=replace(self.model_input, presentation=presentation))


@dataclass(frozen=True)
class _Doubt:
    """A doubtful prediction: where it stands in the batch, and the best reading so far."""

    place: int
    first: Prediction
    first_score: float
    best: Prediction
    best_score: float

    @property
    def chosen(self) -> Prediction:
        """The best reading if it is credible and clearly better than the first, else the first."""
        if self.best_score < max(CREDIBLE, self.first_score + MARGIN):
            return self.first
        return self.best.with_note(
            f"{_describe(self.first.model_input, self.best.model_input)} by a second look: "
            f"predicted quality {self.best_score:.2f} instead of {self.first_score:.2f}"
        )


def look_again(
    engine: Engine, predictions: Sequence[Prediction], model: Model | None
) -> list[Prediction]:
    """Predict doubtful radiographs in other readings, and take those that are clearly better.

    Args:
        engine: predicts the other readings, of all doubtful radiographs together.
        predictions: of first looks.
        model: the weights. Without a calibration of their quality, the first looks stand.

    Returns:
        The predictions, in the same order, each in the reading chosen.
    """
    calibration = calibration_of(model)
    if calibration is None:
        return list(predictions)
    chosen = list(predictions)
    doubts = []
    for place, each in enumerate(predictions):
        if may_change(each.model_input) and not is_clear(each):
            score = grid_quality(each, calibration)
            if score < DOUBTFUL:
                doubts.append(_Doubt(place, each, score, each, score))
    doubts = _try(engine, calibration, doubts, _single_changes)
    unsettled = [each for each in doubts if each.best_score < DOUBTFUL]
    settled = [each for each in doubts if each.best_score >= DOUBTFUL]
    for doubt in (*settled, *_try(engine, calibration, unsettled, _double_changes)):
        chosen[doubt.place] = doubt.chosen
    return chosen


def is_clear(prediction: Prediction) -> bool:
    """Whether a prediction is so certain of each organ that no other reading can be meant.

    It looks at every fourth pixel, without compiled kernels, which a process with the engine
    alone would otherwise have to load.
    """
    inside = prediction.model_input.box.crop(prediction.probabilities)[::2, ::2]
    planes = np.ascontiguousarray(np.moveaxis(inside, -1, 0))  # far faster to reduce
    highest = planes.max(axis=0)
    for organ in ORGANS:
        share = planes[organ.label]
        mask = share == highest
        area = np.count_nonzero(mask)
        if not area or 2 * share[mask].sum() < CLEAR * (share.sum() + area):
            return False
    return True


def grid_quality(prediction: Prediction, calibration: Calibration) -> float:
    """Predicted quality of a prediction, judged on the grid."""
    box = prediction.model_input.box
    inside = GridPrediction.inside(box, prediction.probabilities)
    labels, _ = restore(inside, (box.height, box.width))
    shown = Radiograph(np.ascontiguousarray(box.crop(prediction.model_input.grid)), False)
    return estimate_quality(shown, labels, inside, calibration).score or 0.0


def may_change(model_input: ModelInput) -> bool:
    """Whether a second look may show the radiograph in another way."""
    return any(True for _ in _single_changes(model_input))


def _single_changes(shown: ModelInput) -> Iterator[Reading]:
    if shown.presentation.may_swap:
        yield Reading(swap_polarity=True)
    if shown.presentation.may_turn:
        yield from (Reading(turn_deg=angle) for angle in _RIGHT_ANGLES)
    if shown.whole is not None:
        yield Reading(whole=True)


def _double_changes(shown: ModelInput) -> Iterator[Reading]:
    if shown.presentation.may_swap and shown.presentation.may_turn:
        yield from (Reading(swap_polarity=True, turn_deg=angle) for angle in _RIGHT_ANGLES)


def _try(
    engine: Engine,
    calibration: Calibration,
    doubts: list[_Doubt],
    changes: Callable[[ModelInput], Iterator[Reading]],
) -> list[_Doubt]:
    """Predict other readings of doubtful radiographs, and keep the best of each."""
    candidates = [
        (index, doubt.first.model_input.shown(reading))
        for index, doubt in enumerate(doubts)
        for reading in changes(doubt.first.model_input)
    ]
    found = list(doubts)
    for first in range(0, len(candidates), engine.batch_size):
        part = candidates[first : first + engine.batch_size]
        outcomes = engine.predict(np.stack([shown.grid for _, shown in part]))
        for (index, shown), probabilities in zip(part, outcomes, strict=True):
            prediction = Prediction(shown, np.array(probabilities))
            score = grid_quality(prediction, calibration)
            if score > found[index].best_score:
                found[index] = replace(found[index], best=prediction, best_score=score)
    return found


def _describe(first: ModelInput, best: ModelInput) -> str:
    """What a reading changes, in words."""
    one, other = first.radiograph, best.radiograph
    words = []
    if one.inverted != other.inverted:
        words.append("polarity changed")
    if one.orientation != other.orientation:
        first_angle, angle = (
            each.orientation.rotation_deg if each.orientation else 0 for each in (one, other)
        )
        stated = " instead of " + str(first_angle) if first_angle else ""
        words.append(f"turned by {angle}{stated} degrees")
    if one.field_of_view != other.field_of_view:
        words.append("whole image used")
    return " and ".join(words)
