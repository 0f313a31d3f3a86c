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
    assert found.area_px == {"clavicles": 0, "heart": 0, "lungs": 0}
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
        assert found.area_px[name] == (labels == label).sum()
    for width, label in ((found.heart_width_px, 2), (found.thorax_width_px, 3)):
        columns = np.flatnonzero((labels == label).any(axis=0))
        assert width == (columns[-1] - columns[0] + 1 if len(columns) else None)
