"""Batches for training and validation; augmented batches are prepared ahead by threads."""

from __future__ import annotations

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import numpy as np
import numpy.typing as npt

from .._util.concurrency import available_cores, map_ordered
from ..data.annotation import FULL
from ..data.arrays import Arrays
from ..data.phantom import make_phantom, phantom_labels
from ..labels import CLASSES
from ..preprocessing.preprocessor import Preprocessor
from ..radiograph import Radiograph
from .augmentation import AUGMENTATIONS, resample
from .config import PHANTOM_POOL, TrainingConfig
from .hosts import SINGLE_HOST, Hosts
from .targets import pack_targets

#: Cases are decoded at this multiple of the grid's side, so that zooming in shows more detail.
OVERSAMPLING = 2
#: Batches prepared ahead of the training step.
_PREFETCHED = 16
#: First seed of the phantoms used in training, far from seeds that users and tests choose, so
#: that their phantoms differ from those trained on.
_PHANTOM_SEED = 1_000_000

#: Images (B, S, S, 1) and targets, see ``targets.py``.
Batch = tuple[npt.NDArray[np.float32], npt.NDArray[np.float32]]


def validation_batch(cases: Arrays) -> Batch:
    """Resample all cases to the network's grid, in order and without augmentation.

    Args:
        cases: N cases decoded at OVERSAMPLING times the grid's side S.

    Returns:
        (N, S, S, 1) float32 images in [0, 1] and their targets.
    """
    size = _grid_size(cases)
    pairs = [
        resample(image, fractions, size)
        for image, fractions in zip(cases.images, cases.fractions, strict=True)
    ]
    images, shares = _stack(pairs)
    return images, pack_targets(shares, cases.possible)


def _grid_size(cases: Arrays) -> int:
    return cases.images.shape[1] // OVERSAMPLING


def _stack(pairs: list[tuple[Any, Any]]) -> Batch:
    return np.stack([image for image, _ in pairs])[..., None], np.stack([soft for _, soft in pairs])


def phantom_arrays(config: TrainingConfig, size: int) -> Arrays:
    """Make the pool of synthetic cases, in the form in which ``load_arrays`` decodes real ones.

    Args:
        config: training configuration.
        size: side of the network's grid.

    Returns:
        PHANTOM_POOL cases of side ``OVERSAMPLING * size``; no case if the configuration uses no
        phantoms.
    """
    from ..kernels import area_fractions

    side = size * OVERSAMPLING
    count = PHANTOM_POOL if config.phantoms else 0
    preprocess = Preprocessor(side)
    images = np.empty((count, side, side), np.float32)
    fractions = np.empty((count, side, side, CLASSES), np.uint8)
    for index in range(count):
        phantom = make_phantom(_PHANTOM_SEED + index, 2 * side)
        preprocess(Radiograph(phantom.radiograph), out=images[index])
        shares = area_fractions(phantom_labels(phantom), (side, side), CLASSES)
        fractions[index] = (shares * 255).round()
    return Arrays(images, fractions)


def steps_per_epoch(real: Arrays, config: TrainingConfig) -> int:
    """Number of batches in an epoch.

    An incomplete last batch is dropped; the order changes with the epoch, and so do the cases
    that this leaves out.
    """
    uses = len(real.images) if real.repeats is None else round(real.repeats.sum())
    return config.steps or max(1, (uses + config.phantoms) // config.batch_size)


def epoch_batches(
    real: Arrays,
    phantoms: Arrays,
    config: TrainingConfig,
    epoch: int,
    *,
    hosts: Hosts = SINGLE_HOST,
) -> Iterator[Batch]:
    """Yield the augmented batches of an epoch, prepared ahead by threads.

    The batches depend on the configuration's seed and the epoch only. With several hosts each
    yields its share of every batch: the shares in the order of the hosts make up the batch of a
    single host.

    Args:
        real: cases to train on, decoded at OVERSAMPLING times the grid's side.
        phantoms: pool of PHANTOM_POOL synthetic cases, or empty if the configuration uses none.
        config: training configuration.
        epoch: number of the epoch, from 0.
        hosts: the hosts that share each batch.
    """
    augment = AUGMENTATIONS[config.augmentation]
    size, steps = _grid_size(real), steps_per_epoch(real, config)
    share = config.batch_size // hosts.count
    cases = _epoch_order(real, config, epoch, steps)

    def make_batch(step: int) -> Batch:
        first = step * config.batch_size + (hosts.index - 1) * share
        pairs, possible = [], []
        for turn in range(first, first + share):
            is_phantom, index = cases[turn]
            arrays = phantoms if is_phantom else real
            random = np.random.default_rng((config.seed, epoch, turn))
            pairs.append(augment(arrays.images[index], arrays.fractions[index], size, random))
            possible.append(FULL.possible if arrays.possible is None else arrays.possible[index])
        images, shares = _stack(pairs)
        return images, pack_targets(shares, None if real.possible is None else np.array(possible))

    # The kernels release the GIL, so threads augment in parallel.
    with ThreadPoolExecutor(max(1, available_cores() - 1), "augment") as pool:
        yield from map_ordered(pool, make_batch, range(steps), _PREFETCHED)


def _epoch_order(
    real: Arrays, config: TrainingConfig, epoch: int, steps: int
) -> list[tuple[bool, int]]:
    """Order in which an epoch uses its cases: (whether it is a phantom, index), one per turn.

    Every case is used as often as it should be before any is used once more.
    """
    random = np.random.default_rng((config.seed, epoch))
    cases = [(False, index) for index in _drawn(real, random)]
    if config.phantoms:
        drawn = random.permutation(PHANTOM_POOL)[: config.phantoms]
        cases += [(True, int(index)) for index in drawn]
    rounds = -(-steps * config.batch_size // len(cases))
    order = np.concatenate([random.permutation(len(cases)) for _ in range(rounds)])
    return [cases[index] for index in order]


def _drawn(real: Arrays, random: np.random.Generator) -> list[int]:
    """Indices of the cases that an epoch uses, each as often as it is used.

    A case that is to be used 2.3 times is used twice, or with a chance of 0.3 three times.
    """
    if real.repeats is None:
        return list(range(len(real.images)))
    # Systematic sampling, which meets the sum of the repeats to within one case.
    shuffled = random.permutation(len(real.repeats))
    ends = np.floor(np.cumsum(real.repeats[shuffled]) + random.random()).astype(int)
    counts = np.diff(ends, prepend=0)
    return np.repeat(shuffled, counts).tolist() or [int(shuffled[0])]
