"""Overlays: the radiograph with coloured, outlined organs."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from ..analysis.measurements import Measurements
from ..labels import ORGAN_LABELS, RIGHT_LEFT_LABELS, LabelScheme
from .annotations import draw_measurements
from .encoder import OutputFile
from .mask_set import MaskSet

#: Opacity of the organs' colours within their outlines.
OVERLAY_OPACITY = 0.3
_JPEG_QUALITY = 85


def render_overlay(
    grey: npt.NDArray[np.uint8],
    labels: npt.NDArray[np.uint8],
    measures: Measurements | None = None,
) -> npt.NDArray[np.uint8]:
    """Draw coloured, outlined organs on a radiograph.

    Args:
        grey: (h, w) uint8 picture from ``render_grey``.
        labels: (H, W) uint8 label map, in either label scheme.
        measures: measurements of the label map, to draw the lines and the value of the
            cardiothoracic ratio; None to leave them out.

    Returns:
        (h, w, 3) uint8.
    """
    from ..kernels import blend

    structures = RIGHT_LEFT_LABELS.structures
    colours = np.zeros((max(each.label for each in structures) + 1, 3), np.uint8)
    for structure in structures:
        colours[structure.label] = structure.organ.colour
    picture = blend(grey, labels, colours, OVERLAY_OPACITY)
    if measures:
        draw_measurements(picture, measures, labels.shape)
    return picture


@dataclass(frozen=True)
class OverlayEncoder:
    """The overlay of a radiograph as JPEG, upright.

    Attributes:
        scheme: the label scheme of the outlines.
        show_ratio: whether to draw the lines and the value of the cardiothoracic ratio.
    """

    scheme: LabelScheme = ORGAN_LABELS
    show_ratio: bool = False

    def encode(self, key: str, masks: MaskSet) -> Iterator[OutputFile]:
        """See Encoder."""
        import imagecodecs

        upright = masks.upright
        measures = upright.measurements if self.show_ratio else None
        picture = render_overlay(masks.grey, upright.label_map(self.scheme), measures)
        data = imagecodecs.jpeg_encode(picture, level=_JPEG_QUALITY)
        yield OutputFile(f"overlay/{key}.jpg", bytes(data))
