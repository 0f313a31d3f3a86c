"""DICOM segmentation objects (PS3.3, A.51), of films that came as DICOM.

A SEG belongs to its film's patient and study and refers to it, so here, and nowhere else, the
patient's name and number are carried over: they are read again from the film's own header. It
lies on the film pixel by pixel, and says nothing of places and distances but the film's frame of
reference, where it has one. All in it follows from film, model and masks, so that the same come
out as the same bytes: its UIDs are digests of these, its dates the film's.
"""

from __future__ import annotations

import hashlib
import warnings
from collections.abc import Callable
from datetime import UTC, datetime
from importlib.util import find_spec
from io import BytesIO
from pathlib import Path
from typing import TYPE_CHECKING, Any
from uuid import NAMESPACE_OID, uuid5

import numpy as np

from .._util.files import write_bytes
from .._version import __version__
from ..errors import OutputError
from ..labels import CLAVICLES, HEART, LUNGS, Structure
from .mask_set import Masks, NotMade, naming

if TYPE_CHECKING:
    from highdicom.seg import Segmentation, SegmentDescription
    from pydicom import Dataset

#: SNOMED CT; the organs' are of PS3.16, CID 4031 and the sides' of CID 244.
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
_NEEDED = ("SOPClassUID", "SOPInstanceUID", "StudyInstanceUID", "SeriesInstanceUID")
#: Type 2 in the Patient and General Study modules: to be there, though empty.
_MAY_BE_EMPTY = (
    "PatientID",
    "PatientName",
    "PatientBirthDate",
    "PatientSex",
    "AccessionNumber",
    "StudyID",
    "StudyDate",
    "StudyTime",
    "ReferringPhysicianName",
)
#: None of them has to be there.
_OF_THIS_MOMENT = ("InstanceCreationDate", "InstanceCreationTime", "ContributionDateTime")
#: Dates of the film, the nearest to its making first.
_DATES = ("Content", "Acquisition", "Series", "Study")
#: Where the film lies in a volume, which a projection does not; highdicom would ask for more.
_PLACES = (
    "ImagePositionPatient",
    "ImageOrientationPatient",
    "ImageOrientationSlide",
    "ImageCenterPointCoordinatesSequence",
    "SharedFunctionalGroupsSequence",
    "PerFrameFunctionalGroupsSequence",
    "PixelSpacing",
    "NumberOfFrames",
)
_SECONDARY_CAPTURE = "1.2.840.10008.5.1.4.1.1.7"


def is_available() -> bool:
    """Whether highdicom and pydicom are installed."""
    return all(find_spec(name) for name in ("highdicom", "pydicom"))


def dicom_seg_kind(stem: str, suffix: str, masks: Masks) -> list[Path]:
    """A SEG with a segment for each organ or part."""
    return [save_dicom_seg(Path(stem + ".dcm"), masks)]


def save_dicom_seg(path: Path, masks: Masks) -> Path:
    """Write a binary DICOM SEG, with a segment for each organ or part, found or not.

    Raises:
        NotMade: the film was no DICOM file, or its header lacks what a SEG refers to.
        OutputError: the file cannot be written, or highdicom is not installed.
    """
    if not is_available():
        raise OutputError(f"{path}: to write DICOM SEG: pip install 'xray-seg[dicom-seg]'")
    source = masks.segmentation.radiograph.source
    if not masks.segmentation.radiograph.format.startswith("DICOM"):
        raise NotMade("the film is not a DICOM file")
    header = _read_header(Path(source))
    try:
        data = _encode(_segmentation(header, masks, Path(source)))
    except (OSError, MemoryError):
        raise
    except Exception as error:  # highdicom checks what the header says in many places
        reason = " ".join(str(error).split()) or type(error).__name__
        raise NotMade(f"the film's header does not allow it: {reason}") from error
    with naming(path):
        write_bytes(path, data)
    return path


def _read_header(path: Path) -> Dataset:
    import pydicom

    try:
        header = pydicom.dcmread(path, stop_before_pixels=True, force=True)
    except OSError as error:
        raise NotMade(f"the film cannot be read again: {error.strerror or error}") from error
    missing = [name for name in _NEEDED if not header.get(name)]
    if missing:
        raise NotMade(f"the film's header has no {', '.join(missing)}")
    if (header.get("Rows"), header.get("Columns")) == (None, None):
        raise NotMade("the film's header has no size")
    return header


def _segmentation(header: Dataset, masks: Masks, path: Path) -> Segmentation:
    import highdicom
    from pydicom.uid import ExplicitVRLittleEndian

    model = masks.segmentation.model
    described = [_describe(number, part, model) for number, part in enumerate(masks.parts, 1)]
    planes = np.stack([masks.labels == part.label for part in masks.parts], axis=-1)
    day, time = _made(header, path)
    uid = _uids(header, masks)
    # On oddities of the header, which are the film's; not undone, as other threads write, too.
    for module in ("pydicom", "highdicom"):
        warnings.filterwarnings("ignore", module=module)
    seg = highdicom.seg.Segmentation(
        source_images=[_stand_in(header)],
        pixel_array=planes[None].astype(np.uint8),
        segmentation_type="BINARY",
        segment_descriptions=described,
        series_instance_uid=uid("series"),
        series_number=_series_number(header),
        sop_instance_uid=uid("instance"),
        instance_number=1,
        manufacturer="xray-seg",
        manufacturer_model_name=model.name if model else "xray-seg",
        software_versions=__version__,
        device_serial_number=model.sha256 if model else __version__,
        content_label="CHEST",
        content_description="Clavicles, heart and lungs",
        series_description="Clavicles, heart and lungs",
        content_date=day,
        content_time=time,
        specific_character_set=None,
        transfer_syntax_uid=ExplicitVRLittleEndian,
        omit_empty_frames=False,
    )
    if "SpecificCharacterSet" in header:  # whatever it is, as names are copied in it
        seg.SpecificCharacterSet = header.SpecificCharacterSet
    seg.ContentCreatorName = ""  # of type 2 (PS3.3, 10.9.1): there is no such person
    _refer_to(header, seg)
    _settle(seg, uid("dimensions"))
    return seg


def _describe(number: int, part: Structure, model: Any) -> SegmentDescription:
    from highdicom import AlgorithmIdentificationSequence
    from highdicom.color import CIELabColor
    from highdicom.seg import SegmentDescription
    from highdicom.sr import CodedConcept
    from pydicom.sr.codedict import codes

    algorithm = AlgorithmIdentificationSequence(
        name="xray-seg",
        version=__version__,
        family=codes.cid7162.ArtificialIntelligence,
        parameters={"weights": f"{model.name} sha256 {model.sha256}"} if model else None,
    )
    described = SegmentDescription(
        number,
        part.name,
        CodedConcept(*_ANATOMY),
        CodedConcept(*_ORGANS[part.organ]),
        "AUTOMATIC",
        algorithm,
        display_color=CIELabColor.from_rgb(*part.organ.colour),
    )
    if part.organ.pieces > 1:
        side = CodedConcept(*_SIDES[part.side])
        kind = described.SegmentedPropertyTypeCodeSequence[0]
        kind.SegmentedPropertyTypeModifierCodeSequence = [side]
    return described


def _stand_in(header: Dataset) -> Dataset:
    """The film as highdicom is told of it: one frame, of a class from which it asks no place."""
    from copy import deepcopy

    from pydicom.valuerep import DA, TM

    shown = deepcopy(header)
    shown.SOPClassUID = _SECONDARY_CAPTURE
    for name in _PLACES:
        if name in shown:
            del shown[name]
    for name in _MAY_BE_EMPTY:
        if name not in shown:
            setattr(shown, name, "")
    for name, kind in (("PatientBirthDate", DA), ("StudyDate", DA), ("StudyTime", TM)):
        try:
            kind(shown.get(name) or None)
        except ValueError:
            setattr(shown, name, "")
    if shown.PatientSex not in ("M", "F", "O", ""):
        shown.PatientSex = ""
    return shown


def _refer_to(header: Dataset, seg: Dataset) -> None:
    """Name the film's true class where the SEG refers to it, and of several frames the first."""
    several = int(header.get("NumberOfFrames") or 1) > 1

    def mend(dataset: Dataset, element: Any) -> None:
        if element.keyword != "ReferencedSOPInstanceUID":
            return
        dataset.ReferencedSOPClassUID = header.SOPClassUID
        if several and "PurposeOfReferenceCodeSequence" in dataset:
            dataset.ReferencedFrameNumber = 1

    seg.walk(mend)


def _settle(seg: Dataset, dimensions: str) -> None:
    """Replace what highdicom makes anew each time."""

    def mend(dataset: Dataset, element: Any) -> None:
        if element.keyword == "DimensionOrganizationUID":
            element.value = dimensions
        elif element.keyword in _OF_THIS_MOMENT:
            del dataset[element.tag]

    seg.walk(mend)


def _uids(header: Dataset, masks: Masks) -> Callable[[str], str]:
    """By purpose, a UID (PS3.5, B.2) that follows from film, model and masks."""
    model = masks.segmentation.model
    names = ",".join(part.name for part in masks.parts)
    digest = hashlib.sha256(masks.labels.tobytes()).hexdigest()
    made_of = [
        __version__,
        model.sha256 if model else "",
        names,
        str(header.SOPInstanceUID),
        digest,
    ]
    return lambda purpose: f"2.25.{uuid5(NAMESPACE_OID, ' '.join([purpose, *made_of])).int}"


def _made(header: Dataset, path: Path) -> tuple[str, str]:
    """Date and time of the film, as DICOM writes them; of its file where it states no date."""
    from pydicom.valuerep import DA, TM

    for kind in _DATES:
        try:
            day = DA(header.get(f"{kind}Date") or None)
            time = TM(header.get(f"{kind}Time") or "000000")
        except ValueError:
            continue
        if day is not None:
            return str(day), str(time)
    stamp = datetime.fromtimestamp(path.stat().st_mtime, UTC)
    return stamp.strftime("%Y%m%d"), stamp.strftime("%H%M%S")


def _series_number(header: Dataset) -> int:
    """The film's and a thousand, so that the two series stand apart in a viewer's list."""
    try:
        return 1000 + max(0, int(header.get("SeriesNumber") or 0))
    except ValueError:
        return 1000


def _encode(seg: Dataset) -> bytes:
    buffer = BytesIO()
    seg.save_as(buffer, enforce_file_format=True)
    return buffer.getvalue()
