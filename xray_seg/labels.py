"""Organs, their labels in label maps, and the label schemes that outputs can use."""

from __future__ import annotations

from dataclasses import dataclass

BACKGROUND = 0


@dataclass(frozen=True)
class Organ:
    """One class of the network and of label maps.

    Attributes:
        name: as in file names, columns and metrics.
        label: its value in a label map.
        pieces: how many separate pieces a person has of it: 2 where it is paired.
        colour: (red, green, blue) in overlays, 0 to 255, from the palette of Okabe and Ito, which
            people with colour vision deficiency can tell apart.
    """

    name: str
    label: int
    pieces: int
    colour: tuple[int, int, int]

    @property
    def sides(self) -> tuple[str, ...]:
        """The lateralities that it exists in: right and left, or one empty text."""
        return ("right", "left") if self.pieces > 1 else ("",)


CLAVICLES = Organ("clavicles", 1, 2, (240, 228, 66))
HEART = Organ("heart", 2, 1, (213, 94, 0))
LUNGS = Organ("lungs", 3, 2, (86, 180, 233))

#: By priority: where organs overlap, a label map shows the earlier one.
ORGANS = (CLAVICLES, HEART, LUNGS)
#: Number of classes, background included; labels are 0 to CLASSES - 1.
CLASSES = len(ORGANS) + 1


@dataclass(frozen=True)
class Structure:
    """What one value of a label map stands for: an organ, or the right or left one of a pair.

    Attributes:
        name: as in file names, columns and categories.
        organ: the organ.
        side: laterality, ``right`` or ``left`` as the patient's; empty for an organ as a whole.
        label: its value in a label map.
    """

    name: str
    organ: Organ
    side: str
    label: int


@dataclass(frozen=True)
class LabelScheme:
    """The structures that a label map can hold.

    Attributes:
        name: ``organs`` or ``right-left``.
        structures: in the order of their labels.
    """

    name: str
    structures: tuple[Structure, ...]

    @property
    def has_sides(self) -> bool:
        """Whether right and left are told apart."""
        return any(structure.side for structure in self.structures)

    def find(self, organ: Organ, side: str = "") -> Structure:
        """The structure of an organ on a side.

        Raises:
            KeyError: the scheme has no such structure.
        """
        for structure in self.structures:
            if structure.organ is organ and structure.side == side:
                return structure
        raise KeyError(f"{self.name} labels have no {side} {organ.name}".replace("  ", " "))


#: Label maps as the network gives them: an organ's right and left share a label.
ORGAN_LABELS = LabelScheme(
    "organs", tuple(Structure(organ.name, organ, "", organ.label) for organ in ORGANS)
)
#: Label maps with laterality. The right structures and the heart keep their organ's label.
RIGHT_LEFT_LABELS = LabelScheme(
    "right-left",
    (
        Structure("right clavicle", CLAVICLES, "right", CLAVICLES.label),
        Structure("heart", HEART, "", HEART.label),
        Structure("right lung", LUNGS, "right", LUNGS.label),
        Structure("left clavicle", CLAVICLES, "left", 4),
        Structure("left lung", LUNGS, "left", 5),
    ),
)
