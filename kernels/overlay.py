"""Blend coloured organs over a grey image."""

import numpy as np
import numpy.typing as npt

from ._jit import kernel


def blend(
    grey: npt.NDArray[np.uint8],
    labels: npt.NDArray[np.uint8],
    colours: npt.NDArray[np.uint8],
    opacity: float,
) -> npt.NDArray[np.uint8]:
    """Blend translucent organs with opaque outlines over a grey image.

    Args:
        grey: (h, w) uint8.
        labels: (H, W) uint8 label map of any size, resampled to the nearest pixel.
        colours: (classes, 3) uint8 red, green, blue; label 0 stays transparent.
        opacity: opacity inside an organ, 0 to 1.

    Returns:
        (h, w, 3) uint8.

    Raises:
        ValueError: shapes or dtypes are wrong, there are more than 128 classes, or a label has no
            colour.
    """
    if grey.ndim != 2 or labels.ndim != 2 or 0 in grey.shape or 0 in labels.shape:
        raise ValueError(f"grey {grey.shape} and labels {labels.shape} must be non-empty and 2-D")
    if grey.dtype != np.uint8 or labels.dtype != np.uint8 or colours.dtype != np.uint8:
        raise ValueError("grey, labels and colours must be uint8")
    if len(colours) > 128:
        raise ValueError(f"{len(colours)} classes are more than 128")
    if not 0 <= opacity <= 1:
        raise ValueError(f"opacity must be 0 to 1, not {opacity}")
    if int(labels.max()) >= len(colours):
        raise ValueError(f"label {labels.max()} has no colour; {len(colours)} are given")
    height, width = grey.shape
    words = np.empty((height, 3 * -(-width // 4)), np.uint32)
    _blend(grey, labels, _mixtures(colours, opacity), words)
    return words.view(np.uint8)[:, : 3 * width].reshape(height, width, 3)


def _mixtures(colours: npt.NDArray[np.uint8], opacity: float) -> npt.NDArray[np.uint32]:
    """(classes, 2, 256) colour of each grey level, inside each class and on its outline.

    Red, green and blue are the lowest three bytes of each number. Background has no outline.
    """
    grey = np.arange(256)[None, :, None]
    mixed = grey * (1 - opacity) + colours[:, None].astype(float) * opacity
    mixed[0] = grey[0]
    inside = (mixed + 0.5).astype(np.uint32)
    outline = np.broadcast_to(colours[:, None], inside.shape).astype(np.uint32)
    both = np.stack([inside, outline], axis=1)
    both[0, 1] = both[0, 0]
    red, green, blue = (both[..., channel] for channel in range(3))
    return (red | green << 8 | blue << 16).astype(np.uint32)


@kernel
def _blend(grey, labels, mixtures, words):
    height, width = grey.shape
    columns = np.empty(width, np.int64)
    for x in range(width):
        columns[x] = (2 * x + 1) * labels.shape[1] // (2 * width)
    lines = np.empty((3, width + 2), np.uint8)  # labels of three rows of the output
    _sample(labels, 0, height, columns, lines[0])
    lines[2] = lines[0]
    places = np.zeros(-(-width // 4) * 4, np.uint16)
    colours = mixtures.reshape(-1)
    for y in range(height):
        _sample(labels, min(y + 1, height - 1), height, columns, lines[(y + 1) % 3])
        above, here, below = lines[(y + 2) % 3], lines[y % 3], lines[(y + 1) % 3]
        for x in range(width):
            mine = here[x + 1]
            upright = (above[x + 1] != mine) | (below[x + 1] != mine)
            edge = upright | (here[x] != mine) | (here[x + 2] != mine)
            places[x] = np.uint16(
                np.uint16(mine) * np.uint16(512)
                + np.uint16(edge) * np.uint16(256)
                + np.uint16(grey[y, x])
            )
        _pack(colours, places, words[y])


@kernel
def _pack(colours, places, words):
    """Pack four pixels into three words at a time, three times as fast as byte by byte.

    Assumes a little-endian processor; the engines run on no other.
    """
    for four in range(len(places) // 4):
        one, two = colours[places[4 * four]], colours[places[4 * four + 1]]
        three, last = colours[places[4 * four + 2]], colours[places[4 * four + 3]]
        words[3 * four] = one | (two << np.uint32(24))
        words[3 * four + 1] = (two >> np.uint32(8)) | (three << np.uint32(16))
        words[3 * four + 2] = (three >> np.uint32(16)) | (last << np.uint32(8))


@kernel
def _sample(labels, row, height, columns, line):
    """Nearest label of each pixel of an output row, with the outermost ones repeated."""
    source = labels[(2 * row + 1) * labels.shape[0] // (2 * height)]
    for x in range(len(columns)):
        line[x + 1] = source[columns[x]]
    line[0], line[-1] = line[1], line[-2]
