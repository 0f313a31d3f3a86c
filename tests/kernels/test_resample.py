import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from helpers.reference import slow_area_mean
from xray_seg.kernels import area_fractions, area_mean

SIDES = st.integers(1, 23)
INTEGERS = st.sampled_from(["u1", "<u2", ">u2"])
# Numba compiles on the first example of each type; how long that takes proves nothing.
RELAXED = settings(deadline=None, max_examples=120)


@RELAXED
@given(st.data(), INTEGERS, SIDES, SIDES, SIDES, SIDES)
def test_area_mean_of_integers(data, dtype, rows, columns, height, width):
    source = data.draw(hnp.arrays(dtype, (rows, columns)))
    found = area_mean(source, (height, width))
    assert found.dtype == np.float32
    np.testing.assert_allclose(
        found, slow_area_mean(source, (height, width)), rtol=2e-6, atol=2e-6 * 65535
    )


@RELAXED
@given(st.data(), st.sampled_from(["<f4", ">f4", "<f8", ">f8"]), SIDES, SIDES, SIDES, SIDES)
def test_area_mean_of_floats(data, dtype, rows, columns, height, width):
    elements = st.floats(-1000, 1000, width=32)
    source = data.draw(hnp.arrays(dtype, (rows, columns), elements=elements))
    np.testing.assert_allclose(
        area_mean(source, (height, width)),
        slow_area_mean(source, (height, width)),
        rtol=1e-6,
        atol=1e-3,
    )


@RELAXED
@given(INTEGERS, st.integers(1, 6), st.integers(1, 6), st.integers(1, 9), st.integers(0, 2**32))
def test_whole_ratios_are_exact_block_means(dtype, tall, wide, side, seed):
    """Sums of whole blocks are integers: one rounding, at the end."""
    high = np.iinfo(np.dtype(dtype)).max
    source = np.random.default_rng(seed).integers(0, high + 1, (side * tall, side * wide))
    blocks = source.reshape(side, tall, side, wide).sum(axis=(1, 3)) / (tall * wide)
    found = area_mean(source.astype(dtype), (side, side))
    np.testing.assert_allclose(found, blocks, rtol=1.2e-7)


def test_a_jsrt_radiograph_at_its_extremes():
    radiograph = np.full((2048, 2048), 65535, ">u2")
    radiograph[:16, :16] = 0
    found = area_mean(radiograph, (128, 128))
    assert found[0, 0] == 0
    assert (found.ravel()[1:] == 65535).all()


@pytest.mark.parametrize("dtype", ["u1", "<u2", ">u2", "<f4"])
def test_any_strides_and_a_given_place(dtype):
    source = np.random.default_rng(1).integers(0, 200, (40, 60)).astype(dtype)
    batch = np.full((2, 9, 16), -1, np.float32)
    for view in (source[::-2, ::3], source.T, source[5:, 7:], np.asfortranarray(source)):
        place = batch[1, 1:8, 2:13]
        assert area_mean(view, (7, 11), out=place) is place
        np.testing.assert_allclose(place, slow_area_mean(view, (7, 11)), rtol=1e-5)
    assert (batch[0] == -1).all()
    assert (batch[1, 0] == -1).all()
    assert (batch[1, :, :2] == -1).all()


def test_a_read_only_memory_map_is_enough(tmp_path):
    source = np.arange(64 * 64, dtype=">u2").reshape(64, 64)
    (tmp_path / "radiograph").write_bytes(source.tobytes())
    mapped = np.memmap(tmp_path / "radiograph", ">u2", "r", 0, (64, 64))
    np.testing.assert_array_equal(area_mean(mapped, (8, 8)), area_mean(source, (8, 8)))


@pytest.mark.parametrize(
    ("source", "shape"),
    [
        (np.zeros((0, 4), np.uint8), (2, 2)),
        (np.zeros((4, 4), np.uint8), (0, 2)),
        (np.zeros((4, 4, 3), np.uint8), (2, 2)),
        (np.zeros((4, 4), np.int16), (2, 2)),
        (np.zeros((4, 4), np.complex64), (2, 2)),
    ],
)
def test_area_mean_refuses(source, shape):
    with pytest.raises(ValueError, match="area_mean"):
        area_mean(source, shape)


@pytest.mark.parametrize("out", [np.zeros((2, 3), np.float32), np.zeros((2, 2))])
def test_area_mean_refuses_a_place_that_does_not_fit(out):
    with pytest.raises(ValueError, match="out must be float32"):
        area_mean(np.zeros((4, 4), np.uint8), (2, 2), out=out)


@RELAXED
@given(st.data(), SIDES, SIDES, SIDES, SIDES)
def test_area_fractions_are_the_area_means_of_each_class(data, rows, columns, height, width):
    labels = data.draw(hnp.arrays(np.uint8, (rows, columns), elements=st.integers(0, 3)))
    found = area_fractions(labels, (height, width), 4)
    assert found.dtype == np.float32
    for label in range(4):
        expected = slow_area_mean(labels == label, (height, width))
        np.testing.assert_allclose(found[..., label], expected, atol=1e-5)
    np.testing.assert_allclose(found.sum(axis=2), 1, atol=1e-5)


@pytest.mark.parametrize(
    ("labels", "message"),
    [
        (np.full((2, 2), 4, np.uint8), "label 4"),
        (np.zeros((2, 2), np.int64), "uint8"),
        (np.zeros((2, 0), np.uint8), "label map"),
        (np.zeros(4, np.uint8), "label map"),
    ],
)
def test_area_fractions_refuse(labels, message):
    with pytest.raises(ValueError, match=message):
        area_fractions(labels, (2, 2), 4)


@pytest.mark.parametrize("shape", [(256, 512), (3, 512), (300, 4)])
def test_the_largest_sums_do_not_overflow(shape):
    """2**17 pixels of 65535 to a target: more than 32 bits hold."""
    for wide in (256, 512, 3 * 256):
        radiograph = np.full((shape[0], shape[1] * wide), 65535, np.uint16)
        assert (area_mean(radiograph, (1, shape[1])) == 65535).all()
        assert (area_mean(radiograph, (shape[0], 1)) == 65535).all()
        assert (area_mean(radiograph, (1, 1)) == 65535).all()
