"""Label maps of this package and of other programs, as TIFF and PNG."""

import numpy as np
import pytest
import tifffile

from xray_seg.data.phantom import make_phantom, phantom_labels
from xray_seg.errors import ReadError
from xray_seg.postprocessing.laterality import split_sides
from xray_seg.readers.label_map import read_labels

LABELS = phantom_labels(make_phantom(3, 80))[:70]


@pytest.mark.parametrize("unit", [1, 2, 3])
def test_the_spacing_of_a_tiff_is_its_resolution_in_centimetres(tmp_path, unit):
    path = tmp_path / "m.tif"
    resolution = ((100, 7), (50, 7))  # columns and rows in 10 mm
    tifffile.imwrite(path, LABELS, resolution=resolution, resolutionunit=unit)
    found = read_labels(path)
    assert found.spacing == (pytest.approx((1.4, 0.7)) if unit == 3 else None)
    np.testing.assert_array_equal(found.labels, LABELS)
    assert (found.format, found.sided) == ("TIFF", False)


@pytest.mark.parametrize("resolution", [(0, 0), ((1, 0), (1, 0))])
def test_a_resolution_that_is_none_gives_no_spacing(tmp_path, resolution):
    path = tmp_path / "m.tif"
    tifffile.imwrite(path, LABELS, resolution=(7, 7), resolutionunit=3)
    pairs = [each if isinstance(each, tuple) else (each, 1) for each in resolution]
    with tifffile.TiffFile(path, mode="r+") as tiff:
        for name, pair in zip(("XResolution", "YResolution"), pairs, strict=True):
            tiff.pages.first.tags[name].overwrite(pair)
    assert read_labels(path).spacing is None


def test_maps_of_other_programs_are_read(tmp_path):
    parts = split_sides(LABELS)
    cases = {
        "wide.tif": (LABELS.astype(np.uint16), LABELS, False),
        "swapped.tif": (LABELS.astype(">u2"), LABELS, False),
        "parts.tif": (parts, parts, True),
        "right.tif": (np.where(parts > 3, 0, parts).astype(np.uint8), None, False),
    }
    for name, (stored, labels, sided) in cases.items():
        order = ">" if stored.dtype.byteorder == ">" else None
        tifffile.imwrite(tmp_path / name, stored, byteorder=order)
        found = read_labels(tmp_path / name)
        np.testing.assert_array_equal(found.labels, stored if labels is None else labels)
        assert found.labels.dtype == np.uint8
        assert found.sided is sided
    tifffile.imwrite(tmp_path / "floats.tif", LABELS.astype(np.float32))
    with pytest.raises(ReadError, match="no labels"):
        read_labels(tmp_path / "floats.tif")
