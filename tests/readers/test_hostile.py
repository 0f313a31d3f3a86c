"""Files that claim a wrong size, mutated files, headers with patient data."""

import io
import json
import os
import struct
import subprocess
import sys
import tracemalloc
import zlib
from pathlib import Path

import imagecodecs
import numpy as np
import pytest
import tifffile
from pydicom import uid

from helpers.dicom import COMPRESSED, RAMP, make
from xray_seg.errors import ReadError
from xray_seg.readers import RawLayout, read, read_ids

ROOT = Path(__file__).parents[2]
SIDE = 60_000
GREY = RAMP.astype(np.uint8)


def _png():
    data = bytearray(imagecodecs.png_encode(GREY))
    struct.pack_into(">II", data, 16, SIDE, SIDE)
    struct.pack_into(">I", data, 29, zlib.crc32(data[12:29]))
    return bytes(data)


def _jpeg(data=None):
    data = bytearray(data or imagecodecs.jpeg_encode(GREY))
    struct.pack_into(">HH", data, data.index(b"\xff\xc0") + 5, SIDE, SIDE)
    return bytes(data)


def _gif(frames=1):
    data = imagecodecs.gif_encode(GREY)
    if frames > 1:  # a logical screen of a megapixel, drawn upon again and again
        start = data.index(b"\x2c")
        screen = bytearray(data[:start])
        struct.pack_into("<HH", screen, 6, 1000, 1000)
        return bytes(screen) + data[start:-1] * frames + b";"
    data = bytearray(data)
    struct.pack_into("<HH", data, 6, SIDE, SIDE)
    return bytes(data)


def _jpeg2000(codec="jp2"):
    data = bytearray(imagecodecs.jpeg2k_encode(RAMP, codecformat=codec))
    struct.pack_into(">II", data, data.index(b"\xff\x4f\xff\x51") + 8, SIDE, SIDE)
    return bytes(data)


def _bmp():
    data = bytearray(imagecodecs.bmp_encode(GREY))
    struct.pack_into("<ii", data, 18, SIDE, -SIDE)
    return bytes(data)


def _tiff(tags=(256, 257), side=SIDE, **how):
    """A small TIFF whose tags then say otherwise: its width and height, for instance."""
    file = io.BytesIO()
    tifffile.imwrite(file, np.tile(GREY, (2, 2)), **how)
    written = file.getvalue()
    with tifffile.TiffFile(io.BytesIO(written)) as tiff:
        places = {code: tiff.pages.first.tags[code] for code in tags}
        kinds = {code: (tag.valueoffset, tag.dtype) for code, tag in places.items()}
    data = bytearray(written)
    for place, kind in kinds.values():
        struct.pack_into("<H" if kind == 3 else "<I", data, place, side)
    return bytes(data)


def _tiff_of_jpeg():
    data = _tiff((), compression="jpeg")
    frame = data.index(b"\xff\xc0")
    return data[: frame + 5] + struct.pack(">HH", SIDE, SIDE) + data[frame + 9 :]


BOMBS = {
    "png": _png,
    "jpeg": _jpeg,
    "gif": _gif,
    "gif of many frames": lambda: _gif(200),
    "jp2": _jpeg2000,
    "j2k": lambda: _jpeg2000("j2k"),
    "bmp": _bmp,
    "tiff": _tiff,
    "tiff, deflated": lambda: _tiff(compression="zlib"),
    "tiff of huge tiles": lambda: _tiff((322, 323), tile=(64, 64), compression="zlib"),
    "tiff of a huge jpeg": _tiff_of_jpeg,
}


def _refused(path, **how):
    """The error of reading a file, and the most memory that Python's allocators gave for it."""
    tracemalloc.start()
    try:
        with pytest.raises(ReadError) as raised:
            read(path, **how)
        return str(raised.value), tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()


@pytest.mark.parametrize("kind", BOMBS)
def test_a_small_file_that_claims_a_huge_image_takes_no_memory(tmp_path, kind):
    path = tmp_path / "radiograph"
    path.write_bytes(BOMBS[kind]())
    assert path.stat().st_size < 500_000
    said, memory = _refused(path)
    assert f"{path}: claims" in said
    assert "--max-pixels" in said
    assert memory < 20 << 20


@pytest.mark.parametrize("how", ["header", "frame", "deflated"])
def test_a_small_dicom_file_that_claims_a_huge_image_takes_no_memory(tmp_path, how):
    path = tmp_path / "radiograph"
    if how == "header":
        make(path, RAMP, Rows=SIDE, Columns=SIDE)
    elif how == "frame":
        make(path, GREY, uid.JPEGBaseline8Bit, _jpeg())
    else:
        make(path, RAMP)
        data = path.read_bytes()
        body = data.index(b"\x08\x00\x16\x00")
        head = data[:body].replace(b"1.2.840.10008.1.2.1\0", b"1.2.840.10008.1.2.1.99")
        packer = zlib.compressobj(9, wbits=-zlib.MAX_WBITS)
        zeros = bytes(1 << 20)
        packed = b"".join(packer.compress(zeros) for _ in range(20)) + packer.flush()
        path.write_bytes(_relabel(head, 2) + packed)
    said, memory = _refused(path, max_pixels=1_000_000)
    assert str(path) in said
    assert "--max-pixels" in said
    assert memory < 20 << 20


@pytest.mark.parametrize("kind", COMPRESSED)
def test_a_dicom_frame_of_another_size_is_not_decoded(tmp_path, monkeypatch, kind):
    """What a damaged header claims is not worth a decoder's time and memory."""
    syntax, encode, bits = COMPRESSED[kind]
    pixels = RAMP.astype(f"u{bits // 8}")
    path = make(tmp_path / "radiograph", pixels, syntax, encode(np.tile(pixels, (1, 2))))

    def decode(*args, **how):
        pytest.fail("it was decoded")

    for name in ("jpeg_decode", "jpegls_decode", "jpeg2k_decode"):
        monkeypatch.setattr(imagecodecs, name, decode)
    with pytest.raises(ReadError, match=r"the compressed frame is .* but the header says 40 x 60"):
        read(path)


def _relabel(head, more):
    """A file meta group whose transfer syntax has grown by some bytes."""
    data = bytearray(head)
    (length,) = struct.unpack_from("<I", data, 140)
    struct.pack_into("<I", data, 140, length + more)
    place = data.index(b"\x02\x00\x10\x00UI") + 6
    (length,) = struct.unpack_from("<H", data, place)
    struct.pack_into("<H", data, place, length + more)
    return bytes(data)


def test_an_element_that_claims_gigabytes_takes_none(tmp_path):
    path = make(tmp_path / "radiograph", RAMP, PatientComments="x" * 20)
    data = bytearray(path.read_bytes())
    place = data.index(b"\x10\x00\x00\x40")
    data[place + 4 : place + 8] = b"UT\0\0"
    struct.pack_into("<I", data, place + 8, 0xF0000000)
    path.write_bytes(data)
    assert _refused(path)[1] < 20 << 20


@pytest.mark.parametrize("how", ["lzw", "packbits", "zstd", "jpeg", "jpeg2000"])
def test_a_strip_that_claims_gigabytes_takes_none(tmp_path, how):
    path = tmp_path / "radiograph"
    path.write_bytes(_tiff((279,), 0xF0000000, compression=how))
    said, memory = _refused(path)
    assert "a strip is longer than the file" in said
    assert memory < 20 << 20


def test_the_limit_is_the_callers(tmp_path):
    (tmp_path / "radiograph").write_bytes(imagecodecs.png_encode(GREY))
    assert read(tmp_path / "radiograph", max_pixels=2400).shape == (40, 60)
    assert (
        "claims 40 x 60 pixels, over the limit of 2,399"
        in _refused(tmp_path / "radiograph", max_pixels=2399)[0]
    )
    (tmp_path / "raw").write_bytes(bytes(4800))
    assert read(tmp_path / "raw", raw=RawLayout((40, 60)), max_pixels=2400).shape == (40, 60)
    assert "over the limit" in _refused(tmp_path / "raw", raw=RawLayout((40, 60)), max_pixels=99)[0]


def test_a_file_that_is_too_long_for_any_image_is_not_read(tmp_path):
    path = tmp_path / "radiograph"
    with path.open("wb") as file:
        file.write(b"\x89PNG\r\n\x1a\n")
        file.truncate(40 << 20)
    said, memory = _refused(path, max_pixels=1_000_000)
    assert "too many for an image of 1,000,000 pixels" in said
    assert memory < 1 << 20


def test_a_jpeg_of_hundreds_of_scans_is_refused(tmp_path):
    data = imagecodecs.jpeg_encode(GREY)
    scan = data[data.index(b"\xff\xda") : -2]
    (tmp_path / "radiograph").write_bytes(data[:-2] + scan * 600 + b"\xff\xd9")
    assert "scans" in _refused(tmp_path / "radiograph")[0]


@pytest.mark.parametrize(
    ("place", "kind", "value"),
    [(14, "<I", 32552), (10, "<I", 2990), (10, "<I", 20), (46, "<I", 60_000), (22, "<i", -400)],
)
def test_a_bmp_whose_header_leads_outside_it_is_refused(tmp_path, place, kind, value):
    """With the first of these, the decoder ended the process."""
    data = bytearray(imagecodecs.bmp_encode(GREY))
    struct.pack_into(kind, data, place, value)
    (tmp_path / "radiograph").write_bytes(data)
    with pytest.raises(ReadError, match="radiograph: damaged"):
        read(tmp_path / "radiograph")


def test_damaged_jpegs_in_dicom_end_no_process(tmp_path):
    """GDCM aborts on some of these: a whole process, or none, so a process it is."""
    frame = imagecodecs.jpeg_encode(GREY)
    for number, place in enumerate(range(2, len(frame), 7)):
        damaged = frame[:place] + b"\xff\xfe\x00\x03" + frame[place + 5 :]
        make(tmp_path / f"{number:03d}", GREY, uid.JPEGBaseline8Bit, damaged)
    code = (
        "import sys, pathlib\n"
        "from xray_seg.errors import ReadError\n"
        "from xray_seg.readers import read\n"
        "for path in sorted(pathlib.Path(sys.argv[1]).iterdir()):\n"
        "    try:\n        read(path)\n    except ReadError:\n        pass\n"
        "print('whole')"
    )
    done = subprocess.run(
        [sys.executable, "-c", code, tmp_path], capture_output=True, text=True, check=False
    )
    assert (done.returncode, done.stdout.strip()) == (0, "whole"), done.stderr


def test_mutated_files_give_a_radiograph_or_one_of_our_errors():
    done = subprocess.run(
        [sys.executable, ROOT / "benchmarks" / "fuzz.py", "--count", "250"],
        capture_output=True,
        text=True,
        check=False,
        env={**os.environ, "PYTHONPATH": str(ROOT)},
    )
    assert done.returncode == 0, done.stderr
    reports = [json.loads(line) for line in done.stdout.splitlines()]
    assert len(reports) == 9
    for report in reports:
        assert report["findings"] == []
        assert report["mutations"] == report["read"] + report["refused"] == 250
        assert report["refused"] > 0


NAME, WORD = "SMITH^JOHN", "SMITH"


def test_nothing_of_a_patient_is_in_what_is_read(tmp_path):
    path = make(
        tmp_path / "radiograph",
        RAMP,
        PatientName=NAME,
        PatientID="ID-77",
        Modality="SMITH",
        BodyPartExamined=WORD,
        ViewPosition=WORD,
        StudyInstanceUID="1.2.77",
        InstitutionName="ST SMITH",
    )
    radiograph = read(path)
    told = f"{radiograph.notes} {radiograph.format} {radiograph.source}"
    for private in (WORD, "ID-77", "1.2.77"):
        assert private not in told
    assert len(radiograph.notes) == 3


def test_nothing_of_a_patient_is_in_an_error(tmp_path):
    import pydicom

    path = make(tmp_path / "radiograph", RAMP, PatientName=NAME)
    dataset = pydicom.dcmread(path)
    dataset["Rows"].VR, dataset["Rows"]._value = "LO", WORD
    dataset.save_as(path)
    with pytest.raises(ReadError) as raised:
        read(path)
    assert WORD not in str(raised.value)


def test_identifiers_are_read_where_asked_for(tmp_path):
    path = make(tmp_path / "radiograph", RAMP, PatientID="ID-77", StudyInstanceUID="1.2.77")
    ids = read_ids(path)
    assert ids["patient_id"] == "ID-77"
    assert ids["study_instance_uid"] == "1.2.77"
    assert ids["sop_instance_uid"].startswith("1.2.")
    assert ids["series_instance_uid"] == ""
    (tmp_path / "png").write_bytes(imagecodecs.png_encode(GREY))
    assert read_ids(tmp_path / "png") == {}
