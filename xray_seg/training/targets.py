"""Targets of training batches: label shares, and what the labels of an image can mean.

Where all organs of all cases are known, targets are (B, S, S, 4) class shares. Else they have a
fifth channel. Keras passes one array per output to a loss, so this channel holds, constant over an
image, the bits of its (4, 4) matrix ``Annotation.possible`` as a number below 2^16, which float32
represents exactly.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt

from ..labels import CLASSES
from ..models.losses import complete

_BITS = 2.0 ** np.arange(CLASSES * CLASSES)


def pack_targets(
    shares: npt.NDArray[np.float32], possible: npt.NDArray[np.bool_] | None
) -> npt.NDArray[np.float32]:
    """Join label shares and the classes that labels can mean.

    Args:
        shares: (B, S, S, 4) shares of the labels, which sum to 1.
        possible: (B, 4, 4) bool, see ``Annotation.possible``; None where labels are classes.

    Returns:
        ``shares``, or with ``possible`` (B, S, S, 5) float32 targets.
    """
    if possible is None:
        return shares
    codes = (possible.reshape(len(possible), -1) @ _BITS).astype(np.float32)
    planes = np.broadcast_to(codes[:, None, None, None], (*shares.shape[:3], 1))
    return np.concatenate([shares, planes], axis=-1)


def class_shares(targets: Any, probabilities: Any, ops: Any) -> Any:
    """Class shares to compare probabilities with, see ``losses.complete``.

    Args:
        targets: as ``pack_targets`` returns them.
        probabilities: (B, S, S, 4) class probabilities; no gradient flows through the result.
        ops: ``keras.ops``.

    Returns:
        (B, S, S, 4) class shares that sum to 1.
    """
    possible = possible_classes(targets, ops)
    if possible is None:
        return targets
    return complete(targets[..., :CLASSES], possible, probabilities, ops)


def possible_classes(targets: Any, ops: Any) -> Any:
    """Classes that labels can mean.

    Args:
        targets: as ``pack_targets`` returns them.
        ops: ``keras.ops``.

    Returns:
        (B, 4, 4) float32, 1 where a label (row) can mean a class (column), else 0; None where
        labels are classes.
    """
    if targets.shape[-1] == CLASSES:
        return None
    codes = ops.cast(targets[:, 0, 0, CLASSES], "int32")[:, None]
    bits = (codes // _BITS.astype(np.int32)) % 2
    return ops.reshape(ops.cast(bits, "float32"), (-1, CLASSES, CLASSES))
