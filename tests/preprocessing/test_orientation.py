"""Images turned upright and back."""

import numpy as np
import pytest

from xray_seg import Radiograph
from xray_seg.preprocessing.corrections import ALL, Reading
from xray_seg.preprocessing.letterbox import Letterbox
from xray_seg.preprocessing.preprocessor import Preprocessor
from xray_seg.radiograph import Orientation, Region

ORIENTATIONS = [Orientation(angle, flip) for angle in (0, 90, 180, 270) for flip in (False, True)]


@pytest.mark.parametrize("orientation", ORIENTATIONS, ids=str)
def test_turned_and_back(orientation):
    stored = np.arange(12).reshape(3, 4)
    upright = orientation.upright(stored)
    np.testing.assert_array_equal(orientation.stored(upright), stored)
    for y, x in np.ndindex(*upright.shape):
        column, row = orientation.stored_point((x, y), stored.shape)
        assert stored[row, column] == upright[y, x]


def test_a_turn_is_clockwise_and_a_flip_comes_after_it():
    stored = np.array([[1, 2], [3, 4]])
    np.testing.assert_array_equal(Orientation(90).upright(stored), [[3, 1], [4, 2]])
    np.testing.assert_array_equal(Orientation(90, True).upright(stored), [[1, 3], [2, 4]])


@pytest.mark.parametrize("angle", [45, 360, -90])
def test_other_angles_are_refused(angle):
    with pytest.raises(ValueError, match=f"rotation {angle}"):
        Orientation(angle)


@pytest.mark.parametrize("orientation", ORIENTATIONS, ids=str)
@pytest.mark.parametrize("angle", [90, 180, 270])
def test_a_further_turn(orientation, angle):
    stored = np.arange(12).reshape(3, 4)
    np.testing.assert_array_equal(
        orientation.turned(angle).upright(stored),
        np.rot90(orientation.upright(stored), -angle // 90),
    )


@pytest.mark.parametrize("orientation", ORIENTATIONS, ids=str)
def test_the_grid_is_upright(orientation):
    """Of an image that is stored turned, with the sides of its spacing and field of view."""
    upright = np.random.default_rng(0).integers(0, 255, (40, 60)).astype(np.uint8)
    stored = np.ascontiguousarray(orientation.stored(upright))
    shown = Preprocessor(32, ALL)(Radiograph(stored, orientation=orientation))
    expected = Preprocessor(32)(Radiograph(upright))
    np.testing.assert_allclose(shown.grid, expected.grid, atol=1e-6)
    assert shown.box == expected.box
    assert shown.presentation.orientation == "stated"
    assert shown.radiograph.orientation == orientation


def test_a_radiograph_turned_upright():
    pixels = np.arange(12, dtype=np.uint8).reshape(3, 4)
    stored = Radiograph(
        pixels, spacing=(0.1, 0.2), orientation=Orientation(90), field_of_view=Region(0, 1, 2, 3)
    )
    upright = stored.upright()
    assert upright.spacing == (0.2, 0.1)
    np.testing.assert_array_equal(upright.pixels, np.rot90(pixels, -1))
    assert upright.field_of_view is not None
    np.testing.assert_array_equal(
        upright.field_of_view.crop(upright.pixels), np.rot90(pixels[:2, 1:], -1)
    )


@pytest.mark.parametrize("angle", [90, 180, 270])
@pytest.mark.parametrize("swap", [False, True])
def test_another_reading_is_that_of_an_image_stored_so(angle, swap):
    """Odd margins beside the image: they turn with it."""
    pixels = np.random.default_rng(1).integers(0, 255, (45, 64)).astype(np.uint8)
    first = Preprocessor(33, ALL)(Radiograph(pixels))
    other = first.shown(Reading(swap_polarity=swap, turn_deg=angle))
    assert other.radiograph.inverted == swap
    assert other.radiograph.orientation == Orientation(angle)
    inside = first.box.crop(first.grid)
    expected = np.rot90(1 - inside if swap else inside, -angle // 90)
    np.testing.assert_allclose(other.box.crop(other.grid), expected, atol=1e-6)
    outside = other.grid.copy()
    other.box.crop(outside)[:] = 0
    assert not outside.any()


def test_a_letterbox_turns_with_its_grid():
    grid = np.zeros((7, 7))
    box = Letterbox(1, 0, 4, 7)
    box.crop(grid)[:] = 1
    for angle in (90, 180, 270):
        turned = np.rot90(grid, -angle // 90)
        assert box.turned(angle, 7).crop(turned).sum() == turned.sum() == 28
