"""From one mask per organ to one label map."""

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt

from ._jit import kernel


def merge_masks(
    masks: Sequence[npt.NDArray[np.generic]], labels: Sequence[int]
) -> npt.NDArray[np.uint8]:
    """One label map of several masks; where they overlap, the earlier mask stands.

    Args:
        masks: (H, W) arrays of bool or uint8, non-zero inside, highest priority first.
        labels: the label of each mask, 1 to 255.

    Returns:
        (H, W) uint8, 0 where no mask is set.

    Raises:
        ValueError: no mask, shapes that differ, another dtype, or a label out of range.
    """
    if not masks or len(masks) != len(labels):
        raise ValueError(f"{len(masks)} masks and {len(labels)} labels: one label a mask is needed")
    shapes = {mask.shape for mask in masks}
    if len(shapes) > 1 or masks[0].ndim != 2:
        raise ValueError(f"masks must be 2-D and of one shape, got {sorted(shapes)}")
    if any(not 0 < label < 256 for label in labels):
        raise ValueError(f"labels must be 1 to 255, got {list(labels)}")
    merged = np.zeros(masks[0].shape, np.uint8)
    for mask, label in zip(masks, labels, strict=True):
        if mask.dtype not in (np.bool_, np.uint8):
            raise ValueError(f"masks must be bool or uint8, not {mask.dtype}")
        _lay_under(mask.view(np.uint8), np.uint8(label), merged)
    return merged


@kernel
def _lay_under(mask, label, merged):
    rows, columns = mask.shape
    for y in range(rows):
        for x in range(columns):
            if mask[y, x] != 0 and merged[y, x] == 0:
                merged[y, x] = label
