"""Pixels that decoders return in another order or meaning than grey rows and columns."""

import io

import imagecodecs
import numpy as np
import pytest
import tifffile
from PIL import Image

from helpers import tiff
from helpers.dicom import RAMP, make
from xray_seg.errors import ReadError
from xray_seg.preprocessing.preprocessor import Preprocessor
from xray_seg.readers import read
from xray_seg.readers.raster import HIGHEST_FLOAT, to_grey

GREY = RAMP.astype(np.uint8)


@pytest.mark.parametrize("planar", ["contig", "separate"])
def test_a_tiff_of_five_samples_is_refused(tmp_path, planar):
    path = tmp_path / "radiograph.tif"
    pixels = np.zeros((64, 64, 5) if planar == "contig" else (5, 64, 64), np.uint8)
    tifffile.imwrite(path, pixels, photometric="minisblack", planarconfig=planar)
    with pytest.raises(ReadError, match=r"radiograph\.tif: has 5 samples a pixel; convert it to"):
        read(path)


def test_an_array_of_five_samples_is_refused():
    with pytest.raises(ReadError, match="has 5 samples a pixel"):
        to_grey(np.zeros((64, 64, 5), np.uint8))
    assert to_grey(np.zeros((5, 64, 64), np.uint8)).shape == (64, 64)  # frames


def test_a_jpeg_2000_of_five_components_is_refused(tmp_path):
    pixels = np.zeros((64, 64, 5), np.uint8)
    path = tmp_path / "radiograph.jp2"
    path.write_bytes(imagecodecs.jpeg2k_encode(pixels, reversible=True, codecformat="jp2"))
    with pytest.raises(ReadError, match=r"radiograph\.jp2: .*5 samples a pixel"):
        read(path)


@pytest.mark.parametrize("shape", [(40, 60), (40, 3), (3, 60)])
def test_separate_colours_become_luma(tmp_path, shape):
    """The last axis of separate colours is the width, even if it is 3."""
    colours = np.random.default_rng(0).integers(0, 256, (*shape, 3)).astype(np.uint8)
    together, separate = tmp_path / "together.tif", tmp_path / "separate.tif"
    tifffile.imwrite(together, colours, photometric="rgb")
    planes = np.ascontiguousarray(np.moveaxis(colours, -1, 0))
    tifffile.imwrite(separate, planes, photometric="rgb", planarconfig="separate")
    np.testing.assert_array_equal(read(separate).pixels, read(together).pixels)


@pytest.mark.parametrize("columns", [1, 2, 3, 4, 5])
def test_a_narrow_tiff_keeps_its_axes(tmp_path, columns):
    path = tmp_path / "radiograph.tif"
    pixels = GREY[:, :columns]
    tifffile.imwrite(path, pixels, photometric="minisblack")
    np.testing.assert_array_equal(read(path).pixels, pixels)


def test_of_ycbcr_the_luma_is_taken(tmp_path):
    colours = np.stack([GREY, np.full_like(GREY, 30), np.full_like(GREY, 200)], axis=2)
    entries = tiff.tags(
        *GREY.shape,
        t258=(3, [8, 8, 8]),
        t262=(3, [6]),
        t277=(3, [3]),
        t279=(4, [colours.nbytes]),
        t530=(3, [1, 1]),
    )
    path = tiff.write(tmp_path / "radiograph.tif", entries, colours.tobytes())
    np.testing.assert_array_equal(read(path).pixels, GREY)


def test_a_tiff_that_does_not_say_what_white_is_has_no_polarity(tmp_path):
    entries = {code: value for code, value in tiff.tags(*GREY.shape).items() if code != 262}
    path = tiff.write(tmp_path / "radiograph.tif", entries, GREY.tobytes())
    assert read(path).inverted is None


@pytest.mark.parametrize("value", [3.4e38, -3.4e38, 1e16])
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_floats_that_are_no_grey_values_are_refused(tmp_path, dtype, value):
    pixels = np.add.outer(np.arange(64), np.arange(64)).astype(dtype)
    pixels[:30] = value
    path = tmp_path / "radiograph.tif"
    tifffile.imwrite(path, pixels)
    with pytest.raises(ReadError, match=r"radiograph\.tif: .* are no grey values; replace"):
        read(path)


def test_the_highest_floats_give_a_grid(tmp_path):
    pixels = np.linspace(-HIGHEST_FLOAT, HIGHEST_FLOAT, 64 * 64).reshape(64, 64)
    for dtype in (np.float32, np.float64):
        tifffile.imwrite(tmp_path / "radiograph.tif", (pixels * 0.999).astype(dtype))
        grid = Preprocessor(16)(read(tmp_path / "radiograph.tif")).grid
        assert np.isfinite(grid).all()
        assert np.ptp(grid) == 1


def test_a_rescaled_dicom_file_is_held_to_the_same(tmp_path):
    path = make(tmp_path / "radiograph", RAMP, RescaleSlope="1e30", RescaleIntercept="0")
    with pytest.raises(ReadError, match="are no grey values"):
        read(path)


INKS = {
    "black": lambda ramp, none: [none, none, none, ramp],
    "cyan, magenta, yellow": lambda ramp, none: [ramp, ramp, ramp, none],
    "all": lambda ramp, none: [ramp, ramp // 2, ramp // 3, ramp // 4],
}


@pytest.mark.parametrize("mark", ["inks", "converted inks", None])
@pytest.mark.parametrize("inks", INKS)
def test_the_inks_of_a_jpeg_become_grey(tmp_path, inks, mark):
    """Pillow, as another reader, decides; a file of black ink alone was read as a flat picture."""
    ramp = np.tile(np.arange(0, 256, 4, dtype=np.uint8), (48, 1))
    pixels = np.stack(INKS[inks](ramp, np.zeros_like(ramp)), axis=2)
    buffer = io.BytesIO()
    Image.fromarray(pixels, "CMYK").save(buffer, "JPEG", quality=98)
    data = bytearray(buffer.getvalue())
    start = data.index(b"\xff\xee\x00\x0eAdobe")
    if mark is None:
        del data[start : start + 16]
    elif mark == "converted inks":  # the inks are YCCK
        data[start + 15] = 2
    path = tmp_path / "radiograph.jpg"
    path.write_bytes(data)
    radiograph = read(path)
    with Image.open(path) as image:
        expected = np.asarray(image.convert("RGB").convert("L"))
    assert radiograph.pixels.dtype == np.uint8
    assert np.abs(radiograph.pixels.astype(int) - expected).max() <= 2
    assert np.ptp(radiograph.pixels) > 50
