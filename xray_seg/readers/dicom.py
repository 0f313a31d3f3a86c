"""DICOM radiographs: computed and digital radiography, secondary capture.

Pixels go the way of PS3.3, section C.11 and PS3.4, annex N: stored values, modality LUT, VOI LUT or
window, and the photometric interpretation, which says whether high is dark.
"""

from __future__ import annotations

import io
import re
import warnings
import zlib
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from ..errors import NotARadiograph, ReadError
from ..radiograph import Radiograph
from .dicom_header import doubts, kind, modality
from .limits import MAX_PIXELS, check_claim, check_data, check_frame, check_same_size
from .raster import check_jpeg, to_grey

if TYPE_CHECKING:
    from pydicom import Dataset

#: By preference: calibrated, at the detector, of a scanned film (PS3.3, C.7.6.3 and C.8.11.4).
_SPACINGS = ("PixelSpacing", "ImagerPixelSpacing", "NominalScannedPixelSpacing")

#: What pydicom's messages quote of a header.
_QUOTED = re.compile(r"'[^']*'|\"[^\"]*\"")


def is_dicom(head: bytes) -> bool:
    """Whether a file's first 132 bytes are those of a DICOM file, with or without its preamble."""
    if head[128:132] == b"DICM":
        return True
    # Without one, a data set begins: group 2 or 8, an element, and two capitals for its type.
    return head[:2] in (b"\x02\x00", b"\x08\x00") and head[4:6].isalpha() and head[4:6].isupper()


def read_dicom(path: Path, data: bytes | None = None, max_pixels: int = MAX_PIXELS) -> Radiograph:
    """Read the first frame of a DICOM image, of a file or of ``data`` in its place.

    Of its header, only terms that DICOM defines reach the notes and errors, so no patient data do.

    Raises:
        NotARadiograph: it holds no image.
        ReadError: it is damaged, of a kind not supported, claims more than ``max_pixels`` samples,
            or pydicom is not installed.
    """
    try:
        import pydicom
    except ImportError as error:
        raise ReadError(
            f"{path}: is a DICOM file; to read these: pip install 'xray-seg[dicom]'"
        ) from error
    warnings.filterwarnings("ignore", module="pydicom")  # on oddities that are read all the same
    try:
        # Of a file in memory no more is read than there is; on disk, pydicom takes memory for as
        # much as an element claims before it looks.
        data = path.read_bytes() if data is None else data
        _check_deflated(path, data, max_pixels)
        dataset = pydicom.dcmread(io.BytesIO(data), force=True)
        if not {"PixelData", "FloatPixelData", "DoubleFloatPixelData"} & set(dataset.dir()):
            raise NotARadiograph(f"{path}: is a DICOM file without an image ({kind(dataset)})")
        _name_syntax(dataset)
        _check_size(dataset, path, max_pixels)
        return _radiograph(dataset, path)
    except (OSError, MemoryError, ReadError):
        raise
    except Exception as error:  # pydicom and its decoders have exceptions of their own
        reason = " ".join(_QUOTED.sub("(...)", str(error)).split()) or type(error).__name__
        raise ReadError(f"{path}: damaged or not supported: {reason}") from error


def _radiograph(dataset: Dataset, path: Path) -> Radiograph:
    return Radiograph(
        _shown_pixels(dataset, path),
        {"MONOCHROME1": True, "MONOCHROME2": False}.get(dataset.PhotometricInterpretation),
        _spacing(dataset),
        str(path),
        f"DICOM {modality(dataset)}".strip(),
        doubts(dataset),
    )


def _check_deflated(path: Path, data: bytes, most: int) -> None:
    """Refuse a deflated data set that is too long before pydicom inflates it at one go."""
    from pydicom import uid
    from pydicom.filereader import data_element_generator

    if data[128:132] != b"DICM":
        return
    file = io.BytesIO(data)
    file.seek(132)
    syntax = ""
    meta = data_element_generator(file, False, True, lambda tag, vr, length: tag.group != 2)
    for element in meta:
        if element.tag == 0x00020010:
            syntax = bytes(element.value or b"").rstrip(b"\0 ").decode("ascii", "replace")
    if syntax != uid.DeflatedExplicitVRLittleEndian:
        return
    inflater, left = zlib.decompressobj(-zlib.MAX_WBITS), 8 * most + (1 << 20)
    while part := inflater.unconsumed_tail or file.read(1 << 16):
        left -= len(inflater.decompress(part, 1 << 20))
        if left < 0:
            raise ReadError(
                f"{path}: inflates to more than an image of {most:,} pixels takes; if it is a "
                "film all the same, give --max-pixels N"
            )


def _check_size(dataset: Dataset, path: Path, most: int) -> None:
    """Refuse what claims too many pixels, in the header or in the compressed frame itself."""
    samples = 3 if dataset.PhotometricInterpretation == "PALETTE COLOR" else dataset.SamplesPerPixel
    check_claim(path, int(dataset.Rows), int(dataset.Columns), int(samples), most)
    if dataset.file_meta.TransferSyntaxUID.is_encapsulated:
        frame = _first_frame(dataset)
        check_data(path, frame, most)
        check_frame(frame, int(dataset.Rows), int(dataset.Columns))


def _shown_pixels(dataset: Dataset, path: Path) -> npt.NDArray[Any]:
    """Grey values as a viewer would show them, before MONOCHROME1 is turned."""
    from pydicom.pixels.processing import apply_color_lut, apply_modality_lut

    stored = _stored_pixels(dataset)
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


def _stored_pixels(dataset: Dataset) -> npt.NDArray[Any]:
    """The first frame; colours as RGB.

    JPEG of any kind is decoded by imagecodecs: other decoders that pydicom finds end the whole
    process on some damaged frames, or never end.
    """
    from pydicom import uid
    from pydicom.pixels.utils import pixel_array

    syntax = dataset.file_meta.TransferSyntaxUID
    if not syntax.is_encapsulated or syntax == uid.RLELossless:
        return pixel_array(dataset, index=0)
    import imagecodecs

    frame = _first_frame(dataset)
    if syntax in uid.JPEGTransferSyntaxes:
        check_jpeg(frame)
        space = "RGB" if dataset.PhotometricInterpretation == "RGB" else None
        stored = imagecodecs.jpeg_decode(frame, colorspace=space, outcolorspace=space)
    elif syntax in uid.JPEGLSTransferSyntaxes:
        stored = imagecodecs.jpegls_decode(frame)
    elif syntax in uid.JPEG2000TransferSyntaxes:
        stored = imagecodecs.jpeg2k_decode(frame)
    else:
        raise ValueError(f"transfer syntax {syntax.name}")
    stored = np.asarray(stored)
    check_same_size(stored.shape, (dataset.Rows, dataset.Columns))
    if dataset.PixelRepresentation == 1 and stored.ndim == 2:
        # Numbers of BitsStored bits in two's complement (PS3.5, section 8.1.1).
        unused = 8 * stored.dtype.itemsize - int(dataset.BitsStored)
        signed = stored.view(f"i{stored.dtype.itemsize}")
        stored = (signed << unused) >> unused if unused > 0 else signed
    return stored


def _first_frame(dataset: Dataset) -> bytes:
    from pydicom.encaps import get_frame

    frames = int(dataset.get("NumberOfFrames") or 1)
    return get_frame(dataset.PixelData, 0, number_of_frames=frames)


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
