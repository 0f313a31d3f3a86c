"""Spacings that no radiograph can have are ignored, with a note."""

import numpy as np
import pytest
import tifffile

from helpers.dicom import RAMP, make
from xray_seg.analysis.measurements import measure
from xray_seg.readers import RawLayout, read
from xray_seg.readers.label_map import read_labels
from xray_seg.readers.spacing import HIGHEST_MM, LOWEST_MM, plausible_spacing

NOTE = "states a pixel spacing of {} mm, which is not plausible; treated as unknown"


@pytest.mark.parametrize(
    ("stated", "shown"),
    [
        (["1e308", "1e308"], "1e+308 x 1e+308"),
        (["1e-308", "0.2"], "1e-308 x 0.2"),
        (["0", "0"], "0 x 0"),
        (["-0.2", "-0.2"], "-0.2 x -0.2"),
        (["0.2", "51"], "0.2 x 51"),
        (["nan", "nan"], "nan x nan"),
        (["inf", "0.2"], "inf x 0.2"),
    ],
)
@pytest.mark.parametrize("tag", ["PixelSpacing", "ImagerPixelSpacing"])
def test_an_implausible_spacing_is_unknown(tmp_path, tag, stated, shown):
    path = make(tmp_path / "radiograph", RAMP)
    data = path.read_bytes()
    make(path, RAMP, **{tag: ["0.2", "0.2"]})
    # pydicom refuses to write nan and inf.
    value = "\\".join(stated).encode()
    value += b" " * (len(value) % 2)
    old = path.read_bytes()
    place = old.index(b"DS\x08\x000.2\\0.2 ")
    new = b"DS" + len(value).to_bytes(2, "little") + value
    path.write_bytes(old[:place] + new + old[place + 12 :])
    radiograph = read(path)
    assert radiograph.spacing is None
    assert radiograph.notes == (NOTE.format(shown),)
    assert data != old


def test_the_next_spacing_is_taken(tmp_path):
    attributes = {"PixelSpacing": [900, 900], "ImagerPixelSpacing": [0.2, 0.1]}
    radiograph = read(make(tmp_path / "radiograph", RAMP, **attributes))
    assert radiograph.spacing == (0.2, 0.1)
    assert radiograph.notes == (
        "states a pixel spacing of 900 x 900 mm, which is not plausible; the next one is taken",
    )


@pytest.mark.parametrize("millimetres", [LOWEST_MM, 0.04, 0.175, 0.4, 7.0, HIGHEST_MM])
def test_a_plausible_spacing_is_kept(millimetres):
    assert plausible_spacing((millimetres, 0.2)) == ((millimetres, 0.2), ())


def test_a_raw_layout_of_implausible_spacing(tmp_path):
    (tmp_path / "raw").write_bytes(bytes(4800))
    radiograph = read(tmp_path / "raw", raw=RawLayout((40, 60), spacing=1e308))
    assert radiograph.spacing is None
    assert radiograph.notes == (NOTE.format("1e+308 x 1e+308"),)


@pytest.mark.parametrize("resolution", [(1, 2**32 - 1), (2**32 - 1, 1)])
def test_a_label_map_of_implausible_resolution(tmp_path, resolution):
    labels = np.zeros((40, 60), np.uint8)
    labels[10:20, 10:20] = 3
    path = tmp_path / "labels.tif"
    tifffile.imwrite(path, labels, resolution=(resolution, resolution), resolutionunit=3)
    found = read_labels(path)
    assert found.spacing is None
    assert len(found.notes) == 1
    assert "which is not plausible; treated as unknown" in found.notes[0]
    columns = measure(found.labels, spacing=found.spacing)
    assert "inf" not in str(columns)
