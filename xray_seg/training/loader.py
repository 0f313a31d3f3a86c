"""What a training step is fed: batches of augmented cases, made ahead of it."""

from __future__ import annotations

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import numpy as np
import numpy.typing as npt

from .._util.concurrency import available_cores, map_ordered
from ..data.arrays import Arrays
from ..data.phantom import make_phantom, phantom_labels
from ..labels import CLASSES
from ..preprocessing.preprocessor import Preprocessor
from ..radiograph import Radiograph
from .augmentation import AUGMENTATIONS, unchanged
from .config import PHANTOM_POOL, Recipe
from .hosts import ALONE, Hosts

#: Cases are kept this much finer than the grid, so that zooming in finds detail.
FINER = 2
#: Batches made ahead of the step that needs them.
_AHEAD = 16

Batch = tuple[npt.NDArray[np.float32], npt.NDArray[np.float32]]


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
    from ..kernels import area_fractions

    side = recipe.size * FINER
    preprocess = Preprocessor(side)
    count = PHANTOM_POOL if recipe.phantoms else 0
    images = np.empty((count, side, side), np.float32)
    fractions = np.empty((count, side, side, CLASSES), np.uint8)
    for index in range(count):
        phantom = make_phantom(_PHANTOM_SEED + index, 2 * side)
        preprocess(Radiograph(phantom.radiograph), out=images[index])
        shares = area_fractions(phantom_labels(phantom), (side, side), CLASSES)
        fractions[index] = (shares * 255).round()
    return Arrays(images, fractions)


def steps_per_epoch(real: Arrays, recipe: Recipe) -> int:
    """Batches an epoch; the last, incomplete one is left out (its cases differ each epoch)."""
    return recipe.steps or max(1, (len(real.images) + recipe.phantoms) // recipe.batch_size)


def epoch_batches(
    real: Arrays, phantoms: Arrays, recipe: Recipe, epoch: int, hosts: Hosts = ALONE
) -> Iterator[Batch]:
    """Augmented batches of an epoch, made ahead by threads; the kernels release the GIL.

    Where several hosts share a batch, only this one's share of it: their shares in the order of
    the hosts are the batch that one host alone would make.
    """
    augment = AUGMENTATIONS[recipe.augmentation]
    random = np.random.default_rng((recipe.seed, epoch))
    places = [(0, index) for index in range(len(real.images))]
    if recipe.phantoms:
        places += [(1, int(index)) for index in random.permutation(PHANTOM_POOL)[: recipe.phantoms]]
    steps = steps_per_epoch(real, recipe)
    # Each case once before any comes twice.
    rounds = -(-steps * recipe.batch_size // len(places))
    order = np.concatenate([random.permutation(len(places)) for _ in range(rounds)])

    share = recipe.batch_size // hosts.count

    def make(step: int) -> Batch:
        first = step * recipe.batch_size + (hosts.index - 1) * share
        pairs = []
        for turn in range(first, first + share):
            pool, index = places[order[turn]]
            arrays = phantoms if pool else real
            own = np.random.default_rng((recipe.seed, epoch, turn))
            pairs.append(augment(arrays.images[index], arrays.fractions[index], recipe.size, own))
        return _stack(pairs)

    with ThreadPoolExecutor(max(1, available_cores() - 1), "augment") as pool:
        yield from map_ordered(pool, make, range(steps), _AHEAD)
