import os

import imagecodecs
import numpy as np
import pytest
import tifffile
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from xray_seg.errors import NotARadiograph, ReadError
from xray_seg.readers import RawLayout, read
from xray_seg.readers.raster import to_grey
from xray_seg.readers.raw import JSRT

RELAXED = settings(
    deadline=None,
    max_examples=60,
    suppress_health_check=[HealthCheck.function_scoped_fixture],
)

LOSSLESS = {
    "png": imagecodecs.png_encode,
    "tiff": None,
    "jpeg2k": lambda pixels: imagecodecs.jpeg2k_encode(pixels, reversible=True, codecformat="jp2"),
}


def save(path, pixels, kind):
    if kind == "tiff":
        tifffile.imwrite(path, pixels)
    else:
        path.write_bytes(LOSSLESS[kind](pixels))
    return path


@RELAXED
@given(st.data(), st.sampled_from(sorted(LOSSLESS)), st.sampled_from([np.uint8, np.uint16]))
def test_lossless_grey_comes_back(tmp_path, data, kind, dtype):
    shape = data.draw(st.integers(1, 40)), data.draw(st.integers(1, 40))
    pixels = data.draw(hnp.arrays(dtype, shape))
    radiograph = read(save(tmp_path / "radiograph.anything", pixels, kind))
    assert radiograph.pixels.dtype == dtype
    np.testing.assert_array_equal(radiograph.pixels, pixels)
    assert radiograph.source == str(tmp_path / "radiograph.anything")
    assert radiograph.inverted is None
    assert radiograph.shape == shape


@pytest.mark.parametrize("suffix", [".img", ".txt", ".dcm", ""])
@pytest.mark.parametrize("kind", ["png", "tiff"])
def test_a_suffix_is_never_trusted(tmp_path, suffix, kind):
    pixels = np.arange(600, dtype=np.uint16).reshape(20, 30)
    np.testing.assert_array_equal(
        read(save(tmp_path / f"radiograph{suffix}", pixels, kind)).pixels, pixels
    )


def test_lossy_and_palette_formats(tmp_path):
    ramp = np.tile(np.linspace(0, 255, 64).astype(np.uint8), (48, 1))
    for name, encode in (
        ("JPEG", lambda pixels: imagecodecs.jpeg_encode(pixels, level=95)),
        ("GIF", imagecodecs.gif_encode),
        ("BMP", imagecodecs.bmp_encode),
    ):
        (tmp_path / "radiograph").write_bytes(encode(ramp))
        radiograph = read(tmp_path / "radiograph")
        assert radiograph.format == name
        assert np.abs(radiograph.pixels.astype(int) - ramp).max() <= 3


def test_one_bit_and_white_is_zero_tiffs(tmp_path):
    pixels = np.random.default_rng(2).integers(0, 2, (32, 40)).astype(bool)
    tifffile.imwrite(tmp_path / "bits.tif", pixels, photometric="minisblack")
    np.testing.assert_array_equal(read(tmp_path / "bits.tif").pixels, pixels)
    grey = np.arange(200, dtype=np.uint8).reshape(10, 20)
    tifffile.imwrite(tmp_path / "white.tif", grey, photometric="miniswhite")
    radiograph = read(tmp_path / "white.tif")
    assert radiograph.inverted is True
    np.testing.assert_array_equal(radiograph.pixels, grey)


@pytest.mark.parametrize("big", [False, True])
@pytest.mark.parametrize("order", ["<", ">"])
def test_all_four_tiff_signatures(tmp_path, big, order):
    pixels = np.arange(600, dtype=np.uint16).reshape(20, 30)
    tifffile.imwrite(tmp_path / "radiograph.tif", pixels, bigtiff=big, byteorder=order)
    np.testing.assert_array_equal(read(tmp_path / "radiograph.tif").pixels, pixels)


def test_of_several_pages_the_first(tmp_path):
    pages = np.random.default_rng(0).integers(0, 256, (3, 20, 30)).astype(np.uint8)
    tifffile.imwrite(tmp_path / "pages.tif", pages, photometric="minisblack")
    np.testing.assert_array_equal(read(tmp_path / "pages.tif").pixels, pages[0])


def test_colour_becomes_luma(tmp_path):
    pixels = np.random.default_rng(0).integers(0, 256, (9, 11, 3)).astype(np.uint8)
    grey = read(save(tmp_path / "radiograph", pixels, "png")).pixels
    slow = [[round(0.299 * r + 0.587 * g + 0.114 * b) for r, g, b in row] for row in pixels]
    assert grey.dtype == np.uint8
    assert np.abs(grey.astype(int) - slow).max() <= 1
    assert (grey == slow).mean() > 0.98  # halves may round either way


@pytest.mark.parametrize("channels", [1, 2, 3, 4])
@pytest.mark.parametrize("dtype", [np.uint8, np.uint16])
def test_grey_in_colour_channels_is_untouched(tmp_path, channels, dtype):
    """Alpha, if there is one, is dropped, and equal channels are not rounded."""
    plane = np.random.default_rng(0).integers(0, np.iinfo(dtype).max, (9, 11)).astype(dtype)
    pixels = np.stack([plane] * min(channels, 3), axis=2)
    if channels in (2, 4):
        pixels[..., -1:] = np.iinfo(dtype).max
        colours = [plane] * (channels - 1) + [np.full_like(plane, np.iinfo(dtype).max)]
        pixels = np.stack(colours, axis=2)
    np.testing.assert_array_equal(read(save(tmp_path / "radiograph", pixels, "png")).pixels, plane)


def test_to_grey_refuses():
    for pixels, words in (
        (np.zeros(5, np.uint8), "is not an image"),
        (np.zeros((0, 5), np.uint8), "is not an image"),
        (np.zeros((4, 5), np.int32), "int32 pixels"),
        (np.full((4, 5), np.nan, np.float32), "NaN"),
        (np.full((4, 5), np.inf), "infinite"),
    ):
        with pytest.raises(ReadError, match=f"here: .*{words}"):
            to_grey(pixels, "here")


def write_raw(path, pixels, header=b""):
    path.write_bytes(header + pixels.tobytes())
    return path


def test_jsrt_radiograph(tmp_path):
    pixels = np.random.default_rng(0).integers(0, 4096, JSRT.shape).astype(">u2")
    radiograph = read(write_raw(tmp_path / "JPCLN001.IMG", pixels))
    assert (radiograph.format, radiograph.inverted, radiograph.spacing) == (
        "JSRT raw",
        True,
        (0.175, 0.175),
    )
    np.testing.assert_array_equal(radiograph.pixels, pixels)


def test_a_real_jsrt_radiograph_has_outliers(tmp_path):
    pixels = np.full(JSRT.shape, 2000, ">u2")
    pixels[:, :6] = 65535
    assert read(write_raw(tmp_path / "radiograph", pixels)).pixels.max() == 65535


def test_another_file_of_the_same_length(tmp_path):
    pixels = np.random.default_rng(0).integers(0, 65536, JSRT.shape).astype(">u2")
    path = write_raw(tmp_path / "other.bin", pixels)
    with pytest.raises(NotARadiograph, match=r"other\.bin.*12-bit"):
        read(path)
    layout = RawLayout(JSRT.shape, ">u2", 0, inverted=False)
    np.testing.assert_array_equal(read(path, raw=layout).pixels, pixels)


@pytest.mark.parametrize("dtype", [">u2", "<u2", "u1"])
def test_raw_of_another_shape(tmp_path, dtype):
    pixels = np.random.default_rng(0).integers(0, 256, (30, 50)).astype(dtype)
    path = write_raw(tmp_path / "radiograph.raw", pixels, b"header!")
    radiograph = read(path, raw=RawLayout((30, 50), dtype, 7, inverted=False, spacing=0.2))
    np.testing.assert_array_equal(radiograph.pixels, pixels)
    assert (radiograph.format, radiograph.inverted, radiograph.spacing) == (
        "raw",
        False,
        (0.2, 0.2),
    )


@pytest.mark.parametrize("length", [1, 4000, JSRT.length - 1, JSRT.length + 1])
def test_truncated_radiographs_say_what_was_expected(tmp_path, length):
    path = tmp_path / "cut.IMG"
    with path.open("wb") as file:
        file.truncate(length)
    with pytest.raises(ReadError, match=r"cut\.IMG: [\d,]+ bytes, but 2048 x 2048.*--raw-shape"):
        read(path)


@pytest.mark.parametrize(
    ("name", "content", "words"),
    [
        ("empty.png", b"", "is empty"),
        ("notes.txt", b"heart enlarged?\n", "a text file"),
        ("report", b"%PDF-1.7 ...", "a PDF document"),
        ("radiographs", b"PK\x03\x04rest", "a zip archive"),
        ("radiograph.dcm", bytes(128) + b"DICM" + bytes(20), "DICOM"),
        ("data.bin", bytes(range(256)), "a file of unknown kind"),
    ],
)
def test_what_is_no_radiograph(tmp_path, name, content, words):
    (tmp_path / name).write_bytes(content)
    with pytest.raises(NotARadiograph, match=f"{name}: .*{words}"):
        read(tmp_path / name)


@RELAXED
@given(st.sampled_from(["png", "tiff", "jpeg2k"]), st.integers(0, 2**32), st.data())
def test_damaged_images_never_pass_or_escape(tmp_path, kind, seed, data):
    """Cut anywhere: a ReadError that names the file, or the whole picture, never anything else."""
    pixels = np.random.default_rng(seed).integers(0, 256, (30, 30)).astype(np.uint8)
    whole = save(tmp_path / "whole", pixels, kind).read_bytes()
    path = tmp_path / "cut"
    path.write_bytes(whole[: data.draw(st.integers(1, len(whole) - 1))])
    try:
        radiograph = read(path)
    except ReadError as error:
        assert str(path) in str(error)  # noqa: PT017 - the picture may as well be whole
    else:
        assert radiograph.pixels.shape == pixels.shape


@RELAXED
@given(
    st.binary(max_size=400), st.sampled_from([b"", b"\x89PNG\r\n\x1a\n", b"\xff\xd8\xff", b"II*\0"])
)
def test_any_bytes_are_refused_by_name(tmp_path, content, start):
    path = tmp_path / "fuzz"
    path.write_bytes(start + content)
    with pytest.raises(ReadError, match="fuzz"):
        read(path)


def test_what_cannot_be_opened(tmp_path):
    (tmp_path / "x.png").mkdir()
    with pytest.raises(NotARadiograph, match="is a folder"):
        read(tmp_path / "x.png")
    with pytest.raises(ReadError, match=r"gone\.png: No such file"):
        read(tmp_path / "gone.png")
    os.mkfifo(tmp_path / "pipe")
    with pytest.raises(NotARadiograph, match="pipe"):
        read(tmp_path / "pipe")
    (tmp_path / "loop").symlink_to("loop")
    with pytest.raises(ReadError, match="loop"):
        read(tmp_path / "loop")


@pytest.mark.parametrize("share", [0.5, 0.9, 0.99])
def test_a_truncated_jpeg_is_not_filled_in(tmp_path, share):
    ramp = np.add.outer(np.arange(256), np.arange(256)).astype(np.uint8)
    noise = np.random.default_rng(0).integers(0, 40, ramp.shape, np.uint8)
    whole = imagecodecs.jpeg_encode(ramp + noise, level=90)
    path = tmp_path / "radiograph.jpg"
    path.write_bytes(whole + b"trailing litter")
    assert read(path).shape == (256, 256)
    path.write_bytes(whole[: int(share * len(whole))])
    with pytest.raises(ReadError, match=r"radiograph\.jpg: .*truncated"):
        read(path)


def test_a_palette_tiff_is_looked_up_and_inks_are_refused(tmp_path):
    indices = (np.arange(600) % 256).astype(np.uint8).reshape(20, 30)
    table = np.linspace(65535, 0, 256).astype(np.uint16)
    tifffile.imwrite(
        tmp_path / "palette.tif", indices, photometric="palette", colormap=np.stack([table] * 3)
    )
    np.testing.assert_array_equal(read(tmp_path / "palette.tif").pixels, table[indices])
    inks = np.zeros((20, 30, 4), np.uint8)
    tifffile.imwrite(tmp_path / "inks.tif", inks, photometric="separated")
    with pytest.raises(ReadError, match="CMYK"):
        read(tmp_path / "inks.tif")


def test_a_raw_radiograph_of_unknown_polarity_is_looked_at(tmp_path):
    path = write_raw(tmp_path / "radiograph.raw", np.zeros((30, 50), "<u2"))
    assert read(path, raw=RawLayout((30, 50), "<u2")).inverted is None
