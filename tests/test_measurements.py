import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from xray_seg.measurements import measure


def chest():
    labels = np.zeros((100, 200), np.uint8)
    labels[20:80, 20:90] = 3
    labels[20:80, 110:170] = 3
    labels[50:70, 80:135] = 2
    labels[10:14, 30:90] = 1
    return labels


def test_a_chest_drawn_by_hand():
    found = measure(chest(), (0.5, 0.2))
    assert found.heart_width_px == 55
    assert found.thorax_width_px == 150
    assert found.cardiothoracic_ratio == pytest.approx(55 / 150)
    assert found.area_px == {
        "clavicles": 240,
        "heart": 20 * 55,
        "lungs": 60 * 130 - 20 * 10 - 20 * 25,
    }
    assert found.area_cm2 is not None
    assert found.area_cm2["heart"] == pytest.approx(20 * 55 * 0.5 * 0.2 / 100)


def test_what_is_missing_is_none():
    found = measure(np.zeros((4, 5), np.uint8))
    assert found.area_px == {"clavicles": None, "heart": None, "lungs": None}
    assert all(value is None for value in found.values.values())
    assert set(found.reasons) == set(found.values)
    assert (found.heart_width_px, found.thorax_width_px, found.cardiothoracic_ratio) == (
        None,
        None,
        None,
    )
    assert found.area_cm2 is None
    labels = chest()
    labels[labels == 2] = 0
    assert measure(labels).cardiothoracic_ratio is None


@settings(deadline=None, max_examples=100)
@given(
    hnp.arrays(
        np.uint8, st.tuples(st.integers(1, 12), st.integers(1, 12)), elements=st.integers(0, 3)
    )
)
def test_against_a_count_of_pixels(labels):
    found = measure(labels, (1.0, 1.0))
    for name, label in (("clavicles", 1), ("heart", 2), ("lungs", 3)):
        assert found.area_px[name] == ((labels == label).sum() or None)
    columns = {label: np.nonzero(labels == label)[1] for label in (2, 3)}
    extents = {label: int(np.ptp(of) + 1) if len(of) else None for label, of in columns.items()}
    assert found.heart_width_px == extents[2]
    if len(columns[3]) and len(columns[2]):
        right = (np.clip(columns[2].mean() - columns[3] + 0.5, 0, 1)).mean()
        if abs(right - 0.1) > 1e-9 and abs(right - 0.9) > 1e-9:
            assert found.thorax_width_px == (extents[3] if 0.1 < right < 0.9 else None)


def test_one_lung_is_no_thorax():
    labels = chest()
    labels[:, 110:][labels[:, 110:] == 3] = 0
    found = measure(labels)
    assert (found.thorax_width_px, found.cardiothoracic_ratio) == (None, None)
    assert found.heart_width_px == 55
    assert found.notes == ("a lung on one side only",)
    assert measure(chest()).notes == ()
    assert measure(np.zeros((4, 5), np.uint8)).notes == (
        "no clavicles found",
        "no heart found",
        "no lungs found",
    )


def test_sides_lines_boxes_and_greys_of_a_chest_drawn_by_hand():
    labels = chest()
    pixels = (labels.astype(">u2") * 100) + 7
    found = measure(labels, (0.5, 0.2), pixels)
    assert found.heart_line == ((80, 60), (134, 60))
    assert found.thorax_line == ((20, 50), (169, 50))
    assert found["heart_width_mm"] == pytest.approx(55 * 0.2)
    assert found["right_lung_height_px"] == 60
    assert found["right_lung_height_mm"] == pytest.approx(60 * 0.5)
    assert found["right_lung_area_px"] == 60 * 70 - 20 * 10
    assert found["left_lung_area_px"] == 60 * 60 - 20 * 25
    assert [found[f"left_lung_{end}_px"] for end in ("x0", "y0", "x1", "y1")] == [110, 20, 170, 80]
    assert [found[f"{name}_mean_grey"] for name in ("clavicles", "heart", "lungs")] == [
        107,
        207,
        307,
    ]
    assert found["left_clavicle_area_cm2"] is None
    assert found.reasons["left_clavicle_area_cm2"] == "no left clavicle found"
    assert measure(labels).reasons["heart_width_mm"] == "the spacing is not known"
