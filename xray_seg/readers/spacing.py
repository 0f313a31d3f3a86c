"""Pixel spacings that a file states, and whether they can be those of a radiograph."""

from __future__ import annotations

from typing import TypeAlias

#: (row, column) distance of pixel centres in mm, and notes on what a file states.
Spacing: TypeAlias = tuple[float, float]
Notes: TypeAlias = tuple[str, ...]

#: Plausible distances of pixel centres in mm. Detectors and scanners have 0.04 to 0.4 mm. At 50 mm
#: a chest 430 mm wide would be 8 pixels wide, too few to show it; at 0.001 mm, 430,000.
LOWEST_MM, HIGHEST_MM = 0.001, 50.0


def plausible_spacing(*stated: Spacing) -> tuple[Spacing | None, Notes]:
    """The first plausible spacing of those that a file states, and a note on each before it.

    Areas from an implausible one, for instance of 1e308 mm, are infinite.

    Args:
        stated: spacings in order of preference; not finite or not positive ones may be among them.
    """
    notes: Notes = ()
    for number, (row, column) in enumerate(stated, 1):
        if all(LOWEST_MM <= value <= HIGHEST_MM for value in (row, column)):
            return (row, column), notes
        instead = "treated as unknown" if number == len(stated) else "the next one is taken"
        notes += (
            f"states a pixel spacing of {row:g} x {column:g} mm, which is not plausible; {instead}",
        )
    return None, notes
