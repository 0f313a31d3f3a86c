"""The labels: names, ids, priority and colours, in one place."""

from dataclasses import dataclass


@dataclass(frozen=True)
class Organ:
    """One class of the label map.

    Attributes:
        name: as in file names, columns and metrics.
        label: its value in a label map.
        parts: its masks in the SCR database, one folder each; left and right are the patient's.
        pieces: how many separate pieces a person has of it.
        colour: (red, green, blue) in overlays, 0 to 255; told apart with deficient colour vision
            (Okabe and Ito's palette).
    """

    name: str
    label: int
    parts: tuple[str, ...]
    pieces: int
    colour: tuple[int, int, int]


BACKGROUND = 0
CLAVICLES = Organ("clavicles", 1, ("left clavicle", "right clavicle"), 2, (240, 228, 66))
HEART = Organ("heart", 2, ("heart",), 1, (213, 94, 0))
LUNGS = Organ("lungs", 3, ("left lung", "right lung"), 2, (86, 180, 233))

#: By priority: where organs overlap, the earlier one is what the label map shows.
ORGANS = (CLAVICLES, HEART, LUNGS)


@dataclass(frozen=True)
class Part:
    """An organ, or its right or left one; right and left are the patient's.

    Attributes:
        name: as in file names, columns and categories.
        organ: what it is a part of.
        side: ``right``, ``left``, or empty where there is one only.
        label: its value in a label map of parts. The right parts and the heart keep their
            organ's.
    """

    name: str
    organ: Organ
    side: str
    label: int


#: What a label map of parts can hold, in the order of its labels.
PARTS = (
    Part("right clavicle", CLAVICLES, "right", CLAVICLES.label),
    Part("heart", HEART, "", HEART.label),
    Part("right lung", LUNGS, "right", LUNGS.label),
    Part("left clavicle", CLAVICLES, "left", 4),
    Part("left lung", LUNGS, "left", 5),
)


#: What a label map of organs can hold, told in the same way.
WHOLE = tuple(Part(organ.name, organ, "", organ.label) for organ in ORGANS)


def parts_with(sides: bool) -> tuple[Part, ...]:
    """What outputs name: right and left, or the organs."""
    return PARTS if sides else WHOLE


def part_of(organ: Organ, side: str = "") -> Part:
    """The part of an organ on a side."""
    return next(part for part in PARTS if part.organ is organ and part.side == side)


#: Number of classes, background included; labels are 0 to CLASSES - 1.
CLASSES = len(ORGANS) + 1
