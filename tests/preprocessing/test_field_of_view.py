"""Borders of images, found and left out."""

import numpy as np
import pytest

from xray_seg import Radiograph
from xray_seg.data.phantom import make_phantom
from xray_seg.kernels import area_mean
from xray_seg.preprocessing.corrections import ALL, BORDERS, NONE, Reading
from xray_seg.preprocessing.field_of_view import find_field_of_view
from xray_seg.preprocessing.letterbox import Letterbox
from xray_seg.preprocessing.preprocessor import Preprocessor
from xray_seg.radiograph import Region

SIDE = 400


def chest(seed: int = 0) -> np.ndarray:
    """(SIDE, SIDE) uint8 phantom, without constant edges."""
    noise = np.random.default_rng(seed).normal(0, 6, (SIDE, SIDE))
    return np.clip(40 + 200 * make_phantom(seed, SIDE).radiograph + noise, 0, 255).astype(np.uint8)


def found(image: np.ndarray) -> Region | None:
    box = Letterbox.of(image.shape, 128)
    return find_field_of_view(image, area_mean(image, (box.height, box.width)))


@pytest.mark.parametrize("seed", range(4))
def test_an_image_without_borders_is_whole(seed):
    assert found(chest(seed)) is None


@pytest.mark.parametrize("level", [0, 90, 255])
@pytest.mark.parametrize(
    "sides", [(120, 120, 0, 0), (0, 0, 120, 120), (0, 0, 180, 0), (30, 60, 90, 20)]
)
def test_borders_are_left_out_to_the_row(level, sides):
    top, bottom, left, right = sides
    image = np.pad(chest(), ((top, bottom), (left, right)), constant_values=level)
    assert found(image) == Region(top, left, SIDE, SIDE)


def test_borders_with_noise_and_text():
    """JPEG leaves noise in a border, and people write into it."""
    random = np.random.default_rng(1)
    image = np.pad(chest(), ((100, 0), (0, 0)), constant_values=10)
    image[:100] += random.integers(0, 3, (100, SIDE), np.uint8)
    image[40:52, 20:90] = random.choice([10, 255], (12, 70))  # a word
    assert found(image) == Region(100, 0, SIDE, SIDE)


def test_a_tilted_border():
    image = np.pad(chest(), ((0, 0), (0, 100)), constant_values=0)
    for row in range(SIDE):  # an edge that is tilted by one degree
        image[row, 390 + row // 57 :] = 0
    region = found(image)
    assert region is not None
    assert region.left == 0
    assert 388 <= region.width <= 398


def test_a_narrow_border_stays():
    assert found(np.pad(chest(), 4, constant_values=0)) is None


@pytest.mark.parametrize("image", [np.zeros((64, 64)), np.full((9, 200), 7.0), np.ones((1, 1))])
def test_a_constant_image_is_whole(image):
    assert found(image.astype(np.float32)) is None


def test_little_content_is_no_field_of_view():
    """A label in a black image, for instance."""
    image = np.zeros((SIDE, SIDE), np.uint8)
    image[190:210, 150:250] = chest()[:20, :100]
    assert found(image) is None


@pytest.mark.parametrize("inverted", [False, True, None])
def test_the_grid_shows_the_field_of_view_alone(inverted):
    image = chest()
    stored = 255 - image if inverted else image
    padded = np.pad(stored, ((50, 150), (100, 0)), constant_values=0)
    shown = Preprocessor(64, ALL)(Radiograph(padded, inverted))
    np.testing.assert_allclose(shown.grid, Preprocessor(64)(Radiograph(stored, inverted)).grid)
    assert shown.radiograph.field_of_view == Region(50, 100, SIDE, SIDE)
    assert shown.presentation.field_of_view == BORDERS
    whole = Preprocessor(64, NONE)(Radiograph(padded, bool(inverted)))
    assert whole.radiograph.field_of_view is None
    assert shown.whole is not None
    np.testing.assert_allclose(shown.whole.grid, whole.grid, atol=1e-6)
    assert shown.whole.box == whole.box


def test_borders_within_a_stated_field_of_view():
    """A second look that takes them back keeps to what the file states."""
    image = np.pad(chest(), ((0, 0), (60, 60)), constant_values=0)
    stated = Region(20, 30, 360, 460)
    shown = Preprocessor(64, ALL)(Radiograph(image, field_of_view=stated))
    assert shown.radiograph.field_of_view == Region(20, 60, 360, 400)
    whole = shown.shown(Reading(whole=True))
    assert whole.radiograph.field_of_view == stated
    expected = Preprocessor(64)(Radiograph(stated.crop(image)))
    np.testing.assert_allclose(whole.grid, expected.grid, atol=1e-6)


def test_a_stated_field_of_view_is_used():
    image = chest()
    stated = Region(100, 50, 250, 300)
    shown = Preprocessor(64, ALL)(Radiograph(image, field_of_view=stated))
    expected = Preprocessor(64)(Radiograph(stated.crop(image)))
    np.testing.assert_array_equal(shown.grid, expected.grid)
    assert shown.radiograph.field_of_view == stated
