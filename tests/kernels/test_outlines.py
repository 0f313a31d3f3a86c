import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from helpers.reference import slow_box_sums, slow_lengths
from xray_seg.kernels import box_sums, margins, outline_lengths

SIDES = st.integers(1, 14)
RELAXED = settings(deadline=None, max_examples=100)


def disc(radius, size=128, *, soft):
    y, x = np.mgrid[:size, :size]
    depth = radius - np.hypot(y - size / 2 + 0.3, x - size / 2 - 0.2)
    return np.rint(np.clip(depth, -1, 1) * 127 if soft else np.sign(depth)).astype(np.int64)


@RELAXED
@given(st.integers(0, 2**32), SIDES, SIDES, st.integers(0, 6), st.integers(0, 3))
def test_box_sums(seed, height, width, half_width, times):
    field = np.random.default_rng(seed).integers(-127, 128, (height, width))
    expected = slow_box_sums(field, half_width, times)
    np.testing.assert_array_equal(box_sums(field, half_width, times=times), expected)


@RELAXED
@given(st.integers(0, 2**32), SIDES, SIDES)
def test_lengths(seed, height, width):
    field = np.random.default_rng(seed).integers(-9, 10, (height, width))
    expected, hull = slow_lengths(field)
    found = outline_lengths(field)
    assert found[0] == pytest.approx(expected)
    assert found[1] == pytest.approx(hull, rel=0.02)


@pytest.mark.parametrize("radius", [8, 25, 60])
def test_a_disc_is_as_long_as_its_hull_and_its_circumference(radius):
    length, hull = outline_lengths(disc(radius, soft=True))
    assert length == pytest.approx(2 * np.pi * radius, rel=2e-3)
    assert hull == pytest.approx(length, rel=1e-3)


def test_a_staircase_counts_little():
    """Of a mask without fractions at its border, pixel edges are longer by up to 1.27."""
    length, hull = outline_lengths(disc(40, soft=False))
    assert 1 <= length / hull < 1.06


def test_a_spike_counts_twice_its_length():
    field = disc(20, soft=True)
    field[64, 80:110] = 127
    length, hull = outline_lengths(field)
    assert length == pytest.approx(2 * np.pi * 20 + 2 * 25, rel=0.05)
    assert length > 1.05 * hull


def test_diagonal_pixels_are_separate():
    field = np.array([[1, -1], [-1, 1]])
    apart = np.array([[1, -1, -1], [-1, -1, -1], [-1, -1, 1]])
    assert outline_lengths(field)[0] == pytest.approx(outline_lengths(apart)[0])


def test_nothing_positive():
    assert outline_lengths(np.full((5, 6), -3)) == (0, 0)


@RELAXED
@given(st.integers(0, 2**32), SIDES, SIDES, st.integers(2, 5))
def test_margins(seed, height, width, classes):
    values = np.random.default_rng(seed).random((height, width, classes), np.float32)
    rivals, field = margins(values, 1, 0.5, 100)
    others = np.delete(values, 1, axis=2).max(axis=2)
    np.testing.assert_array_equal(rivals, others)
    exact = np.clip((values[..., 1].astype(float) - others) / 0.5, -1, 1) * 100
    assert np.abs(field - exact).max() <= 0.5 + 1e-4
    assert field.dtype == np.int64


@pytest.mark.parametrize(
    "call",
    [
        lambda: box_sums(np.zeros((3, 3)), 1),
        lambda: box_sums(np.zeros((3, 3), np.int64), -1),
        lambda: outline_lengths(np.zeros(3, np.int64)),
        lambda: outline_lengths(np.zeros((0, 3), np.int64)),
        lambda: margins(np.zeros((3, 3, 4)), 2, 1, 1),
        lambda: margins(np.zeros((3, 3, 2), np.float32), 2, 1, 1),
    ],
)
def test_refused(call):
    with pytest.raises(ValueError, match=r"needed|no label"):
        call()
