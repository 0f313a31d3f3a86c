"""DICOM radiographs: computed and digital radiography, secondary capture.

Pixels go the way of PS3.3, section C.11 and PS3.4, annex N: stored values, modality LUT, VOI LUT or
window, and the photometric interpretation, which says whether high is dark.
"""

from __future__ import annotations

import warnings
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from ..errors import NotARadiograph, ReadError
from ..radiograph import Radiograph
from .raster import to_grey
from .source import File, open_file

if TYPE_CHECKING:
    from pydicom import Dataset

#: PS3.3, C.7.3.1.1.1: what a projection radiograph or a picture of one may be.
_MODALITIES = ("CR", "DX", "RG", "RF", "XA", "OT", "SC", "")
#: Body parts (PS3.16, annex L) of a film that shows the chest.
_BODY_PARTS = ("CHEST", "THORAX", "LUNG", "HEART", "RIB", "RIBS", "CLAVICLE", "")
#: PS3.3, C.8.11.5.
_FRONTAL = ("PA", "AP", "")
#: By preference: calibrated, at the detector, of a scanned film (PS3.3, C.7.6.3 and C.8.11.4).
_SPACINGS = ("PixelSpacing", "ImagerPixelSpacing", "NominalScannedPixelSpacing")


def is_dicom(head: bytes) -> bool:
    """Whether a file's first 132 bytes are those of a DICOM file, with or without its preamble."""
    if head[128:132] == b"DICM":
        return True
    # Without one, a data set begins: group 2 or 8, an element, and two capitals for its type.
    return head[:2] in (b"\x02\x00", b"\x08\x00") and head[4:6].isalpha() and head[4:6].isupper()


def read_dicom(path: File) -> Radiograph:
    """Read the first frame of a DICOM image.

    Raises:
        NotARadiograph: it holds no image.
        ReadError: it is damaged, of a kind not supported, or pydicom is not installed.
    """
    try:
        import pydicom
    except ImportError as error:
        raise ReadError(
            f"{path}: is a DICOM file; to read these: pip install 'xray-seg[dicom]'"
        ) from error
    warnings.filterwarnings("ignore", module="pydicom")  # on oddities that are read all the same
    try:
        source = path if isinstance(path, Path) else open_file(path)
        dataset = pydicom.dcmread(source, force=True)
        if not {"PixelData", "FloatPixelData", "DoubleFloatPixelData"} & set(dataset.dir()):
            kind = getattr(dataset.get("SOPClassUID"), "name", "of no stated kind")
            raise NotARadiograph(f"{path}: is a DICOM file without an image ({kind})")
        pixels = _shown_pixels(dataset, path)
    except (OSError, MemoryError, ReadError):
        raise
    except Exception as error:  # pydicom and its decoders have exceptions of their own
        reason = " ".join(str(error).split()) or type(error).__name__
        raise ReadError(f"{path}: damaged or not supported: {reason}") from error
    return Radiograph(
        pixels,
        {"MONOCHROME1": True, "MONOCHROME2": False}.get(dataset.PhotometricInterpretation),
        _spacing(dataset),
        str(path),
        f"DICOM {dataset.get('Modality', '')}".strip(),
        tuple(_doubts(dataset)),
    )


def _shown_pixels(dataset: Dataset, path: File) -> npt.NDArray[Any]:
    """Grey values as a viewer would show them, before MONOCHROME1 is turned."""
    from pydicom.pixels.processing import apply_color_lut, apply_modality_lut
    from pydicom.pixels.utils import pixel_array

    _name_syntax(dataset)
    stored = pixel_array(dataset, index=0)
    if dataset.PhotometricInterpretation == "PALETTE COLOR":
        return to_grey(apply_color_lut(stored, dataset), path)
    if stored.ndim == 3:
        return to_grey(stored, path)
    shown = _windowed(np.asarray(apply_modality_lut(stored, dataset)), dataset)
    padding = _is_padding(stored, dataset)
    if padding.any() and not padding.all():
        dark = np.max if dataset.PhotometricInterpretation == "MONOCHROME1" else np.min
        shown = np.where(padding, dark(shown[~padding]), shown)
    if shown.dtype not in (np.uint8, np.uint16):
        shown = shown.astype(np.float32)
    return to_grey(shown, path)


def _name_syntax(dataset: Dataset) -> None:
    """A file without preamble does not name its transfer syntax; pydicom has found out."""
    from pydicom import uid

    if "TransferSyntaxUID" not in dataset.file_meta:
        implicit, little = dataset.original_encoding
        explicit = uid.ExplicitVRLittleEndian if little else uid.ExplicitVRBigEndian
        dataset.file_meta.TransferSyntaxUID = uid.ImplicitVRLittleEndian if implicit else explicit


def _windowed(values: npt.NDArray[Any], dataset: Dataset) -> npt.NDArray[Any]:
    """After the first VOI LUT or window, unless that leaves nothing to see."""
    from pydicom.pixels.processing import apply_voi_lut

    try:
        found = np.asarray(apply_voi_lut(values, dataset, index=0))
    except Exception:  # noqa: BLE001 - a window of width 0, a LUT that is not one: shown without
        return values
    low, high = np.percentile(found[::8, ::8], (1, 99))
    return found if high > low else values


def _is_padding(stored: npt.NDArray[Any], dataset: Dataset) -> npt.NDArray[np.bool_]:
    """PS3.3, C.7.5.1.1.2: pixels outside the image, of one value or a range of them."""
    first = dataset.get("PixelPaddingValue")
    if not isinstance(first, int):
        return np.zeros(stored.shape, bool)
    last = dataset.get("PixelPaddingRangeLimit")
    last = last if isinstance(last, int) else first
    return (stored >= min(first, last)) & (stored <= max(first, last))


def _spacing(dataset: Dataset) -> tuple[float, float] | None:
    for name in _SPACINGS:
        try:
            row, column = (float(value) for value in dataset.get(name) or ())
        except (TypeError, ValueError):
            continue
        if 0 < row < np.inf and 0 < column < np.inf:
            return row, column
    return None


def _doubts(dataset: Dataset) -> list[str]:
    """What speaks against a frontal chest film, in words."""
    doubts = []
    modality, body, view = (
        str(dataset.get(name) or "").strip().upper()
        for name in ("Modality", "BodyPartExamined", "ViewPosition")
    )
    if modality not in _MODALITIES:
        doubts.append(f"modality {modality} is not that of a radiograph")
    if body not in _BODY_PARTS:
        doubts.append(f"body part {body}, not CHEST")
    if view not in _FRONTAL:
        doubts.append(f"view {view}, not PA or AP")
    frames = dataset.get("NumberOfFrames")
    if frames and int(frames) > 1:
        doubts.append(f"{int(frames)} frames, of which the first is taken")
    return doubts
