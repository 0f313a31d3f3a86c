"""The picture by which a person judges masks."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import numpy.typing as npt

from .._util.files import write_bytes
from ..analysis.measurements import Measurements
from ..labels import RIGHT_LEFT_LABELS
from ..preprocessing.letterbox import shape_within
from ..preprocessing.normalisation import BLACK_PERCENTILE, WHITE_PERCENTILE
from ..radiograph import Radiograph
from .annotations import draw_measurements
from .mask_set import Masks, naming

#: Longer side of an overlay in pixels: enough to judge a mask, small enough to leaf through.
OVERLAY_SIDE = 1024
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


def render_grey(radiograph: Radiograph, longest: int) -> npt.NDArray[np.uint8]:
    """(h, w) uint8 picture of a radiograph as it is shown, its longer side ``longest`` at most."""
    from ..kernels import area_mean, stretch

    grey = area_mean(radiograph.pixels, shape_within(radiograph.shape, longest))
    low, high = np.percentile(grey[::4, ::4], (BLACK_PERCENTILE, WHITE_PERCENTILE))
    return stretch(grey, high, low) if radiograph.inverted else stretch(grey, low, high)


def overlay_kind(stem: str, suffix: str, masks: Masks) -> list[Path]:
    """The overlay as JPEG.

    Raises:
        OutputError: the file cannot be written.
    """
    import imagecodecs

    path = Path(stem + ".jpg")
    with naming(path):
        film = masks.segmentation
        measures = film.measurements if masks.lines else None
        picture = render_overlay(film.grey, masks.labels, measures)
        write_bytes(path, imagecodecs.jpeg_encode(picture, level=_JPEG_QUALITY))
    return [path]
