import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from helpers.reference import slow_upsample
from xray_seg.kernels import most_probable, upsample_argmax, upsample_plane

SIDES = st.integers(1, 12)
TARGETS = st.integers(1, 40)
RELAXED = settings(deadline=None, max_examples=150)


def smooth(seed, height, width, classes):
    """Probabilities with regions of one class, as a network gives them, and ties in places."""
    random = np.random.default_rng(seed)
    scores = random.normal(size=(height, width, classes)) + 3 * random.normal(size=classes)
    values = np.exp(scores)
    values /= values.sum(axis=2, keepdims=True)
    return (values * 64).round().astype(np.float32) / 64


@RELAXED
@given(st.integers(0, 2**32), SIDES, SIDES, st.integers(1, 5), TARGETS, TARGETS)
def test_upsample_argmax(seed, height, width, classes, rows, columns):
    values = smooth(seed, height, width, classes)
    found = upsample_argmax(values, (rows, columns))
    assert found.dtype == np.uint8
    slow = slow_upsample(values, (rows, columns))
    # Where two classes come within rounding of each other either may win.
    won = np.take_along_axis(slow, found[..., None].astype(int), axis=2)[..., 0]
    assert (won >= slow.max(axis=2) - 1e-6).all()


@RELAXED
@given(st.integers(0, 2**32), SIDES, SIDES)
def test_its_own_size_is_argmax(seed, height, width):
    values = smooth(seed, height, width, 4)
    for found in (upsample_argmax(values, (height, width)), most_probable(values)):
        np.testing.assert_array_equal(found, values.argmax(axis=2))


def test_ties_go_to_the_lower_label():
    values = np.full((3, 3, 4), 0.25, np.float32)
    values[1, 1] = (0.0, 0.5, 0.5, 0.0)
    assert (upsample_argmax(values, (3, 3))[1, 1], upsample_argmax(values, (9, 9))[0, 0]) == (1, 0)


@RELAXED
@given(st.integers(0, 2**32), SIDES, SIDES, TARGETS, TARGETS)
def test_upsample_plane(seed, height, width, rows, columns):
    plane = np.random.default_rng(seed).normal(size=(height, width)).astype(np.float32)
    found = upsample_plane(plane, (rows, columns))
    np.testing.assert_allclose(found, slow_upsample(plane, (rows, columns)), atol=1e-5)


def test_it_is_tensorflows_resize():
    """Against TensorFlow, for an integer and a fractional scale."""
    from xray_seg._util.tensorflow import tensorflow

    values = smooth(3, 16, 16, 4)
    for shape in ((32, 32), (37, 53)):
        theirs = tensorflow().image.resize(values, shape).numpy()
        mine = upsample_argmax(values, shape)
        won = np.take_along_axis(theirs, mine[..., None].astype(int), axis=2)[..., 0]
        assert (won >= theirs.max(axis=2) - 1e-6).all()


def test_strided_probabilities():
    values = smooth(4, 10, 12, 4)
    view = values[2:9, 1:11]
    np.testing.assert_array_equal(
        upsample_argmax(view, (33, 41)), upsample_argmax(view.copy(), (33, 41))
    )


@pytest.mark.parametrize(
    ("values", "shape"),
    [
        (np.zeros((2, 2), np.float32), (4, 4)),
        (np.zeros((2, 0, 4), np.float32), (4, 4)),
        (np.zeros((2, 2, 4), np.float32), (4, 0)),
        (np.zeros((2, 2, 4)), (4, 4)),
    ],
)
def test_refused(values, shape):
    with pytest.raises(ValueError, match=r"restore|float32"):
        upsample_argmax(values, shape)


@pytest.mark.parametrize("values", [np.zeros((2, 2), np.float32), np.zeros((2, 2, 4))])
def test_most_probable_refuses(values):
    with pytest.raises(ValueError, match="3-D float32"):
        most_probable(values)
