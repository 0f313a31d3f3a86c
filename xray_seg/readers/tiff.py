"""Decode the first image of a TIFF with tifffile, after its header was checked."""

from __future__ import annotations

from io import BytesIO
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from .claims import check_data, check_segment
from .limits import Budget
from .tiff_header import TiffHeader, read_header

#: PhotometricInterpretation: white is 0, black is 0, RGB, palette, CMYK, YCbCr.
_WHITE_IS_ZERO, _BLACK_IS_ZERO, _RGB, _PALETTE, _CMYK, _YCBCR = 0, 1, 2, 3, 5, 6
_JPEG, _APERIO_YCBCR = 7, 33003
#: Compressions whose strips state their own size, which decoders trust: JPEG, JPEG 2000.
_EMBEDDED = (_JPEG, _APERIO_YCBCR, 33004, 33005, 34712)
#: Supported compressions: none, CCITT, LZW, deflate, PackBits, LZMA, Zstandard, and the above.
_COMPRESSIONS = (1, 2, 3, 4, 5, 8, 32773, 32946, 34925, 50000, *_EMBEDDED)


def decode_tiff(
    path: Path, data: bytes | None, budget: Budget
) -> tuple[npt.NDArray[Any], bool | None]:
    """Decode the first image of a TIFF.

    Args:
        path: the file.
        data: its content, if it is in memory already; the file is then not opened.
        budget: limits of size.

    Returns:
        (H, W) or (H, W, samples) pixels, and True where high is dark, None where it is not stated.

    Raises:
        ReadError: the file claims more than the budget has.
        Exception: it is damaged or not supported; each decoder raises its own types.
    """
    import tifffile

    with path.open("rb") if data is None else BytesIO(data) as file:
        header = read_header(path, file, budget)
        _check_supported(header)
        if header.compression in _EMBEDDED:
            _check_embedded(path, file, header, budget)
        file.seek(0)
        # These formats place pixels where the header does not say.
        with tifffile.TiffFile(file, is_lsm=False, is_ndpi=False, is_scanimage=False) as tiff:
            page = tiff.pages.first
            if page.shaped[2:] != _shape(header):
                raise ValueError("its tags contradict each other")
            if page.dtype is None:
                raise ValueError(f"samples of {page.bitspersample} bits; convert to 8 or 16 bits")
            pixels = page.asarray(squeeze=False)
            colours = page.colormap if header.photometric == _PALETTE else None
    pixels = _planes_last(pixels, header)
    if colours is not None:
        pixels = np.moveaxis(np.asarray(colours)[:, pixels[..., 0]], 0, -1)
    return pixels, True if header.photometric == _WHITE_IS_ZERO else None


def _check_supported(header: TiffHeader) -> None:
    if header.photometric == _CMYK:
        raise ValueError("CMYK colours; convert it to grey")
    if header.photometric > _YCBCR or header.photometric == 4:
        raise ValueError(f"colour space {header.photometric} is not supported; convert it to grey")
    if header.compression not in _COMPRESSIONS:
        raise ValueError(
            f"compression {header.compression} is not supported; convert it to deflate or LZW"
        )
    if header.photometric == _PALETTE and header.samples > 1:
        raise ValueError(f"a palette for {header.samples} samples a pixel; convert it to grey")


def _check_embedded(path: Path, file: Any, header: TiffHeader, budget: Budget) -> None:
    """Check the size that each JPEG or JPEG 2000 strip claims."""
    if header.jpeg_tables:
        check_data(path, header.jpeg_tables, budget)
    for offset, count in zip(header.offsets.tolist(), header.counts.tolist(), strict=True):
        file.seek(offset)
        data = file.read(count)
        check_data(path, data, budget)
        check_segment(data, *header.segment)


def _shape(header: TiffHeader) -> tuple[int, int, int]:
    """Rows, columns and samples that are stored together."""
    return header.rows, header.columns, 1 if header.separate else header.samples


def _planes_last(pixels: npt.NDArray[Any], header: TiffHeader) -> npt.NDArray[Any]:
    """(H, W, samples) of tifffile's (planes, depth, H, W, samples).

    Of YCbCr that tifffile does not convert, the first sample, which is luma, is taken.
    """
    pixels = np.moveaxis(pixels[:, 0, ..., 0], 0, -1) if header.separate else pixels[0, 0]
    if header.compression == _APERIO_YCBCR or (
        header.photometric == _YCBCR and header.compression != _JPEG
    ):
        return pixels[..., :1]
    return pixels
