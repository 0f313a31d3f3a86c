"""Find the exposed part of an image inside near-constant borders.

Collimators, scanners and padding to a square leave borders that are black, white or grey. On the
network's grid they look like lung or abdomen, and take room from the chest.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt

from ..radiograph import Region

#: Grey values of a border differ from its level by at most this share of the image's contrast, the
#: distance of the 1st and 99th percentile. JPEG noise needs about 0.02.
TOLERANCE = 0.03
#: Share of a row that has the border's level. Burnt-in text and a tilted edge take the rest.
CONSTANT_SHARE = 0.85
#: Lines of text may interrupt a border, up to this share of the side.
TEXT_SHARE = 0.06
#: A border narrower than this share of the side is left in: it does no harm.
NARROWEST = 0.02
#: At least this share of each side remains.
SMALLEST_FIELD = 0.2

Grey = npt.NDArray[Any]


def find_field_of_view(pixels: Grey, overview: npt.NDArray[np.float32]) -> Region | None:
    """Find the part of an image inside its near-constant borders.

    Rows from each edge belong to a border while most of their pixels have its level. The overview
    tells where a border ends to one of its pixels; the image itself, to one row.

    Args:
        pixels: (H, W) the image.
        overview: (h, w) float32, the same image reduced by area means.

    Returns:
        The part in pixels of the image, or None where there is no border worth leaving out.
    """
    widest = TOLERANCE * float(np.ptp(overview))
    if not any(_may_begin(rows, widest) for rows in _sides(overview)):
        return None  # most images; the percentiles below cost more
    low, high = np.percentile(overview[::2, ::2], (1, 99))
    tolerance = TOLERANCE * float(high - low)
    if not tolerance > 0:
        return None
    height, width = pixels.shape
    top, bottom = _border_rows(pixels, overview, tolerance)
    rows = slice(*_remaining(top, bottom, height, overview.shape[0]))
    left, right = _border_rows(pixels[top : height - bottom].T, overview[rows].T, tolerance)
    if not (top or bottom or left or right):
        return None
    region = Region(top, left, height - top - bottom, width - left - right)
    is_sound = region.height >= SMALLEST_FIELD * height and region.width >= SMALLEST_FIELD * width
    return region if is_sound else None


def _sides(image: Grey) -> tuple[Grey, Grey, Grey, Grey]:
    """Views of an image whose first rows are its top, bottom, left and right edge."""
    return image, image[::-1], image.T, image.T[::-1]


def _level(overview: Grey) -> float:
    """Median of the first row; ``numpy.median`` takes several times as long for so few values."""
    ordered = np.sort(overview[0])
    return float((ordered[(len(ordered) - 1) // 2] + ordered[len(ordered) // 2]) / 2)


def _is_border(rows: Grey, level: float, tolerance: float) -> npt.NDArray[np.bool_]:
    """(n,) whether most pixels of each row have a level."""
    return np.asarray(np.mean(np.abs(rows - level) <= tolerance, axis=1) >= CONSTANT_SHARE)


def _may_begin(overview: Grey, tolerance: float) -> bool:
    """Whether the first rows look like the begin of a border that is wide enough."""
    level = _level(overview)
    if not _is_border(overview[:1], level, tolerance)[0]:
        return False
    rows = overview[: max(1, round(NARROWEST * len(overview)))]
    return bool(2 * np.count_nonzero(_is_border(rows, level, tolerance)) >= len(rows))


def _remaining(first: int, last: int, length: int, reduced: int) -> tuple[int, int]:
    """Rows of an overview that lie inside borders of ``first`` and ``last`` rows of the image."""
    start = -(-first * reduced // length)
    stop = (length - last) * reduced // length
    return (start, stop) if stop > start else (0, reduced)


def _border_rows(pixels: Grey, overview: Grey, tolerance: float) -> tuple[int, int]:
    """Rows of the image in the borders at its first and at its last row; 0 for none."""
    found = [
        _refine(image, small, _border_length(small, tolerance), tolerance)
        for image, small in ((pixels, overview), (pixels[::-1], overview[::-1]))
    ]
    first, last = (rows if rows >= NARROWEST * len(pixels) else 0 for rows in found)
    return (first, last) if first + last < len(pixels) else (0, 0)


def _border_length(overview: Grey, tolerance: float) -> int:
    """Rows of the overview in the border at its first row, text within it included."""
    if not _may_begin(overview, tolerance):
        return 0
    is_border = _is_border(overview, _level(overview), tolerance)
    text = int(TEXT_SHARE * len(is_border))
    length = 0
    for row in np.flatnonzero(is_border):
        if row - length > text:
            break
        length = int(row) + 1
    return length


def _refine(pixels: Grey, overview: Grey, length: int, tolerance: float) -> int:
    """Rows of the image in a border that takes ``length`` rows of the overview.

    The rows of the first overview row behind the border are looked at one by one.
    """
    step = len(pixels) / len(overview)
    if not length:
        return 0
    first, last = int(length * step), min(len(pixels), int((length + 1) * step) + 1)
    rows = pixels[first:last].astype(np.float32)
    is_border = _is_border(rows, _level(overview), tolerance)
    rest = np.flatnonzero(~is_border)
    return first + (int(rest[0]) if len(rest) else last - first)
