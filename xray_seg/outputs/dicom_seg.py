"""DICOM segmentation objects (PS3.3, A.51), for radiographs that were read from DICOM files.

A SEG belongs to the patient and study of its source image and refers to that image. It contains the
patient's name and ID, which are read again from the source's header; no other output has the name.
The masks have the source's rows and columns. The SEG states no positions, only the source's frame
of reference if there is one. The same source, model and masks give the same bytes: UIDs are digests
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
from ..labels import ORGAN_LABELS, LabelScheme
from .dicom_segments import describe_segment
from .encoder import NotEncodable, OutputFile
from .mask_set import MaskSet

if TYPE_CHECKING:
    from highdicom.seg import Segmentation
    from pydicom import Dataset

_REQUIRED = ("SOPClassUID", "SOPInstanceUID", "StudyInstanceUID", "SeriesInstanceUID")
#: Type 2 in the Patient and General Study modules: required, but they may be empty.
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
#: Optional attributes that highdicom sets to the current time.
_CURRENT_TIMES = ("InstanceCreationDate", "InstanceCreationTime", "ContributionDateTime")
#: Prefixes of date and time attributes in the source's header, in order of preference.
_DATE_PREFIXES = ("Content", "Acquisition", "Series", "Study")
#: Geometry of a volume, which a projection does not have. highdicom would require it complete.
_GEOMETRY = (
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
    """A binary DICOM SEG with a segment for each structure, empty if not found.

    Attributes:
        scheme: the label scheme; its structures are the segments.
    """

    scheme: LabelScheme = ORGAN_LABELS

    def encode(self, key: str, masks: MaskSet) -> Iterator[OutputFile]:
        """See Encoder."""
        yield OutputFile(f"seg/{key}.dcm", encode_dicom_seg(masks, self.scheme))


def encode_dicom_seg(masks: MaskSet, scheme: LabelScheme = ORGAN_LABELS) -> bytes:
    """Encode a binary DICOM SEG with a segment for each structure, empty if not found.

    Args:
        masks: the masks of a radiograph that was read from a DICOM file.
        scheme: the label scheme; its structures are the segments.

    Raises:
        NotEncodable: the radiograph is not a DICOM file, or its header lacks attributes that a SEG
            requires.
        OutputError: highdicom is not installed.
    """
    if not is_available():
        raise OutputError(
            "DICOM SEG needs highdicom, which is not installed: pip install 'xray-seg[dicom-seg]'"
        )
    if not masks.radiograph.format.startswith("DICOM"):
        raise NotEncodable(_NOT_DICOM)
    source = Path(masks.radiograph.source)
    header = _read_header(source)
    try:
        with warnings_ignored("pydicom", "highdicom"):  # about non-standard values in the source
            return _encode(_segmentation(header, masks, scheme, source))
    except (OSError, MemoryError):
        raise
    except Exception as error:  # highdicom checks many attributes of the header
        reason = " ".join(str(error).split()) or type(error).__name__
        raise NotEncodable(f"{_HEADER_FORBIDS}: {reason}") from error


def _read_header(path: Path) -> Dataset:
    import pydicom

    try:
        header = pydicom.dcmread(path, stop_before_pixels=True, force=True)
    except OSError as error:
        raise NotEncodable(f"{_UNREADABLE}: {error.strerror or error}") from error
    missing = [name for name in _REQUIRED if not header.get(name)]
    if missing:
        raise NotEncodable(f"{_HEADER_LACKS} {', '.join(missing)}")
    if (header.get("Rows"), header.get("Columns")) == (None, None):
        raise NotEncodable(f"{_HEADER_LACKS} size")
    return header


def _segmentation(header: Dataset, masks: MaskSet, scheme: LabelScheme, path: Path) -> Segmentation:
    import highdicom
    from pydicom.uid import ExplicitVRLittleEndian

    model, labels = masks.model, masks.label_map(scheme)
    descriptions = [
        describe_segment(number, each, masks) for number, each in enumerate(scheme.structures, 1)
    ]
    planes = np.stack([labels == each.label for each in scheme.structures], axis=-1)
    date, time = _date_and_time(header, path)
    uid = _uids(header, masks, scheme)
    seg = highdicom.seg.Segmentation(
        source_images=[_source_image(header)],
        pixel_array=planes[None].astype(np.uint8),
        segmentation_type="BINARY",
        segment_descriptions=descriptions,
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
        content_date=date,
        content_time=time,
        specific_character_set=None,
        transfer_syntax_uid=ExplicitVRLittleEndian,
        omit_empty_frames=False,
    )
    if "SpecificCharacterSet" in header:  # the encoding of the copied names
        seg.SpecificCharacterSet = header.SpecificCharacterSet
    seg.ContentCreatorName = ""  # type 2 (PS3.3, 10.9.1); not created by a person
    _refer_to(header, seg)
    _make_deterministic(seg, uid("dimensions"))
    return seg


def _source_image(header: Dataset) -> Dataset:
    """Adapt the source's header for highdicom: one frame, of a class that requires no geometry."""
    from copy import deepcopy

    from pydicom.valuerep import DA, TM

    adapted = deepcopy(header)
    adapted.SOPClassUID = _SECONDARY_CAPTURE
    for name in _GEOMETRY:
        if name in adapted:
            del adapted[name]
    for name in _MAY_BE_EMPTY:
        if name not in adapted:
            setattr(adapted, name, "")
    for name, kind in (("PatientBirthDate", DA), ("StudyDate", DA), ("StudyTime", TM)):
        try:
            kind(adapted.get(name) or None)
        except ValueError:
            setattr(adapted, name, "")
    if adapted.PatientSex not in ("M", "F", "O", ""):
        adapted.PatientSex = ""
    return adapted


def _refer_to(header: Dataset, seg: Dataset) -> None:
    """Refer to the source by its true SOP class and, if it has several frames, to the first one."""
    is_multiframe = int(header.get("NumberOfFrames") or 1) > 1

    def update(dataset: Dataset, element: Any) -> None:
        if element.keyword != "ReferencedSOPInstanceUID":
            return
        dataset.ReferencedSOPClassUID = header.SOPClassUID
        if is_multiframe and "PurposeOfReferenceCodeSequence" in dataset:
            dataset.ReferencedFrameNumber = 1

    seg.walk(update)


def _make_deterministic(seg: Dataset, dimensions: str) -> None:
    """Replace or remove values that highdicom generates anew each time."""

    def update(dataset: Dataset, element: Any) -> None:
        if element.keyword == "DimensionOrganizationUID":
            element.value = dimensions
        elif element.keyword in _CURRENT_TIMES:
            del dataset[element.tag]

    seg.walk(update)


def _uids(header: Dataset, masks: MaskSet, scheme: LabelScheme) -> Callable[[str], str]:
    """Return a function from purpose to UID (PS3.5, B.2), derived from source, model and masks."""
    model = masks.model
    names = ",".join(structure.name for structure in scheme.structures)
    digest = hashlib.sha256(masks.label_map(scheme).tobytes()).hexdigest()
    parts = [
        __version__,
        model.sha256 if model else "",
        names,
        str(header.SOPInstanceUID),
        digest,
    ]
    return lambda purpose: f"2.25.{uuid5(NAMESPACE_OID, ' '.join([purpose, *parts])).int}"


def _date_and_time(header: Dataset, path: Path) -> tuple[str, str]:
    """Date and time of the source as DICOM strings; those of its file if the header has none."""
    from pydicom.valuerep import DA, TM

    for prefix in _DATE_PREFIXES:
        try:
            date = DA(header.get(f"{prefix}Date") or None)
            time = TM(header.get(f"{prefix}Time") or "000000")
        except ValueError:
            continue
        if date is not None:
            return str(date), str(time)
    modified = datetime.fromtimestamp(path.stat().st_mtime, UTC)
    return modified.strftime("%Y%m%d"), modified.strftime("%H%M%S")


def _series_number(header: Dataset) -> int:
    """The source's series number plus 1000, so that viewers list the two series separately."""
    try:
        return 1000 + max(0, int(header.get("SeriesNumber") or 0))
    except ValueError:
        return 1000


def _encode(seg: Dataset) -> bytes:
    buffer = BytesIO()
    seg.save_as(buffer, enforce_file_format=True)
    return buffer.getvalue()
