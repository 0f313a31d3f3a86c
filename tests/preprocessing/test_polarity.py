"""How much brighter than its surroundings the lung must be for an image to count as inverted."""

import numpy as np
import pytest

from xray_seg.preprocessing.polarity import looks_inverted
from xray_seg.preprocessing.preprocessor import Preprocessor
from xray_seg.radiograph import Radiograph


def _with_lungs(difference, shape=(100, 100), around=0.5):
    """Grey, but for two boxes where an upright adult has lung, beside the spine."""
    image = np.full(shape, around, np.float32)
    rows, columns = shape
    for left in (0.19, 0.61):
        box = np.s_[
            int(0.16 * rows) : int(0.64 * rows), int(left * columns) : int((left + 0.2) * columns)
        ]
        image[box] += difference
    return image


@pytest.mark.parametrize("shape", [(100, 100), (120, 90), (64, 128)])
@pytest.mark.parametrize("around", [0.3, 0.6])
@pytest.mark.parametrize(
    ("difference", "expected"),
    [(-0.2, False), (0.0, False), (0.045, False), (0.055, True), (0.2, True)],
)
def test_the_lungs_must_be_brighter_by_a_twentieth(difference, expected, shape, around):
    assert looks_inverted(_with_lungs(difference, shape, around)) is expected


@pytest.mark.parametrize("row", [0.5, 0.86])
def test_what_lies_between_and_below_the_lungs_is_what_they_are_compared_with(row):
    """A dark spine or abdomen makes the lungs the brighter part, dark corners do not."""
    image = np.full((100, 100), 0.5, np.float32)
    image[:10], image[:, :10], image[:, 90:] = 0, 0, 0
    assert not looks_inverted(image)
    dark = image.copy()
    dark[int(100 * row) - 8 : int(100 * row) + 8, 30:70] = 0.1
    dark[:, 39:62] = 0.1
    assert looks_inverted(dark)


@pytest.mark.parametrize("stated", [True, False])
def test_a_stated_polarity_is_not_judged_by_looks(stated):
    pixels = _with_lungs(0.4)
    assert Preprocessor(64)(Radiograph(pixels, stated)).radiograph.inverted is stated
    assert Preprocessor(64)(Radiograph(pixels, None)).radiograph.inverted is True
