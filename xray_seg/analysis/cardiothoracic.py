"""The cardiothoracic ratio, and the lines that show the two widths it compares.

It is the heart's width divided by the thorax's (Danzer, American Journal of the Medical Sciences
157:513-521, 1919). The heart's width is the sum of its greatest distances from the midline to the
right and to the left, which may lie in different rows; that sum equals the extent of its columns.
The thorax's width is the extent of the lungs' columns. Radiologists measure the widest internal
diameter in one row instead. In the 222 SCR cases that diameter is smaller by 0.1 % in the median
and by 2.4 % at most, which raises the ratio by 0.0006 and by 0.013; both ratios are equally near to
that of the true masks.
"""

from __future__ import annotations

from typing import NamedTuple

from ..labels import HEART, LUNGS, RIGHT_LEFT_LABELS, Organ
from ..postprocessing.laterality import Sides, has_both_sides


class Line(NamedTuple):
    """A width as a line between two pixels, both included: their (x, y)."""

    right: tuple[int, int]
    left: tuple[int, int]

    @property
    def width(self) -> int:
        """Columns from end to end."""
        return self.left[0] - self.right[0] + 1


class CardiothoracicLines(NamedTuple):
    """Lines of the two widths; None where a width cannot be measured.

    Attributes:
        heart: from the heart's first to its last column.
        thorax: from the lungs' first to their last column; None where only one lung is seen.
        one_lung: whether there are lungs, but on one side only.
    """

    heart: Line | None
    thorax: Line | None
    one_lung: bool

    @property
    def ratio(self) -> float | None:
        """The heart's width divided by the thorax's."""
        return self.heart.width / self.thorax.width if self.heart and self.thorax else None


def cardiothoracic_lines(sides: Sides) -> CardiothoracicLines:
    """Find the lines of heart and thorax in a label map."""
    thorax = _extent(sides, LUNGS)
    one_lung = thorax is not None and not has_both_sides(sides.runs, sides.midline)
    # The width of one lung is not that of the thorax.
    return CardiothoracicLines(_extent(sides, HEART), None if one_lung else thorax, one_lung)


def _extent(sides: Sides, organ: Organ) -> Line | None:
    """From an organ's first to its last column; each end in the median row of that column."""
    labels = [
        structure.label for structure in RIGHT_LEFT_LABELS.structures if structure.organ is organ
    ]
    if not sides.moments.area[labels].any():
        return None
    runs, of_organ = sides.runs, sides.runs.labels == organ.label
    first, last = int(sides.moments.x0[labels].min()), int(sides.moments.x1[labels].max())
    right, left = (
        runs.rows[of_organ & at_end] for at_end in (runs.starts == first, runs.stops == last)
    )
    return Line((first, int(right[len(right) // 2])), (last - 1, int(left[len(left) // 2])))
