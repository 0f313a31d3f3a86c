"""Read DICOM radiographs: computed and digital radiography, secondary capture.

Pixels pass the stages of PS3.3, section C.11 and PS3.4, annex N: stored values, modality LUT, VOI
LUT or window. The photometric interpretation then says whether a high value is dark.
"""

from __future__ import annotations

import re
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from .._util.warnings import warnings_ignored
from ..errors import NotAChestRadiograph, NotARadiograph, ReadError
from ..radiograph import Radiograph
from .claims import check_data, check_frame, check_same_size
from .dicom_file import read_guarded
from .dicom_header import doubts, kind, modality, number_of_frames, other_kind
from .dicom_view import exposed_region, stated_orientation, stated_side
from .limits import Budget, plain_int
from .raster import check_jpeg, to_grey
from .spacing import Notes, Spacing, plausible_spacing

if TYPE_CHECKING:
    from pydicom import Dataset

#: In order of preference: calibrated, at the detector, of the scanner that digitised the
#: radiograph (PS3.3, C.7.6.3 and C.8.11.4).
_SPACINGS = ("PixelSpacing", "ImagerPixelSpacing", "NominalScannedPixelSpacing")

#: The largest number of the value representation US, and bits that a sample may take (PS3.5,
#: sections 6.2 and 8.1.1).
_MOST_16_BITS = 65535
_BITS = (1, 8, 16, 32, 64)

#: Header values quoted in pydicom's messages; removed, since they may identify a patient.
_QUOTED = re.compile(r"'[^']*'|\"[^\"]*\"")


def read_dicom(
    path: Path,
    data: bytes | None = None,
    *,
    budget: Budget = Budget(),  # noqa: B008 - immutable
    chest_only: bool = False,
) -> Radiograph:
    """Read the first frame of a DICOM image.

    Only terms that DICOM defines are copied from its header into notes and errors, so that they
    hold no patient data.

    Args:
        path: the file.
        data: its content, if it is in memory already; the file is then not opened.
        budget: limits of size.
        chest_only: refuse what the header says is no frontal chest radiograph.

    Raises:
        NotAChestRadiograph: only with ``chest_only``.
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
            dataset = pydicom.dcmread(read_guarded(path, data, budget), force=True)
            if not {"PixelData", "FloatPixelData", "DoubleFloatPixelData"} & set(dataset.dir()):
                raise NotARadiograph(f"{path}: is a DICOM file without an image ({kind(dataset)})")
            if chest_only and (reason := other_kind(dataset)):
                raise NotAChestRadiograph(
                    f"{path}: {reason}; to segment it all the same, give --include-all"
                )
            _set_transfer_syntax(dataset)
            _check_size(dataset, path, budget)
            return _radiograph(dataset, path)
    except (OSError, MemoryError, ReadError):
        raise
    except Exception as error:  # pydicom and its decoders raise many types
        reason = " ".join(_QUOTED.sub("(...)", str(error)).split()) or type(error).__name__
        raise ReadError(f"{path}: damaged or not supported: {reason}") from error


def _radiograph(dataset: Dataset, path: Path) -> Radiograph:
    spacing, notes = _spacing(dataset)
    pixels = _shown_pixels(dataset, path)
    return Radiograph(
        pixels,
        {"MONOCHROME1": True, "MONOCHROME2": False}.get(dataset.PhotometricInterpretation),
        spacing,
        str(path),
        f"DICOM {modality(dataset)}".strip(),
        doubts(dataset) + notes,
        stated_orientation(dataset),
        exposed_region(dataset, pixels.shape),
        stated_side(dataset),
    )


def _check_size(dataset: Dataset, path: Path, budget: Budget) -> None:
    """Refuse an image that claims too much, in the header or in its compressed frame.

    Raises:
        ReadError: it claims more than the budget has.
        ValueError: a number of the header is missing, repeated or out of range.
    """
    rows = plain_int(dataset.Rows, "number of rows", 1, _MOST_16_BITS)
    columns = plain_int(dataset.Columns, "number of columns", 1, _MOST_16_BITS)
    samples = plain_int(dataset.SamplesPerPixel, "number of samples per pixel", 1, 4)
    budget.check_frames(path, number_of_frames(dataset))
    if dataset.PhotometricInterpretation == "PALETTE COLOR":
        _check_palette(dataset)
        samples = 3
    budget.check_claim(path, rows, columns, samples)
    if plain_int(dataset.BitsAllocated, "number of bits allocated", 1, 64) not in _BITS:
        raise ValueError(f"{dataset.BitsAllocated} bits allocated")
    if dataset.file_meta.TransferSyntaxUID.is_encapsulated:
        frame = _first_frame(dataset)
        check_data(path, frame, budget)
        check_frame(frame, rows, columns)


def _check_palette(dataset: Dataset) -> None:
    """Refuse a segmented palette: a few of its bytes stand for up to 65535 colours."""
    if "SegmentedRedPaletteColorLookupTableData" in dataset:
        raise ValueError("segmented palettes are not supported; convert it to grey")


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

    return get_frame(dataset.PixelData, 0, number_of_frames=number_of_frames(dataset))


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


def _spacing(dataset: Dataset) -> tuple[Spacing | None, Notes]:
    stated = []
    for name in _SPACINGS:
        try:
            row, column = (float(value) for value in dataset.get(name) or ())
        except (TypeError, ValueError):
            continue
        stated.append((row, column))
    return plausible_spacing(*stated)
