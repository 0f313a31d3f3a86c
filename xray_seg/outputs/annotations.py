"""Draw the lines and the value of the cardiothoracic ratio on a picture."""

from __future__ import annotations

from functools import lru_cache
from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt

from ..analysis.measurements import Measurements

if TYPE_CHECKING:
    from PIL.ImageFont import FreeTypeFont, ImageFont

Picture = npt.NDArray[np.uint8]
Point = tuple[int, int]

_COLOUR = (255, 255, 255)
_SHADOW = (0, 0, 0)
#: Height of capital letters: a share of the picture's shorter side, and a minimum in pixels.
_TEXT_SHARE, _MIN_TEXT_HEIGHT = 0.035, 7
#: Height of capital letters as a share of the font's size, in Pillow's default font.
_CAPITAL_SHARE = 0.7


def draw_measurements(picture: Picture, measures: Measurements, shape: tuple[int, ...]) -> None:
    """Draw the lines of the cardiothoracic ratio and its value, in place.

    Each line is horizontal, in the row half-way between its two end points, and vertical ticks join
    it to end points in other rows. Missing measurements are not drawn.

    Args:
        picture: (h, w, 3) uint8.
        measures: measurements of a label map.
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
        capitals = max(_MIN_TEXT_HEIGHT, round(min(height, width) * _TEXT_SHARE))
        margin = 2 * _border(capitals)
        write(picture, f"CTR {ratio:.2f}", (margin, margin), capitals)


def write(picture: Picture, text: str, corner: Point, height: int) -> None:
    """Write a line of white text on a black box, in place, cropped to the picture.

    Args:
        picture: (h, w, 3) uint8.
        text: what to write.
        corner: (x, y) of the box's upper left corner.
        height: height of capital letters in pixels.
    """
    from PIL import Image, ImageDraw

    font = _font(round(height / _CAPITAL_SHARE))
    left, top, right, bottom = (round(side) for side in font.getbbox(text, anchor="ls"))
    border = _border(height)
    box = Image.new("L", (right - left + 2 * border, bottom - top + 2 * border))
    ImageDraw.Draw(box).text((border - left, border - top), text, 255, font, anchor="ls")
    stamp = np.asarray(box)
    x, y = corner
    region = picture[y : y + stamp.shape[0], x : x + stamp.shape[1]]
    region[:] = stamp[: region.shape[0], : region.shape[1], None]


def _border(height: int) -> int:
    """Width of the black border around text, for the height of its capital letters."""
    return max(1, round(height / 7))


@lru_cache(8)
def _font(size: int) -> FreeTypeFont | ImageFont:
    from PIL.ImageFont import load_default

    return load_default(size)


def _fill(
    picture: Picture, start: Point, stop: Point, half: int, colour: tuple[int, int, int]
) -> None:
    """Fill a bar along a row or column, ``2 * half - 1`` pixels wide, cropped to the picture."""
    (x0, y0), (x1, y1) = start, stop
    rows = slice(max(0, y0 - half + 1), max(0, y1 + half))
    columns = slice(max(0, x0 - half + 1), max(0, x1 + half))
    picture[rows, columns] = colour
