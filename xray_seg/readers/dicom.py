"""Read DICOM radiographs: computed and digital radiography, secondary capture.

Pixels pass the stages of PS3.3, section C.11 and PS3.4, annex N: stored values, modality LUT, VOI
LUT or window. The photometric interpretation then says whether a high value is dark.
"""

from __future__ import annotations

import io
import re
import zlib
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from .._util.warnings import warnings_ignored
from ..errors import NotARadiograph, ReadError
from ..radiograph import Radiograph
from .dicom_header import doubts, kind, modality
from .limits import (
    MAX_PIXELS,
    RAISE_LIMIT,
    check_claim,
    check_data,
    check_frame,
    check_same_size,
    max_length,
)
from .raster import check_jpeg, to_grey

if TYPE_CHECKING:
    from pydicom import Dataset

#: In order of preference: calibrated, at the detector, of the scanner that digitised the
#: radiograph (PS3.3, C.7.6.3 and C.8.11.4).
_SPACINGS = ("PixelSpacing", "ImagerPixelSpacing", "NominalScannedPixelSpacing")

#: Header values quoted in pydicom's messages; removed, since they may identify a patient.
_QUOTED = re.compile(r"'[^']*'|\"[^\"]*\"")


def read_dicom(
    path: Path, data: bytes | None = None, *, max_pixels: int = MAX_PIXELS
) -> Radiograph:
    """Read the first frame of a DICOM image.

    Only terms that DICOM defines are copied from its header into notes and errors, so that they
    hold no patient data.

    Args:
        path: the file.
        data: its content, if it is in memory already; the file is then not opened.
        max_pixels: highest number of samples (pixels times colours).

    Raises:
        NotARadiograph: the file holds no image.
        ReadError: the file is damaged, of an unsupported kind or too large, or pydicom is not
            installed.
    """
    try:
        import pydicom
    except ImportError as error:
        raise ReadError(
            f"{path}: is a DICOM file; to read it: pip install 'xray-seg[dicom]'"
        ) from error
    try:
        with warnings_ignored("pydicom"):  # about deviations from the standard that it reads
            # Parsed from memory: for a file on disk, pydicom allocates the length that an element
            # claims before it checks that the file is that long.
            data = path.read_bytes() if data is None else data
            _check_deflated(path, data, max_pixels)
            dataset = pydicom.dcmread(io.BytesIO(data), force=True)
            if not {"PixelData", "FloatPixelData", "DoubleFloatPixelData"} & set(dataset.dir()):
                raise NotARadiograph(f"{path}: is a DICOM file without an image ({kind(dataset)})")
            _set_transfer_syntax(dataset)
            _check_size(dataset, path, max_pixels)
            return _radiograph(dataset, path)
    except (OSError, MemoryError, ReadError):
        raise
    except Exception as error:  # pydicom and its decoders raise many types
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


def _check_deflated(path: Path, data: bytes, max_pixels: int) -> None:
    """Refuse a deflated data set that is too long, before pydicom inflates it as a whole."""
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
    inflater, left = zlib.decompressobj(-zlib.MAX_WBITS), max_length(max_pixels)
    while part := inflater.unconsumed_tail or file.read(1 << 16):
        left -= len(inflater.decompress(part, 1 << 20))
        if left < 0:
            raise ReadError(
                f"{path}: inflates to more bytes than an image of {max_pixels:,} pixels has; "
                f"{RAISE_LIMIT}"
            )


def _check_size(dataset: Dataset, path: Path, max_pixels: int) -> None:
    """Refuse an image that claims too many pixels, in the header or in its compressed frame."""
    samples = 3 if dataset.PhotometricInterpretation == "PALETTE COLOR" else dataset.SamplesPerPixel
    check_claim(path, int(dataset.Rows), int(dataset.Columns), int(samples), max_pixels)
    if dataset.file_meta.TransferSyntaxUID.is_encapsulated:
        frame = _first_frame(dataset)
        check_data(path, frame, max_pixels)
        check_frame(frame, int(dataset.Rows), int(dataset.Columns))


def _shown_pixels(dataset: Dataset, path: Path) -> npt.NDArray[Any]:
    """Grey values as a viewer would show them, before MONOCHROME1 is inverted."""
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
    """Decode the first frame, colours as RGB.

    Every kind of JPEG is decoded by imagecodecs: on some damaged frames, other decoders that
    pydicom may choose abort the process or never return.
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
        # Values are BitsStored bits in two's complement (PS3.5, section 8.1.1).
        unused = 8 * stored.dtype.itemsize - int(dataset.BitsStored)
        signed = stored.view(f"i{stored.dtype.itemsize}")
        stored = (signed << unused) >> unused if unused > 0 else signed
    return stored


def _first_frame(dataset: Dataset) -> bytes:
    from pydicom.encaps import get_frame

    frames = int(dataset.get("NumberOfFrames") or 1)
    return get_frame(dataset.PixelData, 0, number_of_frames=frames)


def _set_transfer_syntax(dataset: Dataset) -> None:
    """Name the transfer syntax of a file without preamble, as pydicom detected it."""
    from pydicom import uid

    if "TransferSyntaxUID" not in dataset.file_meta:
        implicit, little = dataset.original_encoding
        explicit = uid.ExplicitVRLittleEndian if little else uid.ExplicitVRBigEndian
        dataset.file_meta.TransferSyntaxUID = uid.ImplicitVRLittleEndian if implicit else explicit


def _windowed(values: npt.NDArray[Any], dataset: Dataset) -> npt.NDArray[Any]:
    """Apply the first VOI LUT or window, unless it makes the image uniform."""
    from pydicom.pixels.processing import apply_voi_lut

    try:
        found = np.asarray(apply_voi_lut(values, dataset, index=0))
    except Exception:  # noqa: BLE001 - an invalid window or LUT is ignored
        return values
    low, high = np.percentile(found[::8, ::8], (1, 99))
    return found if high > low else values


def _is_padding(stored: npt.NDArray[Any], dataset: Dataset) -> npt.NDArray[np.bool_]:
    """(H, W) padding outside the image: one value or a range (PS3.3, C.7.5.1.1.2)."""
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
