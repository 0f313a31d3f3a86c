"""Colour over grey: the picture by which a person judges a mask."""

import numpy as np
import numpy.typing as npt

from ._jit import kernel


def blend(
    grey: npt.NDArray[np.uint8],
    labels: npt.NDArray[np.uint8],
    colours: npt.NDArray[np.uint8],
    opacity: float,
) -> npt.NDArray[np.uint8]:
    """Lay translucent organs with opaque outlines over a grey image.

    Args:
        grey: (h, w) uint8.
        labels: (H, W) uint8 label map of any size; taken at the nearest pixel.
        colours: (classes, 3) uint8; label 0 is left clear.
        opacity: of an organ's inside, 0 to 1.

    Returns:
        (h, w, 3) uint8.

    Raises:
        ValueError: shapes or types that do not fit, or a label without a colour.
    """
    if grey.ndim != 2 or labels.ndim != 2 or 0 in grey.shape or 0 in labels.shape:
        raise ValueError(f"grey {grey.shape} and labels {labels.shape} must be non-empty and 2-D")
    if grey.dtype != np.uint8 or labels.dtype != np.uint8 or colours.dtype != np.uint8:
        raise ValueError("grey, labels and colours must be uint8")
    if not 0 <= opacity <= 1:
        raise ValueError(f"opacity must be 0 to 1, not {opacity}")
    rows = (np.arange(grey.shape[0]) * 2 + 1) * labels.shape[0] // (2 * grey.shape[0])
    columns = (np.arange(grey.shape[1]) * 2 + 1) * labels.shape[1] // (2 * grey.shape[1])
    small = labels[rows[:, None], columns]
    if int(small.max()) >= len(colours):
        raise ValueError(f"label {small.max()} has no colour; {len(colours)} are given")
    out = np.empty((*grey.shape, 3), np.uint8)
    _blend(grey, small, colours, np.float32(opacity), out)
    return out


@kernel
def _blend(grey, labels, colours, opacity, out):
    height, width = grey.shape
    for y in range(height):
        for x in range(width):
            label = labels[y, x]
            share = np.float32(0) if label == 0 else opacity
            if label != 0:
                edge = (
                    labels[max(y - 1, 0), x] != label
                    or labels[min(y + 1, height - 1), x] != label
                    or labels[y, max(x - 1, 0)] != label
                    or labels[y, min(x + 1, width - 1)] != label
                )
                if edge:
                    share = np.float32(1)
            for c in range(3):
                mixed = grey[y, x] * (1 - share) + colours[label, c] * share
                out[y, x, c] = np.uint8(mixed + np.float32(0.5))
