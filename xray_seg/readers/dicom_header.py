"""Facts from a DICOM header that may leave it: defined terms, and identifiers on request.

People type names into any field, so a word from a header is repeated only if DICOM defines it.
"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from ..errors import ReadError
from .dicom_file import read_guarded
from .limits import MAX_PIXELS, Budget, plain_int

if TYPE_CHECKING:
    from pydicom import Dataset

#: Bytes needed to recognise a DICOM file: bytes 128 to 131 hold "DICM" (PS3.10, section 7.1).
HEAD_LENGTH = 132

#: Modalities of a projection radiograph, or of a picture of one (PS3.3, C.7.3.1.1.1).
_MODALITIES = ("CR", "DX", "RG", "RF", "OT", "SC")
#: Body parts of a radiograph that shows the chest (PS3.16, annex L).
_BODY_PARTS = ("CHEST", "THORAX", "LUNG", "HEART", "RIB", "RIBS", "CLAVICLE")
#: Frontal views (PS3.3, C.8.11.5).
_FRONTAL = ("PA", "AP")
#: Other common terms of the same lists.
_OTHER_MODALITIES = (
    *("XA", "MG", "CT", "MR", "US", "NM", "PT", "IO", "PX", "BMD", "ES", "XC", "ECG", "SM", "SEG"),
    *("DOC", "SR"),
)
_OTHER_BODY_PARTS = (
    *("ABDOMEN", "ANKLE", "ARM", "BREAST", "CSPINE", "ELBOW", "EXTREMITY", "FEMUR", "FINGER"),
    *("FOOT", "FOREARM", "HAND", "HEAD", "HIP", "HUMERUS", "JAW", "KNEE", "LEG", "LSPINE"),
    *("NECK", "PELVIS", "SCAPULA", "SHOULDER", "SKULL", "SPINE", "SSPINE", "STERNUM", "TOE"),
    *("TSPINE", "WRIST"),
)
_WIDER_BODY_PARTS = (*_OTHER_BODY_PARTS, "WHOLEBODY")
#: Lateral and oblique views. In a decubitus view (LLD, RLD) the patient lies on the side, but the
#: beam is frontal.
_SIDE_VIEWS = ("LL", "RL", "LLO", "RLO", "LAT", "LATERAL", "OBL", "OBLIQUE")
_OTHER_VIEWS = (*_SIDE_VIEWS, "LLD", "RLD")
#: Columns of ``--keep-ids`` and their attributes (PS3.3, C.7.1.1, C.7.2.1, C.7.3.1 and C.12.1).
_IDS = {
    "patient_id": "PatientID",
    "study_instance_uid": "StudyInstanceUID",
    "series_instance_uid": "SeriesInstanceUID",
    "sop_instance_uid": "SOPInstanceUID",
}
ID_COLUMNS = tuple(_IDS)


def is_dicom(head: bytes) -> bool:
    """Whether a file is DICOM, with or without a preamble, from its first HEAD_LENGTH bytes."""
    if head[128:132] == b"DICM":
        return True
    # Without a preamble the data set comes first: group 2 or 8, the element, then the value
    # representation as two capital letters.
    return head[:2] in (b"\x02\x00", b"\x08\x00") and head[4:6].isalpha() and head[4:6].isupper()


def modality(dataset: Dataset) -> str:
    """The modality, or an empty string if it is not a defined term."""
    return _defined(_word(dataset, "Modality"), (*_MODALITIES, *_OTHER_MODALITIES)) or ""


def kind(dataset: Dataset) -> str:
    """The name of the SOP class in DICOM's own list."""
    from pydicom.uid import UID

    uid = UID(str(dataset.get("SOPClassUID", "")))
    return uid.name if uid and uid.name != uid else "of no stated kind"


def doubts(dataset: Dataset) -> tuple[str, ...]:
    """List the header's signs that the image is not a single frontal chest radiograph."""
    found = []
    word = _word(dataset, "Modality")
    if word and word not in _MODALITIES:
        found.append(f"modality {_or_unknown(word, _OTHER_MODALITIES)} is not that of a radiograph")
    word = _word(dataset, "BodyPartExamined")
    if word and word not in _BODY_PARTS:
        found.append(f"body part {_or_unknown(word, _WIDER_BODY_PARTS)}, not CHEST")
    word = _word(dataset, "ViewPosition")
    if word and word not in _FRONTAL:
        found.append(f"view {_or_unknown(word, _OTHER_VIEWS)}, not PA or AP")
    frames = number_of_frames(dataset)
    if frames > 1:
        found.append(f"{frames} frames, of which the first is taken")
    return tuple(found)


def other_kind(dataset: Dataset) -> str:
    """Say why the header rules out a frontal chest radiograph; empty if it does not.

    Words that DICOM does not define rule out nothing, except as a modality: people type all sorts
    of names for the chest.
    """
    word = _word(dataset, "Modality")
    if word and word not in _MODALITIES:
        return f"its modality is {_or_unknown(word, _OTHER_MODALITIES)}"
    word = _word(dataset, "BodyPartExamined")
    if word in _OTHER_BODY_PARTS:
        return f"its body part is {word}"
    word = _word(dataset, "ViewPosition")
    if word in _SIDE_VIEWS:
        return f"its view is {word}, not frontal"
    directions = dataset.get("PatientOrientation") or ""
    if str(directions if isinstance(directions, str) else directions[0])[:1].upper() in ("A", "P"):
        return "its rows run from front to back: a lateral view"
    return ""


def number_of_frames(dataset: Dataset) -> int:
    """How many frames the header claims; 1 if it does not say.

    Raises:
        ValueError: it is not one integer above 0.
    """
    return plain_int(dataset.get("NumberOfFrames") or 1, "number of frames", 1)


def read_ids(path: Path, *, max_pixels: int = MAX_PIXELS) -> dict[str, str]:
    """Read the patient, study, series and instance identifiers of a DICOM file.

    This is the only function that reads identifiers; only ``--keep-ids`` calls it.

    Args:
        path: the file.
        max_pixels: as of ``read``; a file that is too long for so many is refused.

    Returns:
        The identifiers by ID_COLUMNS; an empty dictionary for a file that is not DICOM.

    Raises:
        ReadError: the header cannot be read.
    """
    try:
        with path.open("rb") as file:
            if not is_dicom(file.read(HEAD_LENGTH)):
                return {}
        import pydicom

        dataset = pydicom.dcmread(
            read_guarded(path, None, Budget(max_samples=max_pixels)),
            force=True,
            stop_before_pixels=True,
            specific_tags=list(_IDS.values()),
        )
        return {
            column: " ".join(str(dataset.get(name) or "").split()) for column, name in _IDS.items()
        }
    except Exception as error:  # pydicom raises exceptions of many types
        raise ReadError(f"{path}: its identifiers cannot be read") from error


def _word(dataset: Dataset, name: str) -> str:
    return str(dataset.get(name) or "").strip().upper()


def _defined(word: str, terms: tuple[str, ...]) -> str | None:
    return word if word in terms else None


def _or_unknown(word: str, terms: tuple[str, ...]) -> str:
    return _defined(word, terms) or "of no known name"
