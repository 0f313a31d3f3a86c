"""Overlays: the radiograph under its coloured, outlined organs."""

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

OVERLAY_OPACITY = 0.3
_JPEG_QUALITY = 85


def render_overlay(
    grey: npt.NDArray[np.uint8],
    labels: npt.NDArray[np.uint8],
    measures: Measurements | None = None,
) -> npt.NDArray[np.uint8]:
    """(h, w, 3) uint8 picture of a radiograph under its coloured, outlined organs or parts.

    Args:
        grey: (h, w) uint8, as ``render_grey`` makes it.
        labels: (H, W) uint8 of organs or parts.
        measures: for the lines of the cardiothoracic ratio and its number, drawn on it.
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
    """The overlay of a radiograph as JPEG.

    Attributes:
        scheme: the labels whose outlines are drawn.
        show_ratio: draw the lines of the cardiothoracic ratio, and its value.
    """

    scheme: LabelScheme = ORGAN_LABELS
    show_ratio: bool = False

    def encode(self, key: str, masks: MaskSet) -> Iterator[OutputFile]:
        """See Encoder."""
        import imagecodecs

        measures = masks.measurements if self.show_ratio else None
        picture = render_overlay(masks.grey, masks.label_map(self.scheme), measures)
        data = imagecodecs.jpeg_encode(picture, level=_JPEG_QUALITY)
        yield OutputFile(f"overlay/{key}.jpg", bytes(data))
