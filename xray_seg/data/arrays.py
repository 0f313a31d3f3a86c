"""Cases decoded to arrays on the network's grid."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from ..labels import CLASSES
from ..preprocessing.preprocessor import Preprocessor
from .cases import Case, read_radiograph, read_truth


@dataclass(frozen=True)
class Arrays:
    """Cases decoded to a grid of side S.

    Attributes:
        images: (N, S, S) float32 in [0, 1], bones bright.
        fractions: (N, S, S, 4) uint8, share of each label in a pixel, in units of 1/255.
        possible: (N, 4, 4) bool, the classes that a label can mean, see ``Annotation.possible``;
            None where all organs of all cases are known, so that a label is a class.
        repeats: (N,) float64, how often an epoch of training uses each case; None for once.
    """

    images: npt.NDArray[np.float32]
    fractions: npt.NDArray[np.uint8]
    possible: npt.NDArray[np.bool_] | None = None
    repeats: npt.NDArray[np.float64] | None = None


def load_arrays(
    cases: Sequence[Case], size: int, *, on_progress: Callable[[int], None] = lambda done: None
) -> Arrays:
    """Decode cases to a (size, size) grid.

    Args:
        cases: the cases, N in number.
        size: side S of the grid.
        on_progress: called after each case with the number of cases decoded so far.

    Raises:
        ReadError: a radiograph or mask cannot be read.
        DatasetError: the masks of a case differ in size or are empty.
    """
    images = np.empty((len(cases), size, size), np.float32)
    fractions = np.empty((len(cases), size, size, CLASSES), np.uint8)
    for index, case in enumerate(cases):
        images[index], fractions[index] = load_case(case, size)
        on_progress(index + 1)
    possible, repeats = None, None
    if not all(case.annotation.is_full for case in cases):
        possible = np.stack([case.annotation.possible for case in cases])
    if any(case.repeat != 1 for case in cases):
        repeats = np.array([case.repeat for case in cases])
    return Arrays(images, fractions, possible, repeats)


def load_case(case: Case, size: int) -> tuple[npt.NDArray[np.float32], npt.NDArray[np.uint8]]:
    """Decode one case to a (size, size) grid; the arguments and exceptions of ``load_arrays``.

    Returns:
        (size, size) float32 image and (size, size, 4) uint8 class shares, as in ``Arrays``.
        Pixels outside the radiograph are background, and so are all without masks.
    """
    from ..kernels import area_fractions

    model_input = Preprocessor(size)(read_radiograph(case))
    box = model_input.box
    fractions = np.zeros((size, size, CLASSES), np.uint8)
    fractions[..., 0] = 255
    if case.masks:
        shares = area_fractions(read_truth(case), (box.height, box.width), CLASSES)
        box.crop(fractions)[:] = (shares * 255).round().astype(np.uint8)
    return model_input.grid, fractions
