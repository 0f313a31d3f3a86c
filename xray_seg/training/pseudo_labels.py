"""Pseudo-labels: what masks do not show, filled in from the predictions of a trained network.

Lee, "Pseudo-label", ICML Workshop on Challenges in Representation Learning, 2013. Masks are kept:
the network only divides a label's area over the classes that it can mean (``losses.complete``).
An organ of an image is filled in only if predictions of changed copies of the image agree on it.
Otherwise nothing is learnt where one of the copies shows it. It is not left open: the network would
learn to call everything uncertain by the name of an organ that can be anywhere, as experiments
showed (docs/experiments.md).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from ..data.arrays import Arrays
from ..errors import TrainingError
from ..labels import BACKGROUND, CLASSES, HEART, LUNGS, ORGANS
from ..models.engines import Engine, open_engine
from ..models.losses import complete
from ..models.model_folder import Model

Grids = npt.NDArray[np.float32]

#: Least agreement, as the mean Dice between the organ in each copy and in all of them together.
#: Dice of a small organ varies more.
LEAST_AGREEMENT = {"clavicles": 0.85, "heart": 0.92, "lungs": 0.94}
#: Probability from which a copy shows a rejected organ.
_SUSPECTED = 0.1
#: Images whose copies are segmented at a time.
_AT_ONCE = 8


@dataclass(frozen=True)
class Change:
    """A change of an image that the network should not mind.

    Attributes:
        degrees: rotation about the centre.
        zoom: factor of size.
        gamma: exponent of the intensities.
    """

    degrees: float = 0.0
    zoom: float = 1.0
    gamma: float = 1.0

    def apply(self, grid: Grids) -> Grids:
        """(S, S) changed copy of a grid."""
        return _affine(grid, self.degrees, self.zoom) ** np.float32(self.gamma)

    def undo(self, probabilities: Grids) -> Grids:
        """(S, S, 4) probabilities of the changed copy, moved back to the pixels of the grid."""
        if not self.degrees and self.zoom == 1:
            return probabilities
        planes = probabilities.transpose(2, 0, 1)
        moved = np.stack([_affine(plane, -self.degrees, 1 / self.zoom) for plane in planes])
        moved[BACKGROUND] += 1 - moved.sum(axis=0)  # what the copy does not show
        return moved.transpose(1, 2, 0)


CHANGES = (
    Change(),
    Change(degrees=5, zoom=0.94),
    Change(degrees=-5, zoom=1.05),
    Change(gamma=0.7),
    Change(gamma=1.4, zoom=0.97),
)


def fill_in_labels(cases: Arrays, model: Model) -> Arrays:
    """Fill in the organs that the masks of cases do not show.

    Args:
        cases: cases decoded at any multiple of the model's grid.
        model: weights that were trained on some cases with all organs.

    Returns:
        The cases, each with what its masks show and the organs that could be filled in as labels.
        Cases in which a copy shows no heart or no lungs, and cases without masks whose copies do
        not agree on the lungs, are left out.

    Raises:
        TrainingError: the masks of all cases show all organs, or no case is left.
    """
    if cases.possible is None:
        raise TrainingError("labels-from has nothing to fill in: the masks show all organs")
    known = np.eye(CLASSES, dtype=bool)
    is_open = [not np.array_equal(each, known) for each in cases.possible]
    engine = open_engine(model)
    fractions, possible = cases.fractions.copy(), cases.possible.copy()
    is_kept = np.ones(len(fractions), bool)
    todo = np.flatnonzero(is_open)
    for start in range(0, len(todo), _AT_ONCE):
        part = todo[start : start + _AT_ONCE]
        for index, probabilities in zip(part, _predict(engine, cases.images[part]), strict=True):
            filled = _fill_in(fractions[index], possible[index], probabilities)
            if filled is None:
                is_kept[index] = False
            else:
                fractions[index], possible[index] = filled
    if not is_kept.any():
        raise TrainingError(f"{model.name}: shows heart and lungs in no case; add masks")
    return Arrays(
        cases.images[is_kept],
        fractions[is_kept],
        possible[is_kept],
        None if cases.repeats is None else cases.repeats[is_kept],
    )


def agreement(probabilities: Grids) -> dict[str, float]:
    """Agreement of the predictions of changed copies of an image, by organ.

    Args:
        probabilities: (N, S, S, 4) class probabilities of N copies, on the same pixels.

    Returns:
        Mean Dice between an organ in each copy and in the mean of all; 0 where none shows it,
        since finding nothing is no evidence that nothing is there.
    """
    together = probabilities.mean(axis=0).argmax(axis=-1)
    copies = probabilities.argmax(axis=-1)
    result = {}
    for organ in ORGANS:
        mask, masks = together == organ.label, copies == organ.label
        sizes = mask.sum() + masks.sum(axis=(1, 2))
        overlap = (mask & masks).sum(axis=(1, 2))
        result[organ.name] = float(np.mean(2 * overlap / np.maximum(sizes, 1)))
    return result


def _fill_in(
    fractions: npt.NDArray[np.uint8], possible: npt.NDArray[np.bool_], probabilities: Grids
) -> tuple[npt.NDArray[np.uint8], npt.NDArray[np.bool_]] | None:
    """Labels of one case with the organs that were filled in, and what the labels can mean.

    Returns:
        (H, W, 4) shares of labels in 255ths and (4, 4) what they can mean; None where a copy
        shows no heart or no lungs, or the copies do not agree on lungs that have no mask.
    """
    is_unknown = possible[BACKGROUND]
    found = agreement(probabilities)
    rejected = [
        organ.label
        for organ in ORGANS
        if is_unknown[organ.label] and found[organ.name] < LEAST_AGREEMENT[organ.name]
    ]
    is_missing = any(found[organ.name] == 0 for organ in (HEART, LUNGS))
    if is_missing or LUNGS.label in rejected:
        return None
    allowed = possible.copy()
    allowed[:, rejected] = False
    np.fill_diagonal(allowed, True)
    shares = complete(
        (fractions / np.float32(255))[None],
        allowed[None].astype(np.float32),
        _enlarged(probabilities.mean(axis=0), fractions.shape[0])[None],
        np,
    )[0]
    is_open = np.eye(CLASSES, dtype=bool)
    for label in rejected:
        # Nothing is learnt where a copy shows it: there, its label can mean everything.
        area = _enlarged(probabilities[..., label : label + 1].max(axis=0), fractions.shape[0])
        place = area[..., 0] > _SUSPECTED
        shares[place] = np.eye(CLASSES)[label]
        is_open[label] = True
    return (shares * 255).round().astype(np.uint8), is_open


def _enlarged(planes: Grids, side: int) -> Grids:
    """(S, S, C) to (side, side, C) by bilinear interpolation."""
    from ..kernels import upsample_plane

    shape = (side, side)
    channels = [np.ascontiguousarray(plane) for plane in planes.transpose(2, 0, 1)]
    return np.stack([upsample_plane(plane, shape) for plane in channels], axis=-1)


def _predict(engine: Engine, images: Grids) -> Sequence[Grids]:
    """(N, S, S, 4) class probabilities of the copies of each image, on the engine's grid."""
    from ..kernels import area_mean

    size = engine.size
    grids = [area_mean(image, (size, size)) for image in images]
    copies = np.stack([change.apply(grid) for grid in grids for change in CHANGES])
    probabilities = engine.predict(np.ascontiguousarray(copies, np.float32))
    of_images = probabilities.reshape(len(images), len(CHANGES), size, size, CLASSES)
    return [
        np.stack([change.undo(each) for change, each in zip(CHANGES, of_copies, strict=True)])
        for of_copies in of_images
    ]


def _affine(plane: npt.NDArray[np.float32], degrees: float, zoom: float) -> Grids:
    """Rotate and zoom an (S, S) plane about its centre; 0 outside."""
    from scipy import ndimage

    if not degrees and zoom == 1:
        return plane
    angle = np.deg2rad(degrees)
    matrix = np.array([[np.cos(angle), -np.sin(angle)], [np.sin(angle), np.cos(angle)]]) / zoom
    centre = (np.array(plane.shape) - 1) / 2
    return ndimage.affine_transform(plane, matrix, centre - matrix @ centre, order=1)
