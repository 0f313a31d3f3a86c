"""What a training step is fed: a recipe, and batches of augmented cases made ahead of it."""

from __future__ import annotations

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from .ahead import in_order
from .anatomy import CLASSES
from .augmentation import augment, unchanged
from .dataset import Arrays
from .phantom import make_phantom, phantom_labels
from .radiograph import normalise

#: Cases are kept this much finer than the grid, so that zooming in finds detail.
FINER = 2
#: Batches made ahead of the step that needs them.
_AHEAD = 16

Batch = tuple[npt.NDArray[np.float32], npt.NDArray[np.float32]]


@dataclass(frozen=True)
class Recipe:
    """All that decides what a run gives, besides its cases.

    Attributes:
        size: side of the network's grid.
        epochs: how often every training case is seen.
        batch_size: cases a step.
        learning_rate: AdamW's peak; reached after ``warmup_epochs``, then a cosine down to 0.
        weight_decay: AdamW's.
        phantoms: synthetic cases mixed into each epoch, 0 for none.
        precision: Keras dtype policy of the steps; variables stay float32.
        seed: of weights, dropout, order and augmentation.
        init: weights to start from, a shipped model's name or a model folder; None for fresh ones.
    """

    size: int = 128
    epochs: int = 50
    batch_size: int = 4
    learning_rate: float = 7e-4
    warmup_epochs: float = 2.0
    weight_decay: float = 1e-3
    phantoms: int = 16
    precision: str = "float32"
    seed: int = 0
    init: str | None = None


#: Different phantoms made for a run; each epoch takes ``Recipe.phantoms`` of them.
_PHANTOM_POOL = 48
#: Far from the seeds that users and tests ask for, so that those phantoms stay unseen.
_PHANTOM_SEED = 1_000_000


def validation_batch(arrays: Arrays, recipe: Recipe) -> Batch:
    """All cases as one batch on the network's grid, unchanged."""
    pairs = [
        unchanged(image, shares, recipe.size)
        for image, shares in zip(arrays.images, arrays.fractions, strict=True)
    ]
    return _stack(pairs)


def _stack(pairs: list[tuple[Any, Any]]) -> Batch:
    return np.stack([image for image, _ in pairs])[..., None], np.stack([soft for _, soft in pairs])


def phantom_arrays(recipe: Recipe) -> Arrays:
    """The pool of phantoms, decoded as load_arrays decodes cases."""
    from .kernels import area_fractions, area_mean

    side = recipe.size * FINER
    count = _PHANTOM_POOL if recipe.phantoms else 0
    images = np.empty((count, side, side), np.float32)
    fractions = np.empty((count, side, side, CLASSES), np.uint8)
    for index in range(count):
        phantom = make_phantom(_PHANTOM_SEED + index, 2 * side)
        area_mean(phantom.radiograph, (side, side), images[index])
        normalise(images[index], inverted=False)
        shares = area_fractions(phantom_labels(phantom), (side, side), CLASSES)
        fractions[index] = (shares * 255).round()
    return Arrays(images, fractions)


def steps_per_epoch(real: Arrays, recipe: Recipe) -> int:
    """Batches an epoch; the last, incomplete one is left out (its cases differ each epoch)."""
    return max(1, (len(real.images) + recipe.phantoms) // recipe.batch_size)


def epoch_batches(real: Arrays, phantoms: Arrays, recipe: Recipe, epoch: int) -> Iterator[Batch]:
    """Augmented batches of an epoch, made ahead by a thread; the kernels release the GIL."""
    random = np.random.default_rng((recipe.seed, epoch))
    places = [(0, index) for index in range(len(real.images))]
    if recipe.phantoms:
        places += [
            (1, int(index)) for index in random.permutation(_PHANTOM_POOL)[: recipe.phantoms]
        ]
    order = random.permutation(len(places))

    def make(step: int) -> Batch:
        chosen = order[step * recipe.batch_size : (step + 1) * recipe.batch_size]
        pairs = []
        for pool, index in (places[place] for place in chosen):
            arrays = phantoms if pool else real
            own = np.random.default_rng((recipe.seed, epoch, pool, index))
            pairs.append(augment(arrays.images[index], arrays.fractions[index], recipe.size, own))
        return _stack(pairs)

    with ThreadPoolExecutor(1, "augment") as pool:
        yield from in_order(pool, make, range(steps_per_epoch(real, recipe)), _AHEAD)
