"""Descriptions of the segments of a DICOM SEG: codes of the anatomy, and of the algorithm."""

from __future__ import annotations

from typing import TYPE_CHECKING

from .._version import __version__
from ..labels import CLAVICLES, HEART, LUNGS, Structure
from .mask_set import MaskSet

if TYPE_CHECKING:
    from highdicom.seg import SegmentDescription

#: SNOMED CT codes: the organs' from PS3.16 CID 4031 and CID 7155, the sides' from CID 244.
_ANATOMY = ("91723000", "SCT", "Anatomical Structure")
_ORGANS = {
    CLAVICLES: ("51299004", "SCT", "Clavicle"),
    HEART: ("80891009", "SCT", "Heart"),
    LUNGS: ("39607008", "SCT", "Lung"),
}
_SIDES = {
    "right": ("24028007", "SCT", "Right"),
    "left": ("7771000", "SCT", "Left"),
    "": ("51440002", "SCT", "Bilateral"),
}


def describe_segment(number: int, structure: Structure, masks: MaskSet) -> SegmentDescription:
    """Describe the segment of a structure.

    Args:
        number: of the segment, from 1.
        structure: what it shows.
        masks: the masks that it belongs to.
    """
    from highdicom import AlgorithmIdentificationSequence
    from highdicom.color import CIELabColor
    from highdicom.seg import SegmentDescription
    from highdicom.sr import CodedConcept
    from pydicom.sr.codedict import codes

    algorithm = AlgorithmIdentificationSequence(
        name="xray-seg",
        version=__version__,
        family=codes.cid7162.ArtificialIntelligence,
        parameters=_algorithm_facts(structure, masks) or None,
    )
    description = SegmentDescription(
        number,
        structure.name,
        CodedConcept(*_ANATOMY),
        CodedConcept(*_ORGANS[structure.organ]),
        "AUTOMATIC",
        algorithm,
        display_color=CIELabColor.from_rgb(*structure.organ.colour),
    )
    if structure.organ.pieces > 1:
        side = CodedConcept(*_SIDES[structure.side])
        property_type = description.SegmentedPropertyTypeCodeSequence[0]
        property_type.SegmentedPropertyTypeModifierCodeSequence = [side]
    return description


def _algorithm_facts(structure: Structure, masks: MaskSet) -> dict[str, str]:
    """Parameters of the algorithm: the weights, how the image was shown, the predicted Dice."""
    facts = {}
    if masks.model:
        facts["weights"] = f"{masks.model.name} sha256 {masks.model.sha256}"
    if masks.presentation.notes:
        facts["presentation"] = "; ".join(masks.presentation.notes)
    predicted = masks.quality.predicted_dice.get(structure.organ.name)
    if predicted is not None:
        facts["predicted Dice"] = f"{predicted:.2f}"
    return facts
