"""Read PNG, JPEG, TIFF, GIF, BMP and JPEG 2000 with imagecodecs and tifffile."""

from __future__ import annotations

import struct
from io import BytesIO
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from ..errors import ReadError
from ..radiograph import Radiograph
from .claims import check_data
from .limits import Budget
from .tiff import decode_tiff

#: Weights of red, green and blue in luma (ITU-R BT.601).
LUMA = (0.299, 0.587, 0.114)

#: Name, first bytes and imagecodecs name of each format that imagecodecs decodes.
_SIGNATURES = (
    ("PNG", b"\x89PNG\r\n\x1a\n", "png"),
    ("JPEG", b"\xff\xd8\xff", "jpeg"),
    ("GIF", b"GIF8", "gif"),
    ("JPEG 2000", b"\x00\x00\x00\x0cjP  \r\n\x87\n", "jpeg2k"),
    ("JPEG 2000", b"\xff\x4f\xff\x51", "jpeg2k"),
    ("BMP", b"BM", "bmp"),
)
#: Lengths of BITMAPINFOHEADER and its successors, in bytes.
_BMP_HEADERS = (40, 52, 56, 108, 124)
#: Highest absolute value of float pixels. Programs mark missing pixels with -3.4e38, whose
#: distance from other values overflows; no detector gives so much.
HIGHEST_FLOAT = 1e15
#: The most samples a pixel can have, and the least width of the frames of an array: between them,
#: the last of three axes is one of colours.
_MAX_CHANNELS, _MIN_WIDTH = 4, 16
_TIFF = (b"II*\x00", b"MM\x00*", b"II+\x00", b"MM\x00+")


def sniff(head: bytes) -> str | None:
    """Name the raster format from a file's first bytes; None where it is none of these."""
    if head.startswith(_TIFF):
        return "TIFF"
    return next((name for name, start, _ in _SIGNATURES if head.startswith(start)), None)


def read_raster(
    path: Path,
    data: bytes | None = None,
    *,
    budget: Budget = Budget(),  # noqa: B008 - immutable
) -> Radiograph:
    """Decode the first image of a file to grey.

    Args:
        path: the file.
        data: its content, if it is in memory already; the file is then not opened.
        budget: limits of size.

    Raises:
        ReadError: the file cannot be decoded, claims too many samples, or holds samples other
            than 8 or 16 bits (or floats, in a TIFF).
    """
    try:
        pixels, name, inverted = _decode(path, data, budget)
    except (OSError, MemoryError, ReadError):
        raise
    except Exception as error:  # each codec raises its own types
        reason = " ".join(str(error).split()) or type(error).__name__
        raise ReadError(f"{path}: damaged or not supported: {reason}") from error
    return Radiograph(to_grey(pixels, path), inverted, None, str(path), name)


def _decode(
    path: Path, data: bytes | None, budget: Budget
) -> tuple[npt.NDArray[Any], str, bool | None]:
    """The pixels, the format's name, and whether high is dark (None where not stated)."""
    import imagecodecs

    with path.open("rb") if data is None else BytesIO(data) as file:
        name = sniff(file.read(16))
    if name == "TIFF":
        pixels, inverted = decode_tiff(path, data, budget)
        return pixels, name, inverted
    if data is None:
        budget.check_length(path, path.stat().st_size)
        data = path.read_bytes()
    budget.check_claimed_length(path, len(data), check_data(path, data, budget))
    if name == "JPEG":
        check_jpeg(data)
    elif name == "BMP":
        check_bmp(data)
    codec = next(codec for _, start, codec in _SIGNATURES if data.startswith(start))
    pixels = getattr(imagecodecs, f"{codec}_decode")(data)
    if name == "JPEG" and pixels.ndim == 3 and pixels.shape[2] == 4:
        pixels = _without_inks(pixels)
    return pixels, str(name), None


def _without_inks(inks: npt.NDArray[Any]) -> npt.NDArray[Any]:
    """(H, W, 3) RGB of the (H, W, 4) cyan, magenta, yellow and black inks of a JPEG.

    They are stored as Adobe's programs do, 255 for no ink.
    """
    return (inks[..., :3] * (inks[..., 3:] / np.float32(255))).round().astype(np.uint8)


def check_jpeg(data: bytes) -> None:
    """Refuse a truncated JPEG: decoders fill the missing part with grey.

    Raises:
        ValueError: the end of the image is missing.
    """
    end = data.rfind(b"\xff\xd9")
    if end < 0 or data.find(b"\xff\xda", end) >= 0:  # a scan starts after it
        raise ValueError("truncated: the end of the JPEG is missing")


def check_bmp(data: bytes) -> None:
    """Refuse a BMP whose header points outside the file: the decoder would crash on it.

    Raises:
        ValueError: the header is invalid, or the BMP is compressed or has other than 8, 24 or 32
            bits a pixel.
    """
    if len(data) < 54:
        raise ValueError("truncated in its header")
    start, header, columns, rows, _, bits, compression = struct.unpack_from("<IIiiHHI", data, 10)
    (colours,) = struct.unpack_from("<I", data, 46)
    if header not in _BMP_HEADERS or bits not in (8, 24, 32) or compression or columns < 1:
        raise ValueError("this kind of BMP is not supported; convert it to PNG")
    palette = 4 * (colours or 256) if bits == 8 else 0
    if colours > 256 or 14 + header + palette > start:
        raise ValueError("its palette overlaps its pixels")
    if start + (columns * bits + 31) // 32 * 4 * abs(rows) > len(data):
        raise ValueError("truncated: it holds fewer pixels than its header states")


def to_grey(pixels: npt.NDArray[Any], path: Path | str = "array") -> npt.NDArray[Any]:
    """Reduce an image to one grey plane: the first frame, without alpha, luma for colours.

    Args:
        pixels: (H, W), (H, W, 1 to 4), (frames, H, W) or (frames, H, W, 1 to 4); uint8, uint16,
            bool or float.
        path: file name for errors.

    Returns:
        (H, W) of the same dtype; uint8 for bool.

    Raises:
        ReadError: the array has another shape or dtype, is empty, or holds NaN, infinity or
            values beyond HIGHEST_FLOAT.
    """
    if pixels.ndim == 3 and _MAX_CHANNELS < pixels.shape[2] < _MIN_WIDTH:
        raise ReadError(
            f"{path}: an array of shape {pixels.shape} has {pixels.shape[2]} samples a pixel; "
            "convert it to grey, or to red, green and blue"
        )
    while pixels.ndim > 3 or (pixels.ndim == 3 and pixels.shape[2] > 4):
        pixels = pixels[0]
    if pixels.dtype == np.bool_:
        pixels = pixels.view(np.uint8)
    if pixels.ndim not in (2, 3) or 0 in pixels.shape:
        raise ReadError(f"{path}: an array of shape {pixels.shape} is not an image")
    if pixels.dtype.newbyteorder("=") not in (np.uint8, np.uint16, np.float32, np.float64):
        raise ReadError(
            f"{path}: {pixels.dtype} pixels are not supported; convert to 8 or 16 bits or floats"
        )
    if pixels.ndim == 3:
        pixels = pixels[..., 0] if pixels.shape[2] < 3 else _luma(pixels)
    if pixels.dtype.kind == "f":
        _check_floats(pixels, path)
    return pixels


def _check_floats(pixels: npt.NDArray[Any], path: Path | str) -> None:
    low, high = float(pixels.min()), float(pixels.max())
    if not np.isfinite((low, high)).all():
        raise ReadError(f"{path}: holds NaN or infinite values")
    if max(-low, high) > HIGHEST_FLOAT:
        raise ReadError(
            f"{path}: holds values from {low:g} to {high:g}, which are no grey values; replace "
            "those that mark missing pixels"
        )


def _luma(pixels: npt.NDArray[Any]) -> npt.NDArray[Any]:
    red, green, blue = (pixels[..., channel] for channel in range(3))
    if np.array_equal(red, green) and np.array_equal(green, blue):
        return np.ascontiguousarray(red)
    luma = sum(share * plane for share, plane in zip(LUMA, (red, green, blue), strict=True))
    luma = np.asarray(luma)
    return (
        luma.astype(pixels.dtype) if pixels.dtype.kind == "f" else luma.round().astype(pixels.dtype)
    )
