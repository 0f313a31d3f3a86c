"""Read mutated files of every format within limits of time and memory.

    python benchmarks/fuzz.py --count 20000 --parser png --seconds 200

A child process reads the files. It ends if a read crashes, takes over 5 s, or takes more than 1 GiB
besides the memory of the libraries (or more than --address-space in all); its parent then continues
with the next file. Files that end the process, or for which ``read`` raises something else than an
``XraySegError``, are reported and kept in the folder --keep. A number always gives the same
mutation, so --first continues an earlier call.
"""

from __future__ import annotations

import argparse
import io
import json
import os
import random
import resource
import signal
import subprocess
import sys
import tempfile
import time
import zlib
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any, Literal

import imagecodecs
import numpy as np
import tifffile

SECONDS_EACH = 5
MEMORY = 1 << 30
#: Tags of sizes, strips and tiles, of makers' formats, and compressions of TIFF.
_CODES = (
    *(256, 257, 258, 259, 262, 273, 277, 278, 279, 284, 317, 320, 322, 323, 324, 325, 330, 338),
    *(339, 347, 513, 514, 530, 32773, 32946, 32997, 32998, 33003, 33005, 33628, 34412, 34925),
    *(50000, 65420, 65426),
)
_NUMBERS = (0, 1, 0x7F, 0x80, 0xFF, 0x7FFF, 0x8000, 0xFFFF, 60_000, 0x7FFFFFFF, 0xFFFFFFFF)


def _image(bits: int = 8) -> np.ndarray:
    rows, columns = np.mgrid[:40, :48]
    ramp = (rows * columns) / (39 * 47) * (2**bits - 1)
    return ramp.astype(np.uint8 if bits == 8 else np.uint16)


def _tiff(pixels: np.ndarray | None = None, **options: Any) -> bytes:
    file = io.BytesIO()
    tifffile.imwrite(file, _image() if pixels is None else pixels, **options)
    return file.getvalue()


def _dicom(
    syntax: str | None = None, frame: bytes | bytearray | None = None, bits: int = 16
) -> bytes:
    import pydicom
    from pydicom import uid
    from pydicom.encaps import encapsulate

    pixels = _image(bits)
    data = pydicom.Dataset()
    data.file_meta = pydicom.FileMetaDataset()
    data.file_meta.TransferSyntaxUID = uid.UID(syntax) if syntax else uid.ExplicitVRLittleEndian
    data.SOPClassUID = uid.DigitalXRayImageStorageForPresentation
    data.SOPInstanceUID = "1.2.3"
    data.Modality, data.BodyPartExamined, data.ViewPosition = "DX", "CHEST", "PA"
    data.PatientName, data.PatientID = "NOBODY", "0"
    data.Rows, data.Columns = pixels.shape
    data.SamplesPerPixel, data.PhotometricInterpretation = 1, "MONOCHROME1"
    data.BitsAllocated = data.BitsStored = bits
    data.HighBit, data.PixelRepresentation = bits - 1, 0
    data.PixelSpacing, data.WindowCenter, data.WindowWidth = [0.2, 0.2], 100, 200
    data.RescaleSlope, data.RescaleIntercept = 1, 0
    data.PixelData = encapsulate([bytes(frame)]) if frame else pixels.tobytes()
    data["PixelData"].VR = "OB" if frame else "OW"
    data["PixelData"].is_undefined_length = frame is not None
    file = io.BytesIO()
    data.save_as(file, enforce_file_format=True)
    return file.getvalue()


def seeds() -> dict[str, list[bytes]]:
    """Small valid files by parser."""
    grey, deep = _image(), _image(16)
    colour, labels = np.stack([grey] * 3, axis=2), grey // 64
    j2k = imagecodecs.jpeg2k_encode(deep, reversible=True, codecformat="j2k")
    files: dict[str, list[Any]] = {
        "png": [imagecodecs.png_encode(each) for each in (grey, deep, colour)],
        "jpeg": [imagecodecs.jpeg_encode(each) for each in (grey, colour)],
        "gif": [imagecodecs.gif_encode(grey)],
        "bmp": [imagecodecs.bmp_encode(grey), imagecodecs.bmp_encode(colour)],
        "jpeg2000": [imagecodecs.jpeg2k_encode(deep), j2k],
        "tiff": [
            _tiff(),
            _tiff(bigtiff=True),
            _tiff(byteorder=">", rowsperstrip=4),
            _tiff(tile=(16, 16), compression="zlib"),
            *(_tiff(compression=name) for name in ("lzw", "packbits", "jpeg", "jpeg2000", "zstd")),
            _tiff(compression="zlib", predictor=True, rowsperstrip=7),
            _tiff(compression="lzma"),
            _tiff(colour, photometric="rgb", compression="jpeg", tile=(16, 16)),
            _tiff(np.moveaxis(colour, -1, 0), photometric="rgb", planarconfig="separate"),
            _tiff(grey, photometric="palette", colormap=np.zeros((3, 256), np.uint16)),
            _tiff(deep.astype(np.float32)),
            _tiff(grey > 100),
        ],
        "label map": [
            _tiff(labels, compression="zlib", resolution=(57, 57), resolutionunit=3),
            _tiff(labels, resolution=(57, 57), resolutionunit=3),
            imagecodecs.png_encode(labels),
        ],
        "dicom": [
            _dicom(),
            _dicom("1.2.840.10008.1.2"),
            _dicom("1.2.840.10008.1.2.1.99"),
            _dicom("1.2.840.10008.1.2.4.50", imagecodecs.jpeg_encode(grey), 8),
            _dicom("1.2.840.10008.1.2.4.70", imagecodecs.ljpeg_encode(deep)),
            _dicom("1.2.840.10008.1.2.4.80", imagecodecs.jpegls_encode(deep)),
            _dicom("1.2.840.10008.1.2.4.90", j2k),
            _dicom("1.2.840.10008.1.2.5", _rle(grey), 8),
            _dicom()[132:],
            _dicom("1.2.840.10008.1.2.1.99")[132:],
        ],
        "raw": [_image(16).astype(">u2").tobytes()],
    }
    return {parser: [bytes(each) for each in of] for parser, of in files.items()}


def _rle(pixels: np.ndarray) -> bytes:
    """PS3.5, annex G: one segment of literal runs."""
    body = b"".join(bytes([len(row) - 1]) + row.tobytes() for row in pixels)
    header = (1).to_bytes(4, "little") + (64).to_bytes(4, "little")
    return header.ljust(64, b"\0") + body + b"\0" * (len(body) % 2)


def mutate(data: bytes, chance: random.Random) -> bytes:
    """Make one to four changes, half of them near the beginning."""
    made = bytearray(data)
    for _ in range(chance.choice((1, 1, 1, 2, 3, 4))):
        if not made:
            break
        span = min(len(made), 400) if chance.random() < 0.5 else len(made)
        place = chance.randrange(span)
        _CHANGES[chance.randrange(len(_CHANGES))](made, place, chance)
    return bytes(made)


def _flip(made: bytearray, place: int, chance: random.Random) -> None:
    made[place] ^= 1 << chance.randrange(8)


def _replace(made: bytearray, place: int, chance: random.Random) -> None:
    made[place] = chance.randrange(256)


def _number(made: bytearray, place: int, chance: random.Random) -> None:
    length = chance.choice((2, 4))
    number = chance.choice(_NUMBERS) & (256**length - 1)
    made[place : place + length] = number.to_bytes(length, chance.choice(("little", "big")))


def _cut_end(made: bytearray, place: int, chance: random.Random) -> None:
    del made[place:]


def _remove(made: bytearray, place: int, chance: random.Random) -> None:
    del made[place : place + chance.randrange(1, 64)]


def _copy(made: bytearray, place: int, chance: random.Random) -> None:
    part = made[place : place + chance.randrange(1, 64)]
    other = chance.randrange(len(made))
    made[other:other] = part


def _noise(made: bytearray, place: int, chance: random.Random) -> None:
    length = chance.randrange(1, 32)
    made[place : place + length] = chance.randbytes(length)


_CHANGES: tuple[Callable[[bytearray, int, random.Random], None], ...] = (
    _flip,
    _flip,
    _replace,
    _number,
    _number,
    _cut_end,
    _remove,
    _copy,
    _noise,
)


def _change_tags(data: bytes, chance: random.Random) -> bytes:
    """A TIFF with one to three changes in its tags: code, type, count or value, or a repetition."""
    made = bytearray(data)
    order: Literal["little", "big"] = "little" if made[:2] == b"II" else "big"
    big = int.from_bytes(made[2:4], order) == 43
    start = int.from_bytes(made[8:16] if big else made[4:8], order)
    width, first = (20, start + 8) if big else (12, start + 2)
    number = int.from_bytes(made[start:first], order)
    for _ in range(chance.choice((1, 1, 2, 3))):
        place = first + width * chance.randrange(number)
        kind = chance.randrange(6)
        if kind == 0:  # another tag's place
            other = first + width * chance.randrange(number)
            made[place : place + width] = made[other : other + width]
            continue
        size = 8 if big else 4
        offset, length = ((0, 2), (2, 2), (4, size), (4 + size, size), (4 + size, size))[kind - 1]
        value = chance.choice((*_NUMBERS, chance.choice(_CODES), chance.randrange(70)))
        made[place + offset : place + offset + length] = (value & (256**length - 1)).to_bytes(
            length, order
        )
    return bytes(made)


def mutation(parser: str, number: int, known: dict[str, list[bytes]]) -> bytes:
    """The mutation of a parser's seeds with this number."""
    chance = random.Random(f"{parser} {number}")  # noqa: S311 - the same mutations each time
    seed = chance.choice(known[parser])
    if seed[:2] in (b"II", b"MM") and chance.random() < 0.5:
        return _change_tags(seed, chance)
    made = mutate(seed, chance)
    # A PNG decoder would only notice a wrong checksum.
    return _with_png_checksums(made) if parser == "png" and chance.random() < 0.8 else made


def _with_png_checksums(data: bytes) -> bytes:
    """Correct the checksum of each chunk of a PNG file."""
    made, place = bytearray(data), 8
    while place + 12 <= len(made):
        end = place + 8 + int.from_bytes(made[place : place + 4], "big")
        if end + 4 > len(made):
            break
        made[end : end + 4] = zlib.crc32(made[place + 4 : end]).to_bytes(4, "big")
        place = end + 4
    return bytes(made)


def child(parser: str, first: int, last: int, place: Path, space: int) -> None:
    """Read mutations; print a JSON line per finding, and one with counts at the end."""
    import faulthandler

    from xray_seg.errors import XraySegError
    from xray_seg.readers import RawLayout, read
    from xray_seg.readers.label_map import read_labels

    faulthandler.disable()
    known = seeds()
    raw = RawLayout(shape=(40, 48)) if parser == "raw" else None
    reader: Callable[[Path], object] = (
        read_labels if parser == "label map" else partial(read, raw=raw)
    )
    for data in known[parser]:  # libraries are loaded before memory is limited
        (place / "file").write_bytes(data)
        reader(place / "file")
    taken = int(Path("/proc/self/statm").read_text().split()[0]) * resource.getpagesize()
    space = space or taken + MEMORY
    resource.setrlimit(resource.RLIMIT_AS, (space, space))
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    signal.signal(signal.SIGALRM, signal.SIG_DFL)
    counts = {"read": 0, "refused": 0}
    slowest = 0.0
    for number in range(first, last):
        (place / "file").write_bytes(mutation(parser, number, known))
        (place / "number").write_text(str(number))
        signal.alarm(SECONDS_EACH)
        began = time.perf_counter()
        try:
            reader(place / "file")
            counts["read"] += 1
        except XraySegError:
            counts["refused"] += 1
        except BaseException as error:  # noqa: BLE001 - any error is a finding
            print(json.dumps({"number": number, "what": f"{type(error).__name__}: {error}"[:300]}))
        signal.alarm(0)
        slowest = max(slowest, time.perf_counter() - began)
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss >> 10
    print(json.dumps({**counts, "slowest_s": round(slowest, 2), "peak_mib": peak}), flush=True)


def fuzz(
    parser: str, first: int, count: int, until: float, keep: Path | None, space: int
) -> dict[str, object]:
    """Read mutations in child processes until ``count`` are read or the time is over."""
    total: dict[str, object] = {"parser": parser, "first": first, "read": 0, "refused": 0}
    found: list[dict[str, object]] = []
    number, slowest, peak = first, 0.0, 0
    with tempfile.TemporaryDirectory() as folder:
        while number < first + count and time.monotonic() < until:
            last = min(number + 2000, first + count)
            command = [sys.executable, __file__, "--child", folder, "--parser", parser]
            command += ["--address-space", str(space)]
            done = subprocess.run(
                [*command, "--first", str(number), "--count", str(last - number)],
                capture_output=True,
                text=True,
                check=False,
            )
            lines = [json.loads(line) for line in done.stdout.splitlines() if line[:1] == "{"]
            found += [line for line in lines if "what" in line]
            if done.returncode == 0:
                number = last
                for key in ("read", "refused"):
                    total[key] = int(str(total[key])) + lines[-1][key]
                slowest = max(slowest, lines[-1]["slowest_s"])
                peak = max(peak, lines[-1]["peak_mib"])
            else:  # a crash or the alarm: continue with the next file
                at = Path(folder, "number")
                if not at.exists():
                    raise SystemExit(done.stderr)
                found.append({"number": int(at.read_text()), "what": f"exit {done.returncode}"})
                number = int(at.read_text()) + 1
    if keep:
        keep.mkdir(parents=True, exist_ok=True)
        known = seeds()
        for each in found:
            name = f"{parser}-{each['number']}"
            (keep / name).write_bytes(mutation(parser, int(str(each["number"])), known))
    return {
        **total,
        "mutations": number - first,
        "slowest_s": slowest,
        "peak_mib": peak,
        "findings": found,
    }


def main() -> None:
    """Parse the command line, read mutations, print a JSON line per parser."""
    parsers = tuple(seeds())
    arguments = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    arguments.add_argument("--parser", choices=parsers, action="append", help="repeatable")
    arguments.add_argument("--count", type=int, default=20_000, help="mutations per parser")
    arguments.add_argument("--first", type=int, default=0, help="number of the first mutation")
    arguments.add_argument("--seconds", type=float, default=3600, help="stop after this time")
    arguments.add_argument("--keep", type=Path, help="folder for the files that were found")
    arguments.add_argument(
        "--address-space", type=int, default=0, metavar="BYTES", help="of a child process"
    )
    arguments.add_argument("--child", type=Path, help=argparse.SUPPRESS)
    given = arguments.parse_args()
    if given.child:
        child(
            given.parser[0],
            given.first,
            given.first + given.count,
            given.child,
            given.address_space,
        )
        return
    os.environ["OMP_NUM_THREADS"] = os.environ["OPENBLAS_NUM_THREADS"] = "1"
    until = time.monotonic() + given.seconds
    for parser in given.parser or parsers:
        report = fuzz(parser, given.first, given.count, until, given.keep, given.address_space)
        print(json.dumps(report), flush=True)


if __name__ == "__main__":
    main()
