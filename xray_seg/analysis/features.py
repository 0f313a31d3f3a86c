"""What one prediction says about itself: the numbers that predicted Dice and flags rest on."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from ..labels import HEART, LUNGS, ORGANS
from ..postprocessing.laterality import find_sides
from ..preprocessing.polarity import looks_inverted
from ..preprocessing.preprocessor import Preprocessor
from ..radiograph import Radiograph
from .shape import describe

Vector = npt.NDArray[np.float64]

#: Side of the small picture that a film's posture is told from.
VIEW_SIDE = 32
_LEAST = 1e-3


@dataclass(frozen=True)
class Evidence:
    """Numbers from a film, its probabilities and its masks.

    Attributes:
        confidence: by organ, (3,) float64: the Dice that the probabilities lead to
            expect (of the mask against draws from them) and the mean probability inside, both as
            logits; and the logarithm of the spread of probability per length of outline.
        shape: (len(shape.FEATURES),) float64, not a number where an organ is missing.
        view: (VIEW_SIDE, VIEW_SIDE) float32 in [0, 1], the film as it is shown, letterboxed.
        touching: by organ, the share of the film's longest side along which it touches a border.
        empty: names of the organs that were not found.
        contradicted: whether the film looks inverted where its stated polarity was believed.
    """

    confidence: dict[str, Vector]
    shape: Vector
    view: npt.NDArray[np.float32]
    touching: dict[str, float]
    empty: tuple[str, ...]
    contradicted: bool


def gather(
    radiograph: Radiograph,
    labels: npt.NDArray[np.uint8],
    probabilities: npt.NDArray[np.float32],
) -> Evidence:
    """Gather the evidence of one segmentation.

    Args:
        radiograph: its ``inverted`` is decided.
        labels: (H, W) uint8 its label map.
        probabilities: (h, w, classes) float32 on the part of the grid that it covers.
    """
    from ..kernels import class_sums, nearest

    height, width = probabilities.shape[:2]
    small = nearest(labels, (height, width))
    sums = class_sums(probabilities, small)
    view, contradicted = _view(radiograph)
    return Evidence(
        {organ.name: _confidence(*sums[organ.label]) for organ in ORGANS},
        describe(find_sides(small)),
        view,
        {organ.name: _touching(labels, organ.label) for organ in (HEART, LUNGS)},
        tuple(organ.name for organ in ORGANS if not sums[organ.label, 0]),
        contradicted,
    )


def _confidence(area: float, within: float, whole: float, unsure: float) -> Vector:
    """Of an organ's row of ``class_sums``."""
    expected = 2 * within / max(whole + area, _LEAST)
    certain = within / max(area, 1)
    spread = unsure / (np.sqrt(area) + 1)
    return np.array([_logit(expected), _logit(certain), np.log(spread + _LEAST)])


def _logit(share: float) -> float:
    share = min(max(share, _LEAST), 1 - _LEAST)
    return float(np.log(share / (1 - share)))


def _view(radiograph: Radiograph) -> tuple[npt.NDArray[np.float32], bool]:
    view = Preprocessor(VIEW_SIDE)(radiograph)
    return view.grid, looks_inverted(view.box.crop(view.grid))


def _touching(labels: npt.NDArray[np.uint8], label: int) -> float:
    borders = labels[0], labels[-1], labels[:, 0], labels[:, -1]
    return max(int(np.count_nonzero(border == label)) for border in borders) / max(labels.shape)
