"""Losses of class probabilities against class shares, on any array library.

Each takes ``ops``, the library that computes: ``keras.ops`` in training, ``numpy`` in evaluation.

Masks that do not show all organs leave several classes possible in a pixel. ``complete`` shares
such a pixel out over its possible classes as the network itself does. The cross-entropy against
completed shares has the gradient of the marginal cross-entropy, -log(sum of the probabilities of
the possible classes): the network decides between the possible classes by what it learns from
other images, and is only told that the others are wrong. This is the expectation step of
Dempster, Laird and Rubin, J. R. Statist. Soc. B 39:1-38, 1977.
"""

from __future__ import annotations

from typing import Any

#: Added to numerator and denominator of Dice: a class absent from both gives 1, not 0 / 0.
_SMOOTH = 1.0
#: Added to probabilities before the logarithm.
_EPSILON = 1e-7


def soft_dice_cross_entropy(truth: Any, probabilities: Any, ops: Any) -> Any:
    """Mean cross-entropy plus one minus the mean soft Dice of the three organs.

    The Dice of an organ is computed over the whole batch: for a single image, that of a small
    organ varies too much.

    Args:
        truth: (B, S, S, 4) class shares that sum to 1.
        probabilities: (B, S, S, 4) class probabilities that sum to 1.
        ops: ``keras.ops`` or ``numpy``.

    Returns:
        A scalar.
    """
    overlap = ops.sum(truth * probabilities, axis=(0, 1, 2))  # (4,)
    sizes = ops.sum(truth * truth + probabilities * probabilities, axis=(0, 1, 2))  # (4,)
    dice = (2 * overlap + _SMOOTH) / (sizes + _SMOOTH)
    return _cross_entropy(truth, probabilities, ops) + 1 - ops.mean(dice[1:])


def pixel_dice_cross_entropy(truth: Any, probabilities: Any, ops: Any) -> Any:
    """Loss of the 2019 study: cross-entropy plus one minus a Dice over the classes of each pixel.

    Args:
        truth: (B, S, S, 4) class shares that sum to 1.
        probabilities: (B, S, S, 4) class probabilities that sum to 1.
        ops: ``keras.ops`` or ``numpy``.

    Returns:
        A scalar.
    """
    overlap = ops.sum(truth * probabilities, axis=-1)  # (B, S, S)
    sizes = ops.sum(truth, axis=-1) + ops.sum(probabilities, axis=-1)  # (B, S, S)
    dice = (2 * overlap + _SMOOTH) / (sizes + _SMOOTH)
    return _cross_entropy(truth, probabilities, ops) + 1 - ops.mean(dice)


def complete(shares: Any, possible: Any, probabilities: Any, ops: Any) -> Any:
    """Share the labels of partly annotated images out over the classes that they can mean.

    Args:
        shares: (B, H, W, 4) shares of the labels, which sum to 1.
        possible: (B, 4, 4) float, 1 where a label (row) can mean a class (column), else 0.
        probabilities: (B, H, W, 4) class probabilities that sum to 1.
        ops: ``keras.ops`` or ``numpy``.

    Returns:
        (B, H, W, 4) class shares that sum to 1: each label's share is divided over its possible
        classes in proportion to their probabilities. With the identity as ``possible``, ``shares``.
    """
    weights = probabilities + _EPSILON
    of_label = ops.einsum("blc,bhwc->bhwl", possible, weights)
    return weights * ops.einsum("blc,bhwl->bhwc", possible, shares / of_label)


#: Losses by the name that a training configuration gives.
LOSSES = {"soft-dice": soft_dice_cross_entropy, "pixel-dice": pixel_dice_cross_entropy}


def _cross_entropy(truth: Any, probabilities: Any, ops: Any) -> Any:
    """Mean categorical cross-entropy over the pixels of a batch."""
    return ops.mean(-ops.sum(truth * ops.log(probabilities + _EPSILON), axis=-1))
