import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from helpers.reference import slow_area_mean
from helpers.tiny import slow_normalise
from xray_seg.data.phantom import make_phantom
from xray_seg.preprocessing.letterbox import Letterbox
from xray_seg.preprocessing.normalisation import normalise
from xray_seg.preprocessing.polarity import looks_inverted
from xray_seg.preprocessing.preprocessor import Preprocessor
from xray_seg.radiograph import Radiograph
from xray_seg.readers import read

RELAXED = settings(deadline=None, max_examples=100)


@RELAXED
@given(st.integers(1, 5000), st.integers(1, 5000), st.integers(1, 512))
def test_letterbox(rows, columns, size):
    box = Letterbox.of((rows, columns), size)
    assert max(box.height, box.width) == size
    assert min(box.height, box.width) >= 1
    # The aspect ratio is kept to half a pixel (or one pixel where less than one is left).
    long, short = max(rows, columns), min(rows, columns)
    assert abs(min(box.height, box.width) - max(1, size * short / long)) <= 0.5
    # Centred: what is left over is the same on both sides, to one pixel.
    assert 0 <= (size - box.height - box.top) - box.top <= 1
    assert 0 <= (size - box.width - box.left) - box.left <= 1
    assert box.crop(np.zeros((size, size, 4))).shape == (box.height, box.width, 4)


@RELAXED
@given(st.integers(0, 2**32), st.integers(4, 60), st.integers(4, 60), st.booleans())
def test_fit_to_grid(seed, rows, columns, inverted):
    size = 16
    pixels = np.random.default_rng(seed).integers(0, 4096, (rows, columns)).astype(">u2")
    found = Preprocessor(size)(Radiograph(pixels, inverted))
    grid, box = found.grid, found.box
    assert grid.dtype == np.float32
    mean = slow_area_mean(pixels, (box.height, box.width))
    expected = np.zeros((size, size))
    shown = slow_normalise(mean)
    box.crop(expected)[:] = 1 - shown if inverted else shown
    np.testing.assert_allclose(grid, expected, atol=1e-4)


def test_fit_into_a_slot_of_a_batch():
    pixels = np.random.default_rng(0).integers(0, 256, (20, 44)).astype(np.uint8)
    batch = np.full((3, 16, 16), 9, np.float32)
    grid = Preprocessor(16)(Radiograph(pixels), out=batch[1]).grid
    assert grid is not None
    np.testing.assert_array_equal(batch[1], Preprocessor(16)(Radiograph(pixels)).grid)
    assert (batch[[0, 2]] == 9).all()


def test_the_unit_does_not_matter():
    film = np.random.default_rng(0).normal(2000, 300, (256, 256))
    one, other = (Preprocessor(64)(Radiograph(pixels)).grid for pixels in (film, 3 * film + 7))
    np.testing.assert_allclose(one, other, atol=1e-5)


@pytest.mark.parametrize("value", [0, 65535])
def test_a_strip_of_outliers_hardly_matters(value):
    """By minimum and maximum, 65535 would squeeze all 12 bits below 0.07."""
    film = make_phantom(1, 256).radiograph * 4095
    struck = film.copy()
    struck[0, :100] = value
    one, other = (Preprocessor(64)(Radiograph(pixels)).grid for pixels in (film, struck))
    assert np.abs(one - other)[1:].mean() < 0.02


@pytest.mark.parametrize("value", [0, 7, 65535])
def test_a_constant_image_is_black(value):
    for inverted in (False, True):
        content = np.full((8, 8), value, np.float32)
        normalise(content, inverted=inverted)
        assert (content == 0).all()


def test_one_pixel_is_an_image():
    found = Preprocessor(16)(Radiograph(np.array([[5]], np.uint8)))
    grid, box = found.grid, found.box
    assert (box.height, box.width) == (16, 16)
    assert (grid == 0).all()


@pytest.mark.parametrize("seed", range(8))
def test_polarity_of_phantoms(seed):
    film = make_phantom(seed, 256).radiograph
    grid = Preprocessor(128)(Radiograph(film)).grid
    assert not looks_inverted(grid)
    assert looks_inverted(1 - grid)


@pytest.mark.parametrize("shape", [(180, 256), (256, 180)])
def test_polarity_of_films_that_are_not_square(shape):
    """Bars beside the film are no part of it."""
    top, left = (256 - shape[0]) // 2, (256 - shape[1]) // 2
    light = make_phantom(2, 256).radiograph[top : top + shape[0], left : left + shape[1]]
    plain = Preprocessor(128)(Radiograph(light, None))
    turned = Preprocessor(128)(Radiograph(1 - light, None))
    assert (plain.radiograph.inverted, turned.radiograph.inverted) == (False, True)
    np.testing.assert_allclose(plain.grid, turned.grid, atol=1e-4)


def test_polarity_of_real_films(jsrt):
    for path in sorted((jsrt / "images").glob("*.png"))[::6]:
        film = read(path)
        stored = [Preprocessor(128)(Radiograph(film.pixels, flip)).grid for flip in (False, True)]
        assert [looks_inverted(grid) for grid in stored] in ([False, True], [True, False])


def test_an_image_without_contrast_counts_as_shown():
    assert not looks_inverted(np.zeros((64, 64), np.float32))
