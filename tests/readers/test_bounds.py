"""Files that claim more than they hold are refused within bounds of memory and time."""

import io
import re
import struct
import time
import tracemalloc
import zlib
from pathlib import Path

import imagecodecs
import numpy as np
import pytest
import tifffile
from PIL import Image

from helpers import tiff
from helpers.dicom import RAMP, deflate, make
from xray_seg.errors import ReadError
from xray_seg.readers import RawLayout, read, read_ids
from xray_seg.readers.dicom_file import GuardedFile
from xray_seg.readers.label_map import read_labels
from xray_seg.readers.limits import Budget, plain_int

GREY = RAMP.astype(np.uint8)
ROWS, COLUMNS = GREY.shape
LONG, SHORT = tiff.LONG, tiff.SHORT


def refused(call, *args, **how):
    """The message of a call's ReadError; it may take 20 MiB and 2 s."""
    tracemalloc.start()
    began = time.perf_counter()
    try:
        with pytest.raises(ReadError) as raised:
            call(*args, **how)
        assert tracemalloc.get_traced_memory()[1] < 20 << 20
        assert time.perf_counter() - began < 2
        return str(raised.value)
    finally:
        tracemalloc.stop()


def _many(code, count, kind=LONG):
    return {f"t{code}": (kind, [1] * count)}


TIFFS = {
    "a row per strip": (tiff.tags(16_700_000, 1, t278=(LONG, [1])), "strips or tiles"),
    "a row per strip, all pixels": (tiff.tags(99_999_999, 1, t278=(LONG, [1])), "strips or tiles"),
    "fewer strips": (tiff.tags(40, 60, t278=(LONG, [1])), r"has 1 of 40 strips"),
    "tiles of a pixel": (
        tiff.tags(9000, 9000, t322=(SHORT, [1]), t323=(SHORT, [1])),
        "claims 81,000,000 strips",
    ),
    "a width of many values": (tiff.tags(40, 60, **_many(256, 1000)), "tag 256 has 1,000 values"),
    "two widths in one tag": (tiff.tags(40, 60, **_many(256, 2)), "width is not one integer"),
    "a width that is there twice": (
        tiff.tags(40, 60) | {256: [(LONG, [60]), (LONG, [2**31 - 1])]},
        "tag 256 is there twice",
    ),
    "a height of none": (tiff.tags(0, 60), "height is 0"),
    "a width of fractions": (tiff.tags(40, 60, t256=(5, [(60, 1)])), "no integers"),
    "no width": ({k: v for k, v in tiff.tags(40, 60).items() if k != 256}, "width is missing"),
    "strips of no rows": (tiff.tags(40, 60, t278=(LONG, [0])), "rows per strip is 0"),
    "a tile without height": (tiff.tags(40, 60, t322=(SHORT, [16])), "tile height is missing"),
    "a depth": (tiff.tags(40, 60, t32997=(LONG, [60_000])), "depth is 60000"),
    "many samples": (tiff.tags(10, 10, t277=(SHORT, [65535])), "65535 samples a pixel"),
    "no pixels of many": (tiff.tags(9000, 9000), "fewer pixels|longer than the file"),
    "a strip outside": (tiff.tags(40, 60, t273=(LONG, [2**31])), "lies outside"),
    "a strip of no bytes": (tiff.tags(40, 60, t279=(LONG, [0])), "has no data"),
    "a strip at no place": (tiff.tags(40, 60, t273=(LONG, [0])), "has no data"),
    "no strips": ({k: v for k, v in tiff.tags(40, 60).items() if k != 273}, "has no pixels"),
    "a microscope's": (tiff.tags(40, 60, t34412=(1, [1] * 500)), "a microscope's TIFF"),
    "CMYK": (tiff.tags(40, 60, t262=(SHORT, [5])), "CMYK"),
    "CIELab": (tiff.tags(40, 60, t262=(SHORT, [8])), "colour space 8"),
    "overlapping strips": (
        tiff.tags(40, 60, t278=(LONG, [1]), t273=(LONG, ["pixels"] * 40), t279=(LONG, [2000] * 40)),
        "overlap",
    ),
}


@pytest.mark.parametrize("call", [read, read_labels])
@pytest.mark.parametrize("kind", TIFFS)
def test_a_tiff_whose_tags_are_odd_is_refused(tmp_path, kind, call):
    entries, words = TIFFS[kind]
    path = tiff.write(tmp_path / "radiograph.tif", entries, bytes(ROWS * COLUMNS))
    message = refused(call, path)
    assert message.startswith(f"{path}: ")
    assert re.search(words, message), message


def test_the_tiff_that_the_others_are_made_of_is_read(tmp_path):
    path = tiff.write(tmp_path / "radiograph.tif", tiff.tags(ROWS, COLUMNS), GREY.tobytes())
    np.testing.assert_array_equal(read(path).pixels, GREY)
    assert len(path.read_bytes()) < 3000
    strips = tiff.tags(
        ROWS,
        COLUMNS,
        t278=(LONG, [1]),
        t273=(LONG, [122 + 8 * ROWS + 60 * row for row in range(ROWS)]),
        t279=(LONG, [60] * ROWS),
    )
    path = tiff.write(tmp_path / "strips.tif", strips, GREY.tobytes())
    np.testing.assert_array_equal(read(path).pixels, GREY)


def test_strips_up_to_the_limit_are_read_in_time(tmp_path):
    pixels = np.zeros((Budget.max_segments, 2), np.uint8)
    path = tmp_path / "radiograph.tif"
    tifffile.imwrite(path, pixels, rowsperstrip=1, compression="packbits")
    began = time.perf_counter()
    assert read(path).shape == pixels.shape
    assert time.perf_counter() - began < 30


def test_a_jpeg_in_a_tiff_is_no_larger_than_its_strip(tmp_path):
    frame = imagecodecs.jpeg_encode(np.zeros((3000, 3000), np.uint8))
    entries = tiff.tags(ROWS, COLUMNS, t259=(SHORT, [7]), t279=(LONG, [len(frame)]))
    path = tiff.write(tmp_path / "radiograph.tif", entries, frame)
    assert "a compressed strip is 3000 x 3000 pixels" in refused(read, path)


def _stack(samples):
    return np.stack([GREY] * samples, axis=2)


def _written(encode):
    return lambda path, samples: path.write_bytes(encode(_stack(samples)))


def _write_tiff(planar):
    def write(path, samples):
        pixels = _stack(samples)
        tifffile.imwrite(
            path,
            pixels if planar == "contig" else np.moveaxis(pixels, 2, 0),
            photometric="rgb" if samples >= 3 else "minisblack",
            planarconfig=planar,
        )

    return write


def _write_palette(path, samples):
    colours = {}
    for colour in ("Red", "Green", "Blue"):
        colours[f"{colour}PaletteColorLookupTableDescriptor"] = [256, 0, 8]
        colours[f"{colour}PaletteColorLookupTableData"] = bytes(range(256))
    make(path, GREY, PhotometricInterpretation="PALETTE COLOR", **colours)


def _write_in_tiff(path, samples):
    """A JPEG of more samples than the TIFF around it says."""
    frame = imagecodecs.jpeg_encode(_stack(samples))
    path.write_bytes(b"")
    tiff.write(path, tiff.tags(ROWS, COLUMNS, t259=(SHORT, [7]), t279=(LONG, [len(frame)])), frame)


#: Writer and samples per pixel of images of 40 x 60 pixels.
SAMPLES = {
    "PNG, grey and alpha": (_written(imagecodecs.png_encode), 2),
    "PNG, RGB": (_written(imagecodecs.png_encode), 3),
    "PNG, RGBA": (_written(imagecodecs.png_encode), 4),
    "JPEG": (_written(imagecodecs.jpeg_encode), 3),
    "JPEG 2000, 5 samples": (_written(imagecodecs.jpeg2k_encode), 5),
    "TIFF, pixel by pixel": (_write_tiff("contig"), 3),
    "TIFF, plane by plane": (_write_tiff("separate"), 3),
    "TIFF, 5 samples": (_write_tiff("contig"), 5),
    "TIFF, 5 planes": (_write_tiff("separate"), 5),
    "JPEG in a TIFF": (_write_in_tiff, 3),
    "DICOM, RGB": (lambda path, samples: make(path, _stack(samples)), 3),
    "DICOM, palette": (_write_palette, 3),
}


@pytest.mark.parametrize("kind", SAMPLES)
def test_the_limit_of_pixels_counts_every_sample(tmp_path, kind):
    """Memory is taken for samples, also for those that are not looked at."""
    write, samples = SAMPLES[kind]
    path = tmp_path / "radiograph"
    write(path, samples)
    total = ROWS * COLUMNS * samples
    message = refused(read, path, max_pixels=total - 1)
    assert f"claims 40 x 60 x {samples} pixels, over the limit of {total - 1:,}" in message
    assert "raise the limit with --max-pixels N" in message
    try:
        assert read(path, max_pixels=total).shape == (ROWS, COLUMNS)
    except ReadError as error:
        assert samples == 5 or kind == "JPEG in a TIFF"
        assert "over the limit" not in str(error)  # noqa: PT017


@pytest.mark.parametrize("frames", [1, 3])
@pytest.mark.parametrize("size", [(40, 60), (60, 40)])
def test_the_limit_of_pixels_counts_every_frame_of_a_gif(tmp_path, frames, size):
    """A decoder holds all of them as red, green and blue; tables of colours lie between them."""
    path = tmp_path / "radiograph.gif"
    images = []
    for number in range(frames):
        image = Image.new("P", size)
        image.putpalette([(number + 1) * each % 256 for each in range(768)])
        image.putdata([(number * 7 + each) % 256 for each in range(size[0] * size[1])])
        images.append(image)
    images[0].save(path, save_all=True, append_images=images[1:])
    total = 40 * 60 * 3 * frames
    assert "over the limit" in refused(read, path, max_pixels=total - 1)
    assert read(path, max_pixels=total).shape == size[::-1]


@pytest.mark.parametrize("mode", ["L", "RGB"])
def test_the_limit_of_pixels_counts_a_bmp_as_colours(tmp_path, mode):
    path = tmp_path / "radiograph.bmp"
    Image.fromarray(GREY).convert(mode).save(path)
    total = ROWS * COLUMNS * 3
    assert "claims 40 x 60 x 3 pixels" in refused(read, path, max_pixels=total - 1)
    assert read(path, max_pixels=total).shape == GREY.shape


def test_planes_that_lie_apart_must_all_be_there(tmp_path):
    strip = ROWS * COLUMNS
    entries = tiff.tags(
        ROWS,
        COLUMNS,
        t258=(SHORT, [8, 8, 8]),
        t262=(SHORT, [2]),
        t277=(SHORT, [3]),
        t284=(SHORT, [2]),
        t273=(LONG, [300, 1200, 2100]),
        t279=(LONG, [strip // 3] * 3),
    )
    path = tiff.write(tmp_path / "radiograph.tif", entries, bytes(2 * strip))
    assert "fewer pixels" in refused(read, path)


def test_a_file_in_memory_may_be_as_long_as_one_on_disk(tmp_path):
    path = tmp_path / "radiograph.tif"
    tifffile.imwrite(path, GREY)
    with path.open("r+b") as file:
        file.truncate(40 << 20)
    assert "too many for an image" in refused(read, path, max_pixels=1_000_000)
    data = path.read_bytes()
    for source in (data, bytearray(data), memoryview(data)):
        assert "too many for an image" in refused(read, source, max_pixels=1_000_000)
    with path.open("rb") as file:
        tracemalloc.start()
        with pytest.raises(ReadError, match="too many for an image"):
            read(file, max_pixels=10_000)
        assert tracemalloc.get_traced_memory()[1] < 40 << 20
        tracemalloc.stop()


def test_an_open_file_that_never_ends_is_refused():
    class Endless(io.RawIOBase):
        def readable(self):
            return True

        def readinto(self, buffer):
            buffer[:] = bytes(len(buffer))
            return len(buffer)

    with pytest.raises(ReadError, match="too many for an image"):
        read(Endless(), max_pixels=10_000)


def test_a_png_that_is_long_for_its_claim_is_refused(tmp_path):
    path = tmp_path / "radiograph.png"
    path.write_bytes(imagecodecs.png_encode(GREY) + bytes(17 << 20))
    with pytest.raises(ReadError, match=r"radiograph\.png: .* too many for the 2,400 samples"):
        read(path)


def test_a_progressive_jpeg_of_many_scans_is_refused(tmp_path):
    """A scan of a kilobyte took 0.07 s of 100 million pixels; there were up to 500."""
    buffer = io.BytesIO()
    Image.fromarray(GREY).save(buffer, "JPEG", progressive=True)
    data = buffer.getvalue()
    path = tmp_path / "radiograph.jpg"
    path.write_bytes(data)
    assert read(path).shape == GREY.shape
    path.write_bytes(data[:-2] + data[data.rindex(b"\xff\xda") : -2] * 40 + b"\xff\xd9")
    assert "more than 40 scans" in refused(read, path)


def test_a_gif_of_thousands_of_frames_is_refused(tmp_path):
    data = imagecodecs.gif_encode(np.zeros((1, 1), np.uint8))
    start = data.rindex(b"\x2c\0\0\0\0")
    (tmp_path / "radiograph").write_bytes(data[:start] + data[start:-1] * 10_001 + b";")
    assert "more frames" in refused(read, tmp_path / "radiograph")


@pytest.mark.parametrize("preamble", [True, False])
@pytest.mark.parametrize("blank", ["", " ", "  "])
def test_a_deflated_dicom_file_inflates_within_bounds(tmp_path, preamble, blank):
    """pydicom strips a UID, and reads files without a preamble."""
    path = make(tmp_path / "radiograph", RAMP)
    deflate(path, bytes(20 << 20), preamble=preamble, blank=blank)
    assert "inflates to more bytes" in refused(read, path, max_pixels=1_000_000)
    deflate(make(path, RAMP), preamble=preamble, blank=blank)
    np.testing.assert_array_equal(read(path).pixels, RAMP)


def test_identifiers_are_read_within_bounds(tmp_path):
    path = make(tmp_path / "radiograph", RAMP, PatientID="ID-77")
    deflate(path)
    assert read_ids(path)["patient_id"] == "ID-77"
    deflate(make(path, RAMP), bytes(20 << 20))
    refused(read_ids, path, max_pixels=1_000_000)
    assert read_ids(path, max_pixels=3_000_000)["patient_id"] == ""


@pytest.mark.parametrize(
    ("attributes", "words"),
    [
        ({"Rows": [40, 60]}, "number of rows is not one integer"),
        ({"Columns": [60] * 30}, "number of columns is not one integer"),
        ({"SamplesPerPixel": [1, 1]}, "samples per pixel is not one integer"),
        ({"SamplesPerPixel": 65535}, "samples per pixel is 65535"),
        ({"Rows": 0}, "number of rows is 0"),
        ({"NumberOfFrames": "99999999999"}, "frames"),
        ({"NumberOfFrames": "10001"}, "claims 10,001 frames"),
        ({"NumberOfFrames": "-1"}, "number of frames is -1"),
        ({"NumberOfFrames": ["1", "2"]}, "number of frames is not one integer"),
        ({"BitsAllocated": 65528}, "bits allocated is 65528"),
        ({"BitsAllocated": [16, 16]}, "bits allocated is not one integer"),
    ],
)
def test_a_dicom_header_of_odd_numbers_is_refused(tmp_path, attributes, words):
    path = make(tmp_path / "radiograph", RAMP, **attributes)
    assert words in refused(read, path)


def test_a_segmented_palette_is_refused(tmp_path):
    """A segment of six bytes stands for 65535 colours."""
    colours = {}
    for colour in ("Red", "Green", "Blue"):
        colours[f"{colour}PaletteColorLookupTableDescriptor"] = [65535, 0, 16]
        colours[f"Segmented{colour}PaletteColorLookupTableData"] = (
            struct.pack("<3H", 1, 65535, 9) * 500
        )
    path = make(tmp_path / "radiograph", GREY, PhotometricInterpretation="PALETTE COLOR", **colours)
    assert "segmented palettes are not supported" in refused(read, path)


def test_a_raw_layout_is_checked_for_its_size(tmp_path):
    (tmp_path / "raw").write_bytes(bytes(4800))
    message = refused(read, tmp_path / "raw", raw=RawLayout((40, 60)), max_pixels=2399)
    assert "claims 40 x 60 pixels" in message


@pytest.mark.parametrize("value", [(3, 3), [3], "3", None, 3.0, True, -1, 11, b"3"])
def test_only_one_integer_in_range_is_a_number(value):
    with pytest.raises(ValueError, match="its width is"):
        plain_int(value, "width", 0, 10)
    with pytest.raises((ValueError, ReadError)):
        Budget(max_samples=10).check_claim("a", 1, value, 1)


def test_a_budget_bounds_what_is_inflated():
    """Data that is not deflated is left to pydicom to refuse."""
    file = GuardedFile(Path("a"), b"no deflated data", Budget())
    assert file.read() == b"no deflated data"
    packed = zlib.compress(bytes(3 << 20), wbits=-15)
    file = GuardedFile(Path("a"), packed, Budget(max_samples=1))
    with pytest.raises(ReadError, match="inflates to more bytes"):
        file.read()
