"""What is kept of a film with known masks that the network was asked about."""

from dataclasses import dataclass

from xray_seg.analysis.features import Evidence


@dataclass(frozen=True)
class Sample:
    """One spoilt film.

    Attributes:
        case: the film's name.
        family: how it was spoilt.
        evidence: of the network's answer.
        dice: the true Dice of each organ; not a number where there is none to find.
    """

    case: str
    family: str
    evidence: Evidence
    dice: dict[str, float]
