"""Write DICOM files for tests."""

import io
import struct
import zlib
from pathlib import Path
from typing import Any

import imagecodecs
import numpy as np
from pydicom import Dataset, FileMetaDataset, dcmread, dcmwrite, uid
from pydicom.data import get_testdata_files
from pydicom.encaps import encapsulate

RAMP = np.add.outer(np.arange(40), 3 * np.arange(60)).astype(np.uint16)  # 0 to 216


def make(
    path: Path,
    pixels: np.ndarray,
    syntax: uid.UID = uid.ExplicitVRLittleEndian,
    data: bytes | None = None,
    preamble: bool = True,
    **attributes: Any,
) -> Path:
    """Write an image; ``data`` is its compressed frame. Attributes override the defaults."""
    dataset = Dataset()
    dataset.file_meta = FileMetaDataset()
    dataset.file_meta.TransferSyntaxUID = syntax
    dataset.file_meta.MediaStorageSOPClassUID = uid.DigitalXRayImageStorageForPresentation
    dataset.file_meta.MediaStorageSOPInstanceUID = uid.generate_uid()
    dataset.SOPClassUID = dataset.file_meta.MediaStorageSOPClassUID
    dataset.SOPInstanceUID = dataset.file_meta.MediaStorageSOPInstanceUID
    dataset.Modality = "DX"
    dataset.Rows, dataset.Columns = pixels.shape[:2]
    dataset.SamplesPerPixel = 1 if pixels.ndim == 2 else 3
    dataset.PhotometricInterpretation = "MONOCHROME2" if pixels.ndim == 2 else "RGB"
    dataset.BitsAllocated = dataset.BitsStored = 8 * pixels.dtype.itemsize
    dataset.HighBit = dataset.BitsStored - 1
    dataset.PixelRepresentation = int(pixels.dtype.kind == "i")
    if pixels.ndim == 3:
        dataset.PlanarConfiguration = 0
    for name, value in attributes.items():
        setattr(dataset, name, value)
    if "BitsStored" in attributes:
        dataset.HighBit = dataset.BitsStored - 1
    if data is None:
        dataset.PixelData = pixels.tobytes()
        dataset["PixelData"].VR = "OW"
    else:
        dataset.PixelData = encapsulate([data])
        dataset["PixelData"].VR = "OB"
        dataset["PixelData"].is_undefined_length = True
    if preamble:
        dataset.save_as(path, enforce_file_format=True)
    else:
        del dataset.file_meta
        dataset.save_as(path, implicit_vr=False, little_endian=True)
    return path


COMPRESSED = {
    "jpeg baseline": (uid.JPEGBaseline8Bit, lambda p: imagecodecs.jpeg_encode(p, level=98), 8),
    "jpeg lossless": (uid.JPEGLosslessSV1, imagecodecs.ljpeg_encode, 16),
    "jpeg-ls": (uid.JPEGLSLossless, imagecodecs.jpegls_encode, 16),
    "jpeg 2000": (
        uid.JPEG2000Lossless,
        lambda p: imagecodecs.jpeg2k_encode(p, reversible=True, codecformat="j2k"),
        16,
    ),
}


FILES = [Path(name) for name in get_testdata_files() if Path(name).is_file()]


def deflate(path: Path, more: bytes = b"", *, preamble: bool = True, blank: str = "") -> Path:
    """Turn an explicit little-endian file into a deflated one.

    Args:
        path: the file, as ``make`` writes it.
        more: bytes added to the end of its data set.
        preamble: whether to keep the preamble.
        blank: text put before the transfer syntax UID.
    """
    dataset = dcmread(path)
    buffer = io.BytesIO()
    dcmwrite(buffer, Dataset(dataset), implicit_vr=False, little_endian=True)
    packed = zlib.compressobj(9, wbits=-zlib.MAX_WBITS)
    body = packed.compress(buffer.getvalue() + more) + packed.flush()
    syntax = (blank + uid.DeflatedExplicitVRLittleEndian).encode()
    syntax += b"\0" * (len(syntax) % 2)
    element = b"\x02\0\x10\0UI" + struct.pack("<H", len(syntax)) + syntax
    group = b"\x02\0\0\0UL\x04\0" + struct.pack("<I", len(element)) + element
    path.write_bytes((bytes(128) + b"DICM" if preamble else b"") + group + body)
    return path
