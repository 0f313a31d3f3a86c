"""Orientation, side, exposed part and kind, as DICOM headers state them."""

import numpy as np
import pytest

from helpers.dicom import FILES, make
from xray_seg.errors import NotAChestRadiograph
from xray_seg.radiograph import Orientation, Region
from xray_seg.readers import read

PIXELS = np.arange(200 * 300, dtype=np.uint16).reshape(200, 300)
#: Unit vectors of the directions, on an upright image: x to the patient's left, y to the feet.
VECTORS = {"L": (1, 0), "R": (-1, 0), "F": (0, 1), "H": (0, -1)}


@pytest.mark.parametrize(
    "directions",
    [(row, column) for row in "LRFH" for column in "LRFH" if (row in "LR") != (column in "LR")],
    ids="".join,
)
def test_patient_orientation(tmp_path, directions):
    """An image whose rows and columns run so is turned to L and F."""
    found = read(make(tmp_path / "x.dcm", PIXELS, PatientOrientation=list(directions)))
    orientation = found.orientation
    # Draw where a body's point (x, y) lies: along rows by VECTORS[row], along columns likewise.
    row, column = (np.array(VECTORS[each]) for each in directions)
    body = np.array([[(x * row + y * column) for x in range(3)] for y in range(2)])
    upright = orientation.upright(body)
    assert (np.diff(upright, axis=1) == (1, 0)).all()
    assert (np.diff(upright, axis=0) == (0, 1)).all()


@pytest.mark.parametrize("directions", [["L", "F"], ["LP", "FA"]])
def test_an_upright_image_stays_so(tmp_path, directions):
    found = read(make(tmp_path / "x.dcm", PIXELS, PatientOrientation=directions))
    assert found.orientation == Orientation()


@pytest.mark.parametrize("directions", [None, ["L"], ["L", "L"], ["A", "F"], ["", ""], ["X", "Y"]])
def test_what_states_no_frontal_orientation_is_unknown(tmp_path, directions):
    found = read(make(tmp_path / "x.dcm", PIXELS, PatientOrientation=directions))
    assert found.orientation is None


def test_the_side(tmp_path):
    assert read(make(tmp_path / "x.dcm", PIXELS, ImageLaterality="R")).laterality == "R"
    assert read(make(tmp_path / "x.dcm", PIXELS, Laterality="L")).laterality == "L"
    assert read(make(tmp_path / "x.dcm", PIXELS, ImageLaterality="U")).laterality == ""


RECTANGLE = {
    "ShutterShape": "RECTANGULAR",
    "ShutterLeftVerticalEdge": 20,
    "ShutterRightVerticalEdge": 281,
    "ShutterUpperHorizontalEdge": 10,
    "ShutterLowerHorizontalEdge": 191,
}


@pytest.mark.parametrize(
    ("attributes", "region"),
    [
        ({}, None),
        (RECTANGLE, Region(10, 20, 180, 260)),
        ({**RECTANGLE, "CollimatorLeftVerticalEdge": 50}, Region(10, 20, 180, 260)),  # incomplete
        (
            {
                **RECTANGLE,
                "CollimatorShape": "RECTANGULAR",
                "CollimatorLeftVerticalEdge": 50,
                "CollimatorRightVerticalEdge": 251,
                "CollimatorUpperHorizontalEdge": 0,
                "CollimatorLowerHorizontalEdge": 201,
            },
            Region(10, 50, 180, 200),
        ),
        (
            {
                "ShutterShape": "CIRCULAR",
                "CenterOfCircularShutter": [100, 150],
                "RadiusOfCircularShutter": 60,
            },
            Region(39, 89, 121, 121),
        ),
        (
            {
                "ShutterShape": "POLYGONAL",
                "VerticesOfThePolygonalShutter": [11, 21, 11, 280, 190, 280, 190, 21],
            },
            Region(10, 20, 180, 260),
        ),
        ({**RECTANGLE, "ShutterRightVerticalEdge": 25}, None),  # too narrow to be meant
        ({**RECTANGLE, "ShutterRightVerticalEdge": "x"}, None),
    ],
)
def test_shutters_and_collimators(tmp_path, attributes, region):
    numbers = {name: value for name, value in attributes.items() if value != "x"}
    assert read(make(tmp_path / "x.dcm", PIXELS, **numbers)).field_of_view == region


@pytest.mark.parametrize(
    ("attributes", "word"),
    [
        ({"Modality": "MG"}, "MG"),
        ({"Modality": "XA"}, "XA"),
        ({"Modality": "WARD_7"}, "of no known name"),
        ({"BodyPartExamined": "HAND"}, "HAND"),
        ({"ViewPosition": "LL"}, "LL"),
        ({"ViewPosition": "RLO"}, "RLO"),
        ({"PatientOrientation": ["A", "F"]}, "lateral"),
    ],
)
def test_what_the_header_rules_out(tmp_path, attributes, word):
    path = make(tmp_path / "x.dcm", PIXELS, **attributes)
    with pytest.raises(NotAChestRadiograph, match=word) as refused:
        read(path, chest_only=True)
    assert str(path) in str(refused.value)
    assert "--include-all" in str(refused.value)
    assert read(path).shape == PIXELS.shape


@pytest.mark.parametrize(
    "attributes",
    [
        {"Modality": "CR", "BodyPartExamined": "CHEST", "ViewPosition": "AP"},
        {"Modality": ""},
        {"BodyPartExamined": "THORAX_PA"},
        {"BodyPartExamined": "WHOLEBODY"},
        {"ViewPosition": "LLD"},
        {"Modality": "OT", "ViewPosition": ""},
    ],
)
def test_what_it_does_not_rule_out(tmp_path, attributes):
    path = make(tmp_path / "x.dcm", PIXELS, **attributes)
    assert read(path, chest_only=True).shape == PIXELS.shape


def test_a_file_is_ruled_out_before_it_is_decoded(tmp_path):
    path = make(tmp_path / "x.dcm", PIXELS, Modality="MR", Rows=40000, Columns=50000)
    with pytest.raises(NotAChestRadiograph, match="MR"):
        read(path, chest_only=True)


def test_pydicoms_scans_are_ruled_out():
    refused = set()
    for path in FILES:
        try:
            read(path, chest_only=True)
        except NotAChestRadiograph:
            refused.add(path.name)
        except Exception:  # noqa: BLE001, S112 - damaged on purpose
            continue
    assert {"MR_small.dcm", "CT_small.dcm", "examples_ybr_color.dcm"} <= refused
