"""Dice, Jaccard and surface distances, compared with sets of pixels."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from helpers.reference import slow_distances
from xray_seg.evaluation.metrics import dice, jaccard, surface_distances

MASKS = hnp.arrays(np.bool_, st.tuples(st.integers(1, 12), st.integers(1, 12)))


@settings(deadline=None, max_examples=100)
@given(MASKS, st.integers(0, 2**32), st.floats(0.1, 3), st.floats(0.1, 3))
def test_surface_distances(one, seed, tall, wide):
    other = np.random.default_rng(seed).random(one.shape) < 0.4
    found = surface_distances(one, other, (tall, wide))
    if not one.any() or not other.any():
        assert found is None
        return
    expected = slow_distances(one, other, (tall, wide))
    np.testing.assert_allclose(np.sort(found), np.sort(expected), rtol=1e-6, atol=1e-9)


def test_shifted_squares():
    """Two squares, shifted by 3 pixels of 2 mm."""
    one = np.zeros((40, 40), bool)
    one[10:20, 10:20] = True
    other = np.roll(one, 3, axis=1)
    distances = surface_distances(one, other, (2.0, 2.0))
    assert distances is not None
    assert distances.max() == 6
    assert distances.min() == 0
    np.testing.assert_array_equal(surface_distances(one, one, (1.0, 1.0)), np.zeros(72))


@settings(deadline=None)
@given(MASKS, st.integers(0, 2**32))
def test_dice_and_jaccard(one, seed):
    other = np.random.default_rng(seed).random(one.shape) < 0.5
    pixels = [(set(zip(*np.nonzero(mask), strict=True))) for mask in (one, other)]
    union, common = pixels[0] | pixels[1], pixels[0] & pixels[1]
    j, d = jaccard(one, other), dice(one, other)
    assert j == (len(common) / len(union) if union else 1)
    assert d == pytest.approx(2 * j / (1 + j))
    assert dice(one, one) == jaccard(other, other) == 1
