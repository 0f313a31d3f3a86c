"""Radiographs from the objects that people hold: arrays, images, tensors, datasets, files."""

from __future__ import annotations

from io import BytesIO
from os import PathLike
from typing import Any, BinaryIO

import numpy as np
import numpy.typing as npt

from ..errors import ReadError, XraySegError
from ..radiograph import Radiograph
from . import read
from .raster import to_grey

#: A radiograph, a 2-D array or colour image, a path, a file's bytes, an open binary file, a pydicom
#: Dataset, a PIL image, a PyTorch or TensorFlow tensor, or anything else that NumPy can convert.
Source = Radiograph | npt.NDArray[Any] | str | PathLike[str] | bytes | bytearray | BinaryIO | Any


def as_radiograph(source: Source) -> Radiograph:
    """Convert an object to a Radiograph.

    Args:
        source: see Source. Of arrays, images and tensors bones are bright; (1, H, W) tensors are
            taken as one (H, W) plane.

    Raises:
        ReadError: it cannot be read as a radiograph.
    """
    if isinstance(source, Radiograph):
        return source
    try:
        if _is_dataset(source):
            return read(_dataset_bytes(source), name=str(getattr(source, "filename", "dataset")))
        if isinstance(source, str | PathLike | bytes | bytearray | memoryview):
            return read(source)
        if hasattr(source, "read") and not hasattr(source, "__array_interface__"):
            return read(source)
        return Radiograph(to_grey(_as_array(source)))
    except XraySegError:
        raise
    except Exception as error:
        kind = type(source).__name__
        raise ReadError(
            f"{kind}: cannot be taken as a radiograph ({type(error).__name__}: {error}); give a "
            "path, bytes, a 2-D array or image, a pydicom Dataset, or a Radiograph"
        ) from error


def _is_dataset(source: Any) -> bool:
    """Whether it is a pydicom Dataset, without importing pydicom."""
    return any(
        kind.__name__ == "Dataset" and kind.__module__.startswith("pydicom.")
        for kind in type(source).__mro__
    )


def _dataset_bytes(dataset: Any) -> bytes:
    """A pydicom Dataset as the bytes of a DICOM file."""
    import pydicom

    buffer = BytesIO()
    pydicom.dcmwrite(buffer, dataset, enforce_file_format=True)
    return buffer.getvalue()


def _as_array(source: Any) -> npt.NDArray[Any]:
    """An array of an array, PIL image, tensor or sequence of numbers."""
    if hasattr(source, "getbands") and hasattr(source, "convert"):  # a PIL image
        if source.mode in ("P", "1", "CMYK", "LAB", "HSV", "YCbCr"):
            source = source.convert("RGB" if source.mode != "1" else "L")
    elif hasattr(source, "detach"):  # a PyTorch tensor, of any device
        source = source.detach().cpu().numpy()
    elif hasattr(source, "numpy"):  # a TensorFlow tensor
        source = source.numpy()
    pixels = np.asarray(source)
    if pixels.dtype.kind in "iu" and pixels.dtype not in (np.uint8, np.uint16):
        pixels = _as_16_bits(pixels)
    elif pixels.dtype == np.float16:
        pixels = pixels.astype(np.float32)
    if pixels.ndim == 3 and pixels.shape[0] == 1 and pixels.shape[2] > 4:
        pixels = pixels[0]
    return pixels


def _as_16_bits(pixels: npt.NDArray[Any]) -> npt.NDArray[Any]:
    """Integers of other types as uint16 where they fit, and else as float64."""
    if pixels.size and pixels.min() >= 0 and pixels.max() <= np.iinfo(np.uint16).max:
        return pixels.astype(np.uint16)
    return pixels.astype(np.float64)
