"""What of a DICOM header may be told: terms that DICOM defines, and identifiers where asked for.

People type names into any field, so a word is repeated only where it is a known one.
"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from ..errors import ReadError

if TYPE_CHECKING:
    from pydicom import Dataset

#: PS3.3, C.7.3.1.1.1: what a projection radiograph or a picture of one may be.
_MODALITIES = ("CR", "DX", "RG", "RF", "XA", "OT", "SC")
#: Body parts (PS3.16, annex L) of a film that shows the chest.
_BODY_PARTS = ("CHEST", "THORAX", "LUNG", "HEART", "RIB", "RIBS", "CLAVICLE")
#: PS3.3, C.8.11.5.
_FRONTAL = ("PA", "AP")
#: Others of the same lists that are met in practice.
_OTHER_MODALITIES = (
    *("MG", "CT", "MR", "US", "NM", "PT", "IO", "PX", "BMD", "ES", "XC", "ECG", "SM", "SEG"),
    *("DOC", "SR"),
)
_OTHER_BODY_PARTS = (
    *("ABDOMEN", "ANKLE", "ARM", "BREAST", "CSPINE", "ELBOW", "EXTREMITY", "FEMUR", "FINGER"),
    *("FOOT", "FOREARM", "HAND", "HEAD", "HIP", "HUMERUS", "JAW", "KNEE", "LEG", "LSPINE"),
    *("NECK", "PELVIS", "SCAPULA", "SHOULDER", "SKULL", "SPINE", "SSPINE", "STERNUM", "TOE"),
    *("TSPINE", "WHOLEBODY", "WRIST"),
)
_OTHER_VIEWS = ("LL", "RL", "LLD", "RLD", "LLO", "RLO", "LAT", "LATERAL")
#: Columns of ``--keep-ids`` and their attributes (PS3.3, C.7.1.1, C.7.2.1, C.7.3.1 and C.12.1).
_IDS = {
    "patient_id": "PatientID",
    "study_instance_uid": "StudyInstanceUID",
    "series_instance_uid": "SeriesInstanceUID",
    "sop_instance_uid": "SOPInstanceUID",
}
ID_COLUMNS = tuple(_IDS)


def modality(dataset: Dataset) -> str:
    """The modality, or nothing where it is no known one."""
    return _known(_word(dataset, "Modality"), (*_MODALITIES, *_OTHER_MODALITIES)) or ""


def kind(dataset: Dataset) -> str:
    """The name of the SOP class, from DICOM's own list."""
    from pydicom.uid import UID

    uid = UID(str(dataset.get("SOPClassUID", "")))
    return uid.name if uid and uid.name != uid else "of no stated kind"


def doubts(dataset: Dataset) -> tuple[str, ...]:
    """What speaks against a frontal chest film, in words."""
    said = []
    found = _word(dataset, "Modality")
    if found and found not in _MODALITIES:
        said.append(f"modality {_or_unknown(found, _OTHER_MODALITIES)} is not that of a radiograph")
    found = _word(dataset, "BodyPartExamined")
    if found and found not in _BODY_PARTS:
        said.append(f"body part {_or_unknown(found, _OTHER_BODY_PARTS)}, not CHEST")
    found = _word(dataset, "ViewPosition")
    if found and found not in _FRONTAL:
        said.append(f"view {_or_unknown(found, _OTHER_VIEWS)}, not PA or AP")
    frames = dataset.get("NumberOfFrames")
    if frames and int(frames) > 1:
        said.append(f"{int(frames)} frames, of which the first is taken")
    return tuple(said)


def read_ids(path: Path) -> dict[str, str]:
    """Patient, study, series and instance of a DICOM file, by ID_COLUMNS; empty for other files.

    The one place where a header's identifiers are taken; only ``--keep-ids`` asks for it.

    Raises:
        ReadError: the header cannot be read.
    """
    from .dicom import is_dicom

    try:
        with path.open("rb") as file:
            if not is_dicom(file.read(132)):
                return {}
        import pydicom

        dataset = pydicom.dcmread(
            path, force=True, stop_before_pixels=True, specific_tags=list(_IDS.values())
        )
        return {
            column: " ".join(str(dataset.get(name) or "").split()) for column, name in _IDS.items()
        }
    except Exception as error:  # pydicom has exceptions of its own
        raise ReadError(f"{path}: its identifiers cannot be read") from error


def _word(dataset: Dataset, name: str) -> str:
    return str(dataset.get(name) or "").strip().upper()


def _known(word: str, terms: tuple[str, ...]) -> str | None:
    return word if word in terms else None


def _or_unknown(word: str, terms: tuple[str, ...]) -> str:
    return _known(word, terms) or "of no known name"
