"""Comparison of a label map with masks that may not show all organs.

A pixel with a mask's label may be of several classes where organs are unknown, see
``Annotation.possible``. Where a prediction has one of these classes but not the label itself, the
masks say nothing for or against it, and the pixel is left out.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from ..data.annotation import FULL, Annotation
from .metrics import Mask

Labels = npt.NDArray[np.uint8]


@dataclass(frozen=True)
class Comparison:
    """A predicted label map beside the true one, pixel by pixel.

    Attributes:
        right: (H, W) bool, where the predicted class is one that the true label can mean.
        left_out: (H, W) bool, where it is, and differs from the label: not compared.
    """

    right: Mask
    left_out: Mask

    @classmethod
    def of(cls, labels: Labels, truth: Labels, annotation: Annotation = FULL) -> Comparison:
        """Compare (H, W) uint8 labels with true labels whose masks have an annotation."""
        same = labels == truth
        if annotation.is_full:
            return cls(same, np.zeros_like(same))
        right = annotation.possible[truth, labels]
        return cls(right, right & ~same)

    def reference(self, mask: Mask) -> Mask:
        """The pixels of a true (H, W) mask to compare with.

        If all of them would be left out, none is: a prediction without any pixel of an organ that
        the masks show is wrong.
        """
        kept = mask & ~self.left_out
        return kept if kept.any() else mask
