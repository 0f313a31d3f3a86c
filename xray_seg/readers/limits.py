"""What an image file claims to hold, read from its header before any decoder takes memory for it.

A file of a hundred bytes can claim 60000 x 60000 pixels; decoders believe it.
"""

from __future__ import annotations

import re
import struct
from collections.abc import Callable, Iterator
from pathlib import Path

from ..errors import ReadError

#: Samples (pixels times colours) of an image at most. The largest films known here, 35 x 43 cm at
#: 0.05 mm, have 60 million; 100 million of 16 bits are decoded within 1 GiB.
MAX_PIXELS = 100_000_000
#: Bytes of a file that is read whole, for each sample that is allowed: 64-bit floats at most.
_BYTES_PER_SAMPLE = 8
_ROOM = 1 << 20
#: A marker that a length follows (ITU-T T.81, table B.1): stuffed zeros, fill bytes, restarts and
#: the start of the image have none; nor has its end, which is looked for.
_MARKER = re.compile(rb"\xff([^\x00\x01\xff\xd0-\xd8])", re.DOTALL)
#: Segments or blocks of a file at most: counting them must not become the work.
_MAX_STEPS = 2_000_000
#: Start of frame of any process, JPEG-LS (T.87) included; 0xC4, 0xC8 and 0xCC are none.
_FRAMES = {*range(0xC0, 0xD0), 0xF7} - {0xC4, 0xC8, 0xCC}
#: libjpeg-turbo's advice against files that make a decoder work for hours: scans at most.
_MAX_SCANS = 500

_Claim = tuple[int, int, int]


def check_claim(path: Path | str, rows: int, columns: int, samples: int, most: int) -> None:
    """Refuse an image that is larger than what is allowed.

    Args:
        path: named in the error.
        rows: as its header claims.
        columns: likewise.
        samples: of a pixel; or planes.
        most: pixels times samples at most.

    Raises:
        ReadError: it claims more.
    """
    if rows * columns * max(samples, 1) > most:
        depth = f" x {samples}" if samples > 1 else ""
        raise ReadError(
            f"{path}: claims {rows} x {columns}{depth} pixels, over the limit of {most:,}; if it "
            "is a film all the same, give --max-pixels N"
        )


def check_length(path: Path, most: int) -> None:
    """Refuse a file that is read whole and longer than any image allowed.

    Raises:
        ReadError: it is longer.
    """
    length = path.stat().st_size
    if length > most * _BYTES_PER_SAMPLE + _ROOM:
        raise ReadError(
            f"{path}: {length:,} bytes, too many for an image of {most:,} pixels; if it is a "
            "film all the same, give --max-pixels N"
        )


def check_data(path: Path | str, data: bytes, most: int) -> None:
    """Refuse a PNG, JPEG, GIF, JPEG 2000 or BMP file whose header claims too much.

    Raises:
        ReadError: it claims more than ``most`` samples.
        ValueError: it has no whole header.
    """
    for rows, columns, samples in _claims(data):
        check_claim(path, rows, columns, samples, most)


def check_frame(data: bytes, rows: int, columns: int) -> None:
    """Refuse a compressed DICOM frame that claims another size than the DICOM header.

    A decoder would take memory and time for the size that the frame claims.

    Raises:
        ValueError: it claims another size, or has no whole header.
    """
    for claim in _claims(data):
        check_same_size(claim, (rows, columns))


def check_same_size(frame: tuple[int, ...], header: tuple[int, int]) -> None:
    """Refuse a compressed frame of another (rows, columns) than the DICOM header's.

    Raises:
        ValueError: they differ.
    """
    if frame[:2] != header:
        raise ValueError("the compressed frame has not the size that the header says")


def _claims(data: bytes) -> Iterator[_Claim]:
    for start, claims in _CLAIMS:
        if data.startswith(start):
            try:
                yield from claims(data)
            except (struct.error, IndexError) as error:
                raise ValueError("truncated: its header is not whole") from error
            return


def _png(data: bytes) -> Iterator[_Claim]:
    """PNG, section 11.2.2: IHDR comes first."""
    columns, rows, _, colour = struct.unpack_from(">IIBB", data, 16)
    yield rows, columns, {2: 3, 3: 3, 4: 2, 6: 4}.get(colour, 1)


def _bmp(data: bytes) -> Iterator[_Claim]:
    (header,) = struct.unpack_from("<I", data, 14)
    columns, rows = struct.unpack_from("<HH" if header == 12 else "<ii", data, 18)
    yield abs(rows), abs(columns), 3


def _gif(data: bytes) -> Iterator[_Claim]:
    """GIF89a, sections 18 to 24: a decoder holds all frames, each as large as the screen."""
    width, height, packed = struct.unpack_from("<HHB", data, 6)
    place = 13 + (3 << (packed & 7) + 1 if packed & 0x80 else 0)
    yield height, width, 3
    total = steps = 0
    while place < len(data) and data[place] in (0x21, 0x2C):
        if data[place] == 0x21:
            place += 2
        elif place + 10 <= len(data):
            columns, rows, packed = struct.unpack_from("<HHB", data, place + 5)
            total += max(rows * columns, width * height)
            yield total, 3, 1
            place += 11 + (3 << (packed & 7) + 1 if packed & 0x80 else 0)
        else:
            return
        while place < len(data) and data[place]:
            place += 1 + data[place]
            steps += 1
        if steps > _MAX_STEPS:
            raise ValueError("more blocks than any film has")
        place += 1


def _jpeg(data: bytes) -> Iterator[_Claim]:
    """T.81, annex B.2.2: every frame header, wherever it stands before the end of the image."""
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
    raise ValueError("more segments than any film has")


def _jpeg2000(data: bytes) -> Iterator[_Claim]:
    """T.800, annex A.5.1: SIZ comes first in the codestream, wherever boxes have put that."""
    place = data.find(b"\xff\x4f\xff\x51")
    while place >= 0:
        right, bottom, left, top = struct.unpack_from(">IIII", data, place + 8)
        (samples,) = struct.unpack_from(">H", data, place + 40)
        yield bottom - min(top, bottom), right - min(left, right), samples
        place = data.find(b"\xff\x4f\xff\x51", place + 4)


_CLAIMS: tuple[tuple[bytes, Callable[[bytes], Iterator[_Claim]]], ...] = (
    (b"\x89PNG", _png),
    (b"\xff\xd8", _jpeg),
    (b"GIF8", _gif),
    (b"\x00\x00\x00\x0cjP  ", _jpeg2000),
    (b"\xff\x4f\xff\x51", _jpeg2000),
    (b"BM", _bmp),
)
