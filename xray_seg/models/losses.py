"""Losses on class probabilities against soft targets; ``ops`` is keras.ops, or numpy."""

from __future__ import annotations

from typing import Any

#: Added to numerator and denominator, so that an organ absent from a batch costs nothing.
_SMOOTH = 1.0
_EPSILON = 1e-7


def soft_dice_cross_entropy(truth: Any, probabilities: Any, ops: Any) -> Any:
    """Mean soft cross-entropy plus one minus the mean soft Dice of the three organs.

    Args:
        truth: (B, S, S, 4) class shares that sum to 1.
        probabilities: (B, S, S, 4) that sum to 1.
        ops: what computes: ``keras.ops`` in training, ``numpy`` where there is no Keras.

    Returns:
        A scalar. The Dice of an organ is taken over the whole batch: per image, a small organ's
        would be noise.
    """
    overlap = ops.sum(truth * probabilities, axis=(0, 1, 2))
    sizes = ops.sum(truth * truth + probabilities * probabilities, axis=(0, 1, 2))
    dice = (2 * overlap + _SMOOTH) / (sizes + _SMOOTH)
    return _cross_entropy(truth, probabilities, ops) + 1 - ops.mean(dice[1:])


def pixel_dice_cross_entropy(truth: Any, probabilities: Any, ops: Any) -> Any:
    """The study's loss: cross-entropy plus one minus a Dice over the classes of each pixel.

    Arguments and result as of soft_dice_cross_entropy.
    """
    overlap = ops.sum(truth * probabilities, axis=-1)
    sizes = ops.sum(truth, axis=-1) + ops.sum(probabilities, axis=-1)
    dice = (2 * overlap + _SMOOTH) / (sizes + _SMOOTH)
    return _cross_entropy(truth, probabilities, ops) + 1 - ops.mean(dice)


#: By the names that Recipe.loss takes.
LOSSES = {"soft-dice": soft_dice_cross_entropy, "pixel-dice": pixel_dice_cross_entropy}


def _cross_entropy(truth: Any, probabilities: Any, ops: Any) -> Any:
    return ops.mean(-ops.sum(truth * ops.log(probabilities + _EPSILON), axis=-1))
