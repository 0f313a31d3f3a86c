"""DICOM files of every photometric interpretation and transfer syntax, ours and pydicom's."""

import warnings

import numpy as np
import pytest
from pydicom import Dataset, uid
from pydicom.pixels import pixel_array

from helpers.dicom import COMPRESSED, FILES, RAMP, make
from xray_seg.errors import NotARadiograph, ReadError
from xray_seg.preprocessing.preprocessor import Preprocessor
from xray_seg.readers import read


@pytest.mark.parametrize("name", ["radiograph.dcm", "1.2.840.113.7", "FILM", "radiograph.png"])
def test_a_radiograph_whatever_its_name(tmp_path, name):
    radiograph = read(make(tmp_path / name, RAMP, BitsStored=12, PixelSpacing=[0.2, 0.1]))
    np.testing.assert_array_equal(radiograph.pixels, RAMP)
    assert (radiograph.inverted, radiograph.spacing, radiograph.format) == (
        False,
        (0.2, 0.1),
        "DICOM DX",
    )
    assert radiograph.notes == ()


def test_a_file_without_preamble(tmp_path):
    radiograph = read(make(tmp_path / "radiograph", RAMP, preamble=False))
    np.testing.assert_array_equal(radiograph.pixels, RAMP)


def test_a_file_that_is_a_tiff_as_well(tmp_path):
    """PS3.10, section 7.1: the preamble may hold the header of another format."""
    path = make(tmp_path / "radiograph", RAMP)
    data = path.read_bytes()
    path.write_bytes(b"II*\0\xe8\x05\x08\0" + data[8:])
    np.testing.assert_array_equal(read(path).pixels, RAMP)


@pytest.mark.parametrize("kind", COMPRESSED)
def test_compressed_radiographs(tmp_path, kind):
    syntax, encode, bits = COMPRESSED[kind]
    pixels = RAMP.astype(f"u{bits // 8}")
    radiograph = read(make(tmp_path / "radiograph", pixels, syntax, encode(pixels)))
    assert radiograph.pixels.dtype == pixels.dtype
    off = np.abs(radiograph.pixels.astype(int) - pixels).max()
    assert off <= (2 if kind == "jpeg baseline" else 0)


@pytest.mark.parametrize("syntax", [uid.RLELossless, uid.DeflatedExplicitVRLittleEndian])
def test_radiographs_that_pydicom_compresses(tmp_path, syntax):
    import pydicom

    path = make(tmp_path / "radiograph", RAMP)
    dataset = pydicom.dcmread(path)
    if syntax == uid.RLELossless:
        dataset.compress(syntax, generate_instance_uid=False)
    else:
        dataset.file_meta.TransferSyntaxUID = syntax
    dataset.save_as(path)
    np.testing.assert_array_equal(read(path).pixels, RAMP)


def test_monochrome1_is_turned(tmp_path):
    radiograph = read(make(tmp_path / "radiograph", RAMP, PhotometricInterpretation="MONOCHROME1"))
    assert radiograph.inverted is True
    plain = read(make(tmp_path / "plain", RAMP))
    one, other = Preprocessor(16)(radiograph).grid, Preprocessor(16)(plain).grid
    inside = slice(2, 14)  # the letterbox is black in both
    np.testing.assert_allclose((one + other)[4:12, inside], 1, atol=1e-5)


@pytest.mark.parametrize("planar", [0, 1])
def test_colour_is_grey(tmp_path, planar):
    grey = RAMP.astype(np.uint8)
    pixels = np.stack([grey] * 3, axis=2)
    stored = pixels if planar == 0 else np.ascontiguousarray(pixels.transpose(2, 0, 1))
    path = make(tmp_path / "radiograph", pixels, PlanarConfiguration=planar)
    import pydicom

    dataset = pydicom.dcmread(path)
    dataset.PixelData = stored.tobytes()
    dataset.save_as(path)
    radiograph = read(path)
    np.testing.assert_array_equal(radiograph.pixels, grey)
    assert radiograph.inverted is None


def test_a_palette_is_looked_up(tmp_path):
    indices = (RAMP % 4).astype(np.uint8)
    table = np.array([0, 100, 30, 250], np.uint8)
    colours = {}
    for colour in ("Red", "Green", "Blue"):
        colours[f"{colour}PaletteColorLookupTableDescriptor"] = [4, 0, 8]
        colours[f"{colour}PaletteColorLookupTableData"] = table.tobytes()
    path = make(
        tmp_path / "radiograph", indices, PhotometricInterpretation="PALETTE COLOR", **colours
    )
    np.testing.assert_array_equal(read(path).pixels, table[indices])


def test_signed_values_with_rescaling(tmp_path):
    stored = RAMP.astype(np.int16) - 100
    radiograph = read(make(tmp_path / "radiograph", stored, RescaleSlope=-2, RescaleIntercept=5))
    np.testing.assert_allclose(radiograph.pixels, -2.0 * stored + 5)
    assert radiograph.pixels.dtype == np.float32


@pytest.mark.parametrize("kind", ["jpeg lossless", "jpeg-ls", "jpeg 2000"])
@pytest.mark.parametrize(
    ("bits", "dtype"), [(10, "u2"), (12, "u2"), (16, "u2"), (8, "u1"), (7, "u1")]
)
def test_signed_values_are_compressed_in_twos_complement(tmp_path, kind, bits, dtype):
    """PS3.5, section 8.1.1: the bits that are stored, without sign extension."""
    lowest, highest = -(2 ** (bits - 1)), 2 ** (bits - 1) - 1
    values = np.linspace(lowest, highest, RAMP.size).round().astype(int).reshape(RAMP.shape)
    stored = (values % 2**bits).astype(dtype)
    syntax, encode, _ = COMPRESSED[kind]
    path = make(
        tmp_path / "radiograph",
        stored,
        syntax,
        encode(stored),
        BitsStored=bits,
        PixelRepresentation=1,
        RescaleSlope=1,
        RescaleIntercept=-lowest,
    )
    np.testing.assert_array_equal(read(path).pixels, values - lowest)


def test_a_window_is_applied(tmp_path):
    """PS3.3, C.11.2.1.2.1, with the values of its own formula."""
    radiograph = read(make(tmp_path / "radiograph", RAMP, WindowCenter=100, WindowWidth=51))
    share = np.clip((RAMP - 99.5) / 50 + 0.5, 0, 1)
    got = (radiograph.pixels - radiograph.pixels.min()) / np.ptp(radiograph.pixels)
    np.testing.assert_allclose(got, share, atol=1e-6)


@pytest.mark.parametrize("window", [(100, 0), (100, -5), (1e6, 10), ("", "")])
def test_a_window_that_shows_nothing_is_left_out(tmp_path, window):
    centre, width = window
    path = make(tmp_path / "radiograph", RAMP, WindowCenter=centre, WindowWidth=width)
    np.testing.assert_array_equal(read(path).pixels, RAMP)


def test_a_voi_lut_is_applied(tmp_path):
    table = Dataset()
    table.LUTDescriptor = [256, 0, 16]
    table.LUTData = (np.arange(256, dtype=np.uint16) ** 2).tobytes()
    radiograph = read(make(tmp_path / "radiograph", RAMP, VOILUTSequence=[table]))
    np.testing.assert_array_equal(radiograph.pixels, RAMP.astype(int) ** 2)


@pytest.mark.parametrize("photometric", ["MONOCHROME1", "MONOCHROME2"])
def test_padding_is_dark(tmp_path, photometric):
    pixels = RAMP + 50
    pixels[:, :20] = 4000
    path = make(
        tmp_path / "radiograph",
        pixels,
        PhotometricInterpretation=photometric,
        PixelPaddingValue=3900,
        PixelPaddingRangeLimit=4095,
    )
    radiograph = read(path)
    inside = pixels[:, 20:]
    np.testing.assert_array_equal(radiograph.pixels[:, 20:], inside)
    dark = inside.max() if photometric == "MONOCHROME1" else inside.min()
    assert (radiograph.pixels[:, :20] == dark).all()


@pytest.mark.parametrize(
    ("attributes", "spacing"),
    [
        ({"ImagerPixelSpacing": [0.14, 0.14]}, (0.14, 0.14)),
        ({"ImagerPixelSpacing": [0.14, 0.14], "PixelSpacing": [0.13, 0.12]}, (0.13, 0.12)),
        ({"NominalScannedPixelSpacing": [0.3, 0.3]}, (0.3, 0.3)),
        ({"PixelSpacing": [0, 0], "ImagerPixelSpacing": [0.2, 0.2]}, (0.2, 0.2)),
        ({"PixelSpacing": []}, None),
        ({}, None),
    ],
)
def test_spacing(tmp_path, attributes, spacing):
    assert read(make(tmp_path / "radiograph", RAMP, **attributes)).spacing == spacing


def test_what_is_no_frontal_chest_radiograph_is_said(tmp_path):
    path = make(tmp_path / "a", RAMP, Modality="MR", BodyPartExamined="HAND", ViewPosition="LL")
    notes = " ".join(read(path).notes)
    assert "modality MR" in notes
    assert "body part HAND" in notes
    assert "view LL" in notes
    path = make(tmp_path / "b", RAMP, BodyPartExamined="CHEST", ViewPosition="PA")
    assert read(path).notes == ()


def test_of_several_frames_the_first(tmp_path):
    frames = np.concatenate([RAMP, RAMP + 7])
    path = make(tmp_path / "radiograph", frames, NumberOfFrames=2, Rows=40)
    radiograph = read(path)
    np.testing.assert_array_equal(radiograph.pixels, RAMP)
    assert radiograph.notes == ("2 frames, of which the first is taken",)


def test_no_image(tmp_path):
    path = make(tmp_path / "radiograph", RAMP)
    import pydicom

    dataset = pydicom.dcmread(path)
    del dataset.PixelData
    dataset.save_as(path)
    with pytest.raises(NotARadiograph, match="radiograph: is a DICOM file without an image"):
        read(path)


@pytest.mark.parametrize("share", [0.3, 0.7, 0.98])
def test_a_truncated_file(tmp_path, share):
    whole = make(tmp_path / "whole", RAMP).read_bytes()
    path = tmp_path / "cut"
    path.write_bytes(whole[: int(share * len(whole))])
    with pytest.raises(ReadError, match="cut"):
        read(path)


def test_without_pydicom_it_says_what_to_install(tmp_path, monkeypatch):
    path = make(tmp_path / "radiograph", RAMP)
    monkeypatch.setitem(__import__("sys").modules, "pydicom", None)
    with pytest.raises(ReadError, match=r"pip install 'xray-seg\[dicom\]'"):
        read(path)


@pytest.mark.parametrize("path", FILES, ids=lambda path: path.name)
def test_what_pydicom_ships_is_read_or_refused_by_name(path):
    """Scans, ultrasound, doses, damaged files: an image in grey, or a ReadError that names it."""
    try:
        radiograph = read(path)
    except ReadError as error:
        assert str(path) in str(error)  # noqa: PT017 - either is right
        return
    assert radiograph.pixels.ndim == 2
    assert radiograph.pixels.dtype in (np.uint8, np.uint16, np.float32)
    assert np.isfinite(radiograph.pixels).all()


def test_pydicoms_radiographs_of_computed_radiography_are_monochrome1():
    radiographs = [read(path) for path in FILES if path.parent.name.startswith("CR")]
    assert len(radiographs) == 3
    for radiograph in radiographs:
        assert radiograph.inverted is True
        assert radiograph.format == "DICOM CR"
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            assert radiograph.shape == pixel_array(radiograph.source).shape
