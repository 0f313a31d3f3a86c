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
    if int(labels.max()) >= len(colours):
        raise ValueError(f"label {labels.max()} has no colour; {len(colours)} are given")
    out = np.empty((*grey.shape, 3), np.uint8)
    _blend(grey, labels, _mixtures(colours, opacity), out)
    return out


def _mixtures(colours: npt.NDArray[np.uint8], opacity: float) -> npt.NDArray[np.uint32]:
    """(classes, 2, 256) what each grey becomes inside each class and on its outline.

    Red, green and blue are the lowest three bytes of each number.
    """
    grey = np.arange(256)[None, :, None]
    mixed = grey * (1 - opacity) + colours[:, None].astype(float) * opacity
    mixed[0] = grey[0]
    inside = (mixed + 0.5).astype(np.uint32)
    outline = np.broadcast_to(colours[:, None], inside.shape).astype(np.uint32)
    both = np.stack([inside, outline], axis=1)
    red, green, blue = (both[..., channel] for channel in range(3))
    return (red | green << 8 | blue << 16).astype(np.uint32)


@kernel
def _blend(grey, labels, mixtures, out):
    height, width = grey.shape
    columns = np.empty(width, np.int64)
    for x in range(width):
        columns[x] = (2 * x + 1) * labels.shape[1] // (2 * width)
    above = np.empty(width, np.uint8)  # labels of three rows of the picture
    here, below = np.empty_like(above), np.empty_like(above)
    edge = np.empty(width, np.uint8)
    _sample(labels, 0, height, columns, here)
    below[:] = here
    for y in range(height):
        above, here, below = here, below, above
        if y == 0:
            above[:] = here
        _sample(labels, min(y + 1, height - 1), height, columns, below)
        for x in range(width):
            edge[x] = (above[x] != here[x]) | (below[x] != here[x])
        for x in range(width - 1):
            step = np.uint8(here[x] != here[x + 1])
            edge[x] |= step
            edge[x + 1] |= step
        for x in range(width):
            label = here[x]
            colour = mixtures[label, edge[x] if label else 0, grey[y, x]]
            out[y, x, 0] = colour & 255
            out[y, x, 1] = (colour >> 8) & 255
            out[y, x, 2] = (colour >> 16) & 255


@kernel
def _sample(labels, row, height, columns, line):
    """The nearest label of each pixel of a row of the picture."""
    source = labels[(2 * row + 1) * labels.shape[0] // (2 * height)]
    for x in range(len(line)):
        line[x] = source[columns[x]]
