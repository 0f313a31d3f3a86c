"""Lines and a number on a picture."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from ..analysis.measurements import Measurements

Picture = npt.NDArray[np.uint8]
Point = tuple[int, int]

_COLOUR = (255, 255, 255)
_SHADOW = (0, 0, 0)
#: A glyph's height in shares of the picture's shorter side.
_TEXT_SHARE = 0.035
#: Glyphs of 5 x 7 pixels, a row each as the bits of a number, the leftmost highest.
_GLYPHS = {
    "0": (14, 17, 19, 21, 25, 17, 14),
    "1": (4, 12, 4, 4, 4, 4, 14),
    "2": (14, 17, 1, 2, 4, 8, 31),
    "3": (31, 2, 4, 2, 1, 17, 14),
    "4": (2, 6, 10, 18, 31, 2, 2),
    "5": (31, 16, 30, 1, 1, 17, 14),
    "6": (6, 8, 16, 30, 17, 17, 14),
    "7": (31, 1, 2, 4, 8, 8, 8),
    "8": (14, 17, 17, 14, 17, 17, 14),
    "9": (14, 17, 17, 15, 1, 2, 12),
    ".": (0, 0, 0, 0, 0, 12, 12),
    "C": (14, 17, 16, 16, 16, 17, 14),
    "T": (31, 4, 4, 4, 4, 4, 4),
    "R": (30, 17, 17, 30, 20, 18, 17),
    " ": (0, 0, 0, 0, 0, 0, 0),
}
_GLYPH_HEIGHT, _GLYPH_WIDTH = 7, 5


def draw_measurements(picture: Picture, measures: Measurements, shape: tuple[int, ...]) -> None:
    """Draw the lines of the cardiothoracic ratio and its number, in place.

    A line runs level at the row half-way between its ends; where these lie in different rows, an
    upright joins each to it. What could not be measured is not drawn.

    Args:
        picture: (h, w, 3) uint8.
        measures: of a label map.
        shape: (H, W) of that label map.
    """
    height, width = picture.shape[:2]
    thick = max(1, min(height, width) // 400)
    for line in (measures.heart_line, measures.thorax_line):
        if line is None:
            continue
        (x0, y0), (x1, y1) = (
            (int((x + 0.5) * width / shape[1]), int((y + 0.5) * height / shape[0]))
            for x, y in (line.right, line.left)
        )
        level = (y0 + y1) // 2
        tick = 4 * thick
        for border, colour in ((thick, _SHADOW), (0, _COLOUR)):
            for x, y in ((x0, y0), (x1, y1)):
                top, bottom = min(y, level) - tick, max(y, level) + tick
                _fill(picture, (x, top), (x, bottom), thick + border, colour)
            _fill(picture, (x0, level), (x1, level), thick + border, colour)
    ratio = measures.cardiothoracic_ratio
    if ratio is not None:
        scale = max(1, round(min(height, width) * _TEXT_SHARE / _GLYPH_HEIGHT))
        write(picture, f"CTR {ratio:.2f}", (2 * scale, 2 * scale), scale)


def write(picture: Picture, text: str, corner: Point, scale: int) -> None:
    """Write digits, point and ``CTR`` on black, in place; what lies outside is cut off.

    Args:
        picture: (h, w, 3) uint8.
        text: of the characters that there are glyphs for.
        corner: (x, y) of the text's upper left.
        scale: pixels a side of a glyph's pixel.

    Raises:
        ValueError: a character has no glyph.
    """
    if unknown := set(text) - set(_GLYPHS):
        raise ValueError(f"no glyphs for {sorted(unknown)}")
    bits = np.zeros((_GLYPH_HEIGHT + 2, 1 + (_GLYPH_WIDTH + 1) * len(text)), np.uint8)
    for index, character in enumerate(text):
        rows = np.array(_GLYPHS[character], np.uint8)[:, None]
        left = 1 + (_GLYPH_WIDTH + 1) * index
        bits[1:-1, left : left + _GLYPH_WIDTH] = np.unpackbits(rows, axis=1)[:, -_GLYPH_WIDTH:]
    stamp = np.kron(bits, np.ones((scale, scale), np.uint8))
    x, y = corner
    place = picture[y : y + stamp.shape[0], x : x + stamp.shape[1]]
    shown = stamp[: place.shape[0], : place.shape[1], None] > 0
    place[:] = np.where(shown, np.array(_COLOUR), np.array(_SHADOW))


def _fill(
    picture: Picture, start: Point, stop: Point, half: int, colour: tuple[int, int, int]
) -> None:
    """A bar along a row or column, ``2 * half - 1`` wide, cut off at the picture's border."""
    (x0, y0), (x1, y1) = start, stop
    rows = slice(max(0, y0 - half + 1), max(0, y1 + half))
    columns = slice(max(0, x0 - half + 1), max(0, x1 + half))
    picture[rows, columns] = colour
