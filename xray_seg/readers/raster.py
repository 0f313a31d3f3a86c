"""PNG, JPEG, TIFF and their like, decoded by imagecodecs and tifffile."""

from __future__ import annotations

import struct
from io import BytesIO
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from ..errors import ReadError
from ..radiograph import Radiograph
from .limits import MAX_PIXELS, check_claim, check_data, check_length

#: ITU-R BT.601: luma of red, green and blue.
LUMA = (0.299, 0.587, 0.114)

#: First bytes (None: any) of each format that imagecodecs decodes, and its name there.
_SIGNATURES = (
    ("PNG", b"\x89PNG\r\n\x1a\n", "png"),
    ("JPEG", b"\xff\xd8\xff", "jpeg"),
    ("GIF", b"GIF8", "gif"),
    ("JPEG 2000", b"\x00\x00\x00\x0cjP  \r\n\x87\n", "jpeg2k"),
    ("JPEG 2000", b"\xff\x4f\xff\x51", "jpeg2k"),
    ("BMP", b"BM", "bmp"),
)
#: Lengths of BITMAPINFOHEADER and its successors.
_BMP_HEADERS = (40, 52, 56, 108, 124)
_TIFF = (b"II*\x00", b"MM\x00*", b"II+\x00", b"MM\x00+")

#: None, CCITT, LZW, deflate, PackBits, LZMA, Zstandard; and JPEG and JPEG 2000, whose strips each
#: have a size of their own, which a decoder believes.
_EMBEDDED = (7, 33003, 33004, 33005, 34712)
_COMPRESSIONS = (1, 2, 3, 4, 5, 8, 32773, 32946, 34925, 50000, *_EMBEDDED)


def sniff(head: bytes) -> str | None:
    """The name of the raster format that a file's first bytes announce, or None."""
    if head.startswith(_TIFF):
        return "TIFF"
    return next((name for name, start, _ in _SIGNATURES if head.startswith(start)), None)


def read_raster(path: Path, data: bytes | None = None, max_pixels: int = MAX_PIXELS) -> Radiograph:
    """Decode an image file, or ``data`` in its place, to grey; of several images the first.

    Raises:
        ReadError: it cannot be decoded, claims more than ``max_pixels`` samples, or is no picture
            of 8 or 16 bits (or floats, in a TIFF).
    """
    try:
        pixels, name, inverted = _decode(path, data, max_pixels)
    except (OSError, MemoryError, ReadError):
        raise
    except Exception as error:  # each codec has exceptions of its own
        reason = " ".join(str(error).split()) or type(error).__name__
        raise ReadError(f"{path}: damaged or not supported: {reason}") from error
    return Radiograph(to_grey(pixels, path), inverted, None, str(path), name)


def _decode(path: Path, data: bytes | None, most: int) -> tuple[npt.NDArray[Any], str, bool | None]:
    import imagecodecs

    with path.open("rb") if data is None else BytesIO(data) as file:
        name = sniff(file.read(16))
    if name == "TIFF":
        return _decode_tiff(path, data, most)
    if data is None:
        check_length(path, most)
        data = path.read_bytes()
    check_data(path, data, most)
    if name == "JPEG":
        check_jpeg(data)
    elif name == "BMP":
        check_bmp(data)
    codec = next(codec for _, start, codec in _SIGNATURES if data.startswith(start))
    return getattr(imagecodecs, f"{codec}_decode")(data), str(name), None


def _decode_tiff(
    path: Path, data: bytes | None, most: int
) -> tuple[npt.NDArray[Any], str, bool | None]:
    import tifffile

    with tifffile.TiffFile(path if data is None else BytesIO(data)) as tiff:
        page = tiff.pages.first
        if not isinstance(page, tifffile.TiffPage):
            raise ValueError("has no image")
        if page.photometric == tifffile.PHOTOMETRIC.SEPARATED:
            raise ValueError("CMYK inks, not light; convert it to grey")
        if page.compression not in _COMPRESSIONS:
            raise ValueError(f"compression {page.compression}; convert it to a usual one")
        palette = page.photometric == tifffile.PHOTOMETRIC.PALETTE and page.colormap is not None
        planes = page.imagedepth * (3 if palette else page.samplesperpixel)
        check_claim(path, page.imagelength, page.imagewidth, planes, most)
        check_claim(path, page.tilelength, page.tilewidth, max(page.tiledepth, 1) * planes, most)
        if max(page.databytecounts, default=0) > tiff.filehandle.size:
            raise ValueError("a strip is longer than the file")  # memory is taken for it first
        if page.compression in _EMBEDDED:
            for offset, length in zip(page.dataoffsets, page.databytecounts, strict=True):
                tiff.filehandle.seek(offset)
                check_data(path, tiff.filehandle.read(length), most)
        pixels = page.asarray()
        if palette:
            pixels = np.moveaxis(np.asarray(page.colormap)[:, pixels], 0, -1)
        inverted = True if page.photometric == tifffile.PHOTOMETRIC.MINISWHITE else None
        return pixels, "TIFF", inverted


def check_jpeg(data: bytes) -> None:
    """Raise ValueError for a JPEG without its end: decoders fill in what is missing with grey."""
    end = data.rfind(b"\xff\xd9")
    if end < 0 or data.find(b"\xff\xda", end) >= 0:  # a scan begins after it
        raise ValueError("truncated: the end of the JPEG is missing")


def check_bmp(data: bytes) -> None:
    """Raise ValueError for a BMP whose header leads outside it: the decoder would follow, and end.

    Only what films are saved as goes on: 8, 24 or 32 bits a pixel, not compressed.
    """
    if len(data) < 54:
        raise ValueError("truncated: its header is not whole")
    start, header, columns, rows, _, bits, compression = struct.unpack_from("<IIiiHHI", data, 10)
    (colours,) = struct.unpack_from("<I", data, 46)
    if header not in _BMP_HEADERS or bits not in (8, 24, 32) or compression or columns < 1:
        raise ValueError("a BMP of an unusual kind; convert it to PNG")
    palette = 4 * (colours or 256) if bits == 8 else 0
    if colours > 256 or 14 + header + palette > start:
        raise ValueError("its palette is not where it should be")
    if start + (columns * bits + 31) // 32 * 4 * abs(rows) > len(data):
        raise ValueError("truncated: it has fewer pixels than its header says")


def to_grey(pixels: npt.NDArray[Any], path: Path | str = "array") -> npt.NDArray[Any]:
    """One plane of an image: luma of colours, alpha dropped, frames after the first dropped.

    Args:
        pixels: (H, W), (H, W, 1 to 4) or (frames, H, W, 1 to 4), uint8, uint16, bool or float.
        path: named in errors.

    Raises:
        ReadError: it has another shape or type, is empty, or holds values that are no numbers.
    """
    while pixels.ndim > 3 or (pixels.ndim == 3 and pixels.shape[2] > 4):
        pixels = pixels[0]
    if pixels.dtype == np.bool_:
        pixels = pixels.view(np.uint8)
    if pixels.ndim not in (2, 3) or 0 in pixels.shape:
        raise ReadError(f"{path}: an array of shape {pixels.shape} is no image")
    if pixels.dtype.newbyteorder("=") not in (np.uint8, np.uint16, np.float32, np.float64):
        raise ReadError(f"{path}: {pixels.dtype} pixels; 8 and 16 bits and floats are read")
    if pixels.ndim == 3:
        pixels = pixels[..., 0] if pixels.shape[2] < 3 else _luma(pixels)
    if pixels.dtype.kind == "f" and not np.isfinite(pixels).all():
        raise ReadError(f"{path}: holds values that are no numbers (NaN or infinite)")
    return pixels


def _luma(pixels: npt.NDArray[Any]) -> npt.NDArray[Any]:
    red, green, blue = (pixels[..., channel] for channel in range(3))
    if np.array_equal(red, green) and np.array_equal(green, blue):
        return np.ascontiguousarray(red)
    luma = sum(share * plane for share, plane in zip(LUMA, (red, green, blue), strict=True))
    luma = np.asarray(luma)
    return (
        luma.astype(pixels.dtype) if pixels.dtype.kind == "f" else luma.round().astype(pixels.dtype)
    )
