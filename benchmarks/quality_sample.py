"""A segmented radiograph with known masks, from which quality estimation is fitted."""

from dataclasses import dataclass

from xray_seg.analysis.features import QualityFeatures


@dataclass(frozen=True)
class Sample:
    """One degraded radiograph.

    Attributes:
        case: name of the radiograph.
        family: kind of degradation.
        features: quality features of its segmentation.
        dice: true Dice of each organ; NaN where the organ is not in the image.
    """

    case: str
    family: str
    features: QualityFeatures
    dice: dict[str, float]
