"""Sizes that the headers of image files claim, read before a decoder sees the file.

A file of a hundred bytes can claim 60000 x 60000 pixels, and decoders allocate what it claims.
"""

from __future__ import annotations

import re
import struct
from collections.abc import Callable, Iterator
from pathlib import Path

from .limits import Budget

#: JPEG markers that a segment length follows (ITU-T T.81, table B.1), and the end of the image.
#: Stuffed zeros, fill bytes, restart markers and the start of the image are excluded.
_MARKER = re.compile(rb"\xff([^\x00\x01\xff\xd0-\xd8])", re.DOTALL)
#: Limit of segments or blocks in a file, so that counting them takes bounded time.
_MAX_STEPS = 2_000_000
#: Start-of-frame markers, JPEG-LS's (T.87) included; 0xC4, 0xC8 and 0xCC have other meanings.
_FRAMES = {*range(0xC0, 0xD0), 0xF7} - {0xC4, 0xC8, 0xCC}
#: Limit of scans in a JPEG. Encoders write up to 18; a scan of a few bytes takes 0.07 s for 100
#: million pixels.
_MAX_SCANS = 40

#: Pixels by which a compressed strip or tile may be larger than stated.
_BLOCK = 64

#: Rows, columns and samples per pixel that a header claims.
_Claim = tuple[int, int, int]


def check_data(path: Path | str, data: bytes, budget: Budget) -> int:
    """Refuse a PNG, JPEG, GIF, JPEG 2000 or BMP file whose header claims too many samples.

    Returns:
        The most samples that a header in it claims.

    Raises:
        ReadError: the header claims more samples than the budget has.
        ValueError: the header is truncated.
    """
    most = 0
    for rows, columns, samples in _claims(data):
        budget.check_claim(path, rows, columns, samples)
        most = max(most, rows * columns * max(samples, 1))
    return most


def check_segment(data: bytes, rows: int, columns: int) -> None:
    """Refuse a compressed strip or tile that claims to be larger than its TIFF says.

    Encoders may round its size up to whole blocks.

    Raises:
        ValueError: it claims more, or its header is truncated.
    """
    for claim in _claims(data):
        if claim[0] > rows + _BLOCK or claim[1] > columns + _BLOCK:
            raise ValueError(
                f"a compressed strip is {claim[0]} x {claim[1]} pixels, "
                f"but the header says {rows} x {columns}"
            )


def check_frame(data: bytes, rows: int, columns: int) -> None:
    """Refuse a compressed DICOM frame whose size differs from the DICOM header's.

    A decoder would allocate memory for the size that the frame claims.

    Raises:
        ValueError: the sizes differ, or the frame's header is truncated.
    """
    for claim in _claims(data):
        check_same_size(claim, (rows, columns))


def check_same_size(frame: tuple[int, ...], header: tuple[int, int]) -> None:
    """Refuse a decoded frame whose (rows, columns) differ from the DICOM header's.

    Raises:
        ValueError: the sizes differ.
    """
    if frame[:2] != header:
        raise ValueError(
            f"the compressed frame is {' x '.join(map(str, frame[:2]))} pixels, "
            f"but the header says {header[0]} x {header[1]}"
        )


def _claims(data: bytes) -> Iterator[_Claim]:
    """The sizes that a file's headers claim; none for a format that is not known here."""
    for start, claims in _CLAIMS:
        if data.startswith(start):
            try:
                yield from claims(data)
            except (struct.error, IndexError) as error:
                raise ValueError("truncated in its header") from error
            return


def _png(data: bytes) -> Iterator[_Claim]:
    """IHDR is the first chunk (PNG, section 11.2.2)."""
    columns, rows, _, colour = struct.unpack_from(">IIBB", data, 16)
    yield rows, columns, {2: 3, 3: 3, 4: 2, 6: 4}.get(colour, 1)


def _bmp(data: bytes) -> Iterator[_Claim]:
    (header,) = struct.unpack_from("<I", data, 14)
    columns, rows = struct.unpack_from("<HH" if header == 12 else "<ii", data, 18)
    yield abs(rows), abs(columns), 3


def _gif(data: bytes) -> Iterator[_Claim]:
    """Running total over all frames (GIF89a, sections 18 to 24).

    A decoder holds all of them, each at least as large as the logical screen.
    """
    width, height, packed = struct.unpack_from("<HHB", data, 6)
    place = 13 + (3 << (packed & 7) + 1 if packed & 0x80 else 0)
    yield height, width, 3
    total = steps = frames = 0
    while place < len(data) and data[place] in (0x21, 0x2C):
        if data[place] == 0x21:
            place += 2
        elif place + 10 <= len(data):
            columns, rows, packed = struct.unpack_from("<HHB", data, place + 5)
            total += max(rows * columns, width * height)
            frames += 1
            if frames > Budget.max_frames:
                raise ValueError("more frames than any radiograph has")
            yield total, 3, 1
            place += 11 + (3 << (packed & 7) + 1 if packed & 0x80 else 0)
        else:
            return
        while place < len(data) and data[place]:
            place += 1 + data[place]
            steps += 1
        if steps > _MAX_STEPS:
            raise ValueError("more blocks than any radiograph has")
        place += 1


def _jpeg(data: bytes) -> Iterator[_Claim]:
    """Every frame header up to the end of the image (T.81, annex B.2.2)."""
    place = scans = 0
    for _ in range(_MAX_STEPS):
        found = _MARKER.search(data, place)
        if found is None or found[1] == b"\xd9":
            return
        place, marker = found.end(), found[1][0]
        if marker in _FRAMES:
            rows, columns, samples = struct.unpack_from(">HHB", data, place + 3)
            yield rows, columns, samples
        scans += marker == 0xDA
        if scans > _MAX_SCANS:
            raise ValueError(f"more than {_MAX_SCANS} scans")
        place += max(2, int.from_bytes(data[place : place + 2], "big"))
    raise ValueError("more segments than any radiograph has")


def _jpeg2000(data: bytes) -> Iterator[_Claim]:
    """SIZ, the first segment of each codestream, wherever boxes place it (T.800, annex A.5.1)."""
    place = data.find(b"\xff\x4f\xff\x51")
    while place >= 0:
        right, bottom, left, top = struct.unpack_from(">IIII", data, place + 8)
        (samples,) = struct.unpack_from(">H", data, place + 40)
        yield bottom - min(top, bottom), right - min(left, right), samples
        place = data.find(b"\xff\x4f\xff\x51", place + 4)


#: Signature of each format, and the function that reads its claims.
_CLAIMS: tuple[tuple[bytes, Callable[[bytes], Iterator[_Claim]]], ...] = (
    (b"\x89PNG", _png),
    (b"\xff\xd8", _jpeg),
    (b"GIF8", _gif),
    (b"\x00\x00\x00\x0cjP  ", _jpeg2000),
    (b"\xff\x4f\xff\x51", _jpeg2000),
    (b"BM", _bmp),
)
