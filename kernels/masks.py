"""Merge masks into a label map."""

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt

from ._jit import kernel


def merge_masks(
    masks: Sequence[npt.NDArray[np.generic]], labels: Sequence[int]
) -> npt.NDArray[np.uint8]:
    """Merge masks into one label map; where they overlap, the earlier one takes precedence.

    Args:
        masks: (H, W) arrays of bool or uint8, non-zero inside, highest priority first.
        labels: the label of each mask, 1 to 255.

    Returns:
        (H, W) uint8, 0 where no mask is set.

    Raises:
        ValueError: there is no mask, shapes differ, a dtype is another, or a label is out of range.
    """
    if not masks or len(masks) != len(labels):
        raise ValueError(f"{len(masks)} masks and {len(labels)} labels: give one label per mask")
    shapes = {mask.shape for mask in masks}
    if len(shapes) > 1 or masks[0].ndim != 2:
        raise ValueError(f"masks must be 2-D and of the same shape, got {sorted(shapes)}")
    if any(not 0 < label < 256 for label in labels):
        raise ValueError(f"labels must be 1 to 255, got {list(labels)}")
    merged = np.zeros(masks[0].shape, np.uint8)
    for mask, label in zip(masks, labels, strict=True):
        if mask.dtype not in (np.bool_, np.uint8):
            raise ValueError(f"masks must be bool or uint8, not {mask.dtype}")
        _fill_unlabelled(mask.view(np.uint8), np.uint8(label), merged)
    return merged


@kernel
def _fill_unlabelled(mask, label, merged):
    rows, columns = mask.shape
    for y in range(rows):
        for x in range(columns):
            if mask[y, x] != 0 and merged[y, x] == 0:
                merged[y, x] = label
