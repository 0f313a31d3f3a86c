"""Places of images on a grid, and shapes of pictures that are made smaller."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from xray_seg.preprocessing.letterbox import Letterbox, shape_within

SIDES = st.integers(1, 5000)


@pytest.mark.parametrize(
    ("shape", "longest", "expected"),
    [
        ((2048, 2048), 512, (512, 512)),
        ((3000, 2000), 600, (600, 400)),
        ((2000, 3000), 600, (400, 600)),
        ((100, 50), 600, (100, 50)),  # never larger than it is
        ((600, 3), 600, (600, 3)),
        ((5000, 1), 100, (100, 1)),  # never without a column
        ((1, 5000), 100, (1, 100)),
    ],
)
def test_shapes_within_a_longest_side(shape, longest, expected):
    assert shape_within(shape, longest) == expected


@given(SIDES, SIDES, st.integers(1, 1000))
def test_no_side_is_longer_than_asked_and_the_longer_one_is_as_long(height, width, longest):
    found = shape_within((height, width), longest)
    assert max(found) == min(longest, max(height, width))
    scale = max(found) / max(height, width)
    assert found[0] == pytest.approx(height * scale, abs=0.5 + 0.5 * (height * scale < 1))
    assert found[1] == pytest.approx(width * scale, abs=0.5 + 0.5 * (width * scale < 1))


@given(SIDES, SIDES, st.integers(1, 300))
def test_an_image_fills_the_grid_along_its_longer_side_and_is_centred(height, width, size):
    box = Letterbox.of((height, width), size)
    assert max(box.height, box.width) == size
    for start, length, side in ((box.top, box.height, height), (box.left, box.width, width)):
        assert length >= 1
        assert abs(length - size * side / max(height, width)) <= 0.5 or length == 1
        assert 0 <= (size - start - length) - start <= 1  # an odd rest is below or on the right
    grid = np.arange(size * size).reshape(size, size)
    inside = box.crop(grid)
    assert inside.shape == (box.height, box.width)
    assert inside[0, 0] == grid[box.top, box.left]
