"""DICOM segmentation objects (PS3.3, A.51), for radiographs that were read from DICOM files.

A SEG belongs to the patient and study of its source image and refers to that image. The patient's
name and ID are copied into it, read again from the source's header; no other output holds them.
The masks have the source's rows and columns. No positions are stated, only the source's frame of
reference, where it has one. The same source, model and masks give the same bytes: UIDs are digests
of these, and dates are the source's.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from importlib.util import find_spec
from io import BytesIO
from pathlib import Path
from typing import TYPE_CHECKING, Any
from uuid import NAMESPACE_OID, uuid5

import numpy as np

from .._util.warnings import warnings_ignored
from .._version import __version__
from ..errors import OutputError
from ..labels import CLAVICLES, HEART, LUNGS, ORGAN_LABELS, LabelScheme, Structure
from .encoder import NotEncodable, OutputFile
from .mask_set import MaskSet

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
#: Type 2 in the Patient and General Study modules: required, but may be empty.
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
#: None of them is required.
_OF_THIS_MOMENT = ("InstanceCreationDate", "InstanceCreationTime", "ContributionDateTime")
#: Dates in the source's header, that of the content first.
_DATES = ("Content", "Acquisition", "Series", "Study")
#: Position in a volume. A projection has none; where it is stated, highdicom requires more of it.
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

# Reasons why a radiograph has no SEG. results.csv has them in its column ``notes``; it is an
# interface, and its values do not change.
_NOT_DICOM = "the film is not a DICOM file"
_UNREADABLE = "the film cannot be read again"
_HEADER_LACKS = "the film's header has no"
_HEADER_FORBIDS = "the film's header does not allow it"


def is_available() -> bool:
    """Whether highdicom and pydicom are installed."""
    return all(find_spec(name) for name in ("highdicom", "pydicom"))


@dataclass(frozen=True)
class DicomSegEncoder:
    """A binary DICOM SEG with a segment for each structure, found or not.

    Attributes:
        scheme: the structures.
    """

    scheme: LabelScheme = ORGAN_LABELS

    def encode(self, key: str, masks: MaskSet) -> Iterator[OutputFile]:
        """See Encoder."""
        yield OutputFile(f"seg/{key}.dcm", encode_dicom_seg(masks, self.scheme))


def encode_dicom_seg(masks: MaskSet, scheme: LabelScheme = ORGAN_LABELS) -> bytes:
    """Encode a binary DICOM SEG, with a segment for each structure, found or not.

    Raises:
        NotEncodable: the radiograph is not a DICOM file, or its header lacks what a SEG refers to.
        OutputError: highdicom is not installed.
    """
    if not is_available():
        raise OutputError("to write DICOM SEG: pip install 'xray-seg[dicom-seg]'")
    if not masks.radiograph.format.startswith("DICOM"):
        raise NotEncodable(_NOT_DICOM)
    source = Path(masks.radiograph.source)
    header = _read_header(source)
    try:
        with warnings_ignored("pydicom", "highdicom"):  # about oddities of the source's header
            return _encode(_segmentation(header, masks, scheme, source))
    except (OSError, MemoryError):
        raise
    except Exception as error:  # highdicom checks what the header says in many places
        reason = " ".join(str(error).split()) or type(error).__name__
        raise NotEncodable(f"{_HEADER_FORBIDS}: {reason}") from error


def _read_header(path: Path) -> Dataset:
    import pydicom

    try:
        header = pydicom.dcmread(path, stop_before_pixels=True, force=True)
    except OSError as error:
        raise NotEncodable(f"{_UNREADABLE}: {error.strerror or error}") from error
    missing = [name for name in _NEEDED if not header.get(name)]
    if missing:
        raise NotEncodable(f"{_HEADER_LACKS} {', '.join(missing)}")
    if (header.get("Rows"), header.get("Columns")) == (None, None):
        raise NotEncodable(f"{_HEADER_LACKS} size")
    return header


def _segmentation(header: Dataset, masks: MaskSet, scheme: LabelScheme, path: Path) -> Segmentation:
    import highdicom
    from pydicom.uid import ExplicitVRLittleEndian

    model, labels = masks.model, masks.label_map(scheme)
    described = [_describe(number, each, model) for number, each in enumerate(scheme.structures, 1)]
    planes = np.stack([labels == each.label for each in scheme.structures], axis=-1)
    day, time = _date_and_time(header, path)
    uid = _uids(header, masks, scheme)
    seg = highdicom.seg.Segmentation(
        source_images=[_source_image(header)],
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
    if "SpecificCharacterSet" in header:  # names are copied in this encoding
        seg.SpecificCharacterSet = header.SpecificCharacterSet
    seg.ContentCreatorName = ""  # type 2 (PS3.3, 10.9.1): no person created it
    _refer_to(header, seg)
    _make_deterministic(seg, uid("dimensions"))
    return seg


def _describe(number: int, structure: Structure, model: Any) -> SegmentDescription:
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
        structure.name,
        CodedConcept(*_ANATOMY),
        CodedConcept(*_ORGANS[structure.organ]),
        "AUTOMATIC",
        algorithm,
        display_color=CIELabColor.from_rgb(*structure.organ.colour),
    )
    if structure.organ.pieces > 1:
        side = CodedConcept(*_SIDES[structure.side])
        kind = described.SegmentedPropertyTypeCodeSequence[0]
        kind.SegmentedPropertyTypeModifierCodeSequence = [side]
    return described


def _source_image(header: Dataset) -> Dataset:
    """The source's header for highdicom: one frame, of a class that requires no position."""
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
    """Refer to the source by its true SOP class and, if it has several frames, to the first."""
    several = int(header.get("NumberOfFrames") or 1) > 1

    def update(dataset: Dataset, element: Any) -> None:
        if element.keyword != "ReferencedSOPInstanceUID":
            return
        dataset.ReferencedSOPClassUID = header.SOPClassUID
        if several and "PurposeOfReferenceCodeSequence" in dataset:
            dataset.ReferencedFrameNumber = 1

    seg.walk(update)


def _make_deterministic(seg: Dataset, dimensions: str) -> None:
    """Replace values that highdicom generates anew each time."""

    def update(dataset: Dataset, element: Any) -> None:
        if element.keyword == "DimensionOrganizationUID":
            element.value = dimensions
        elif element.keyword in _OF_THIS_MOMENT:
            del dataset[element.tag]

    seg.walk(update)


def _uids(header: Dataset, masks: MaskSet, scheme: LabelScheme) -> Callable[[str], str]:
    """A function from a purpose to a UID (PS3.5, B.2) derived from source, model and masks."""
    model = masks.model
    names = ",".join(structure.name for structure in scheme.structures)
    digest = hashlib.sha256(masks.label_map(scheme).tobytes()).hexdigest()
    made_of = [
        __version__,
        model.sha256 if model else "",
        names,
        str(header.SOPInstanceUID),
        digest,
    ]
    return lambda purpose: f"2.25.{uuid5(NAMESPACE_OID, ' '.join([purpose, *made_of])).int}"


def _date_and_time(header: Dataset, path: Path) -> tuple[str, str]:
    """Date and time of the source as DICOM strings; those of its file where it states none."""
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
    """The source's series number plus 1000, so that viewers list the two series apart."""
    try:
        return 1000 + max(0, int(header.get("SeriesNumber") or 0))
    except ValueError:
        return 1000


def _encode(seg: Dataset) -> bytes:
    buffer = BytesIO()
    seg.save_as(buffer, enforce_file_format=True)
    return buffer.getvalue()
