"""The HTML representation of a segmentation in notebooks."""

import base64
import re

import imagecodecs
import numpy as np
import pytest

from xray_seg import Radiograph
from xray_seg.data.phantom import make_phantom, phantom_labels
from xray_seg.models.model_folder import load_model
from xray_seg.segmentation import Segmentation


def _segmentation(labels, pixels, **facts):
    shares = np.eye(4, dtype=np.float32)[labels] * 0.96 + 0.01
    return Segmentation(Radiograph(pixels, **facts), labels, shares, load_model())


@pytest.fixture(scope="module")
def shown():
    phantom = make_phantom(2, 256)
    labels = phantom_labels(phantom)
    pixels = (phantom.radiograph * 255).astype(np.uint8)
    return _segmentation(labels, pixels, spacing=(0.5, 0.4), source="ward/<b>&.png")


def test_it_shows_the_radiograph_with_its_organs_and_lines(shown):
    data = re.search(r"data:image/jpeg;base64,([^\"]+)\"", shown._repr_html_())
    picture = imagecodecs.jpeg_decode(base64.b64decode(data[1]))
    expected = shown.overlay(420, measurements=True)
    assert picture.shape == expected.shape == (256, 256, 3)
    assert np.abs(picture.astype(int) - expected).mean() < 4


def test_it_lists_areas_ratio_and_predicted_dice(shown):
    page = shown._repr_html_()
    assert "256 &times; 256 pixels" in page
    for organ, area in shown.measurements.area_cm2.items():
        assert re.search(rf"{organ}</td>\s*<td>{area:.1f} cm²</td>", page)
    assert f"cardiothoracic ratio: {shown.measurements.cardiothoracic_ratio:.3f}" in page
    assert len(shown.quality.predicted_dice) == 3
    for dice in shown.quality.predicted_dice.values():
        assert f"<td>{dice:.2f}</td>" in page


def test_file_names_are_escaped(shown):
    page = shown._repr_html_()
    assert "<b>" not in page
    assert "<strong>&lt;b&gt;&amp;.png</strong>" in page


def test_missing_organs_and_measurements_are_named():
    labels = np.zeros((40, 60), np.uint8)
    labels[10:30, 5:20] = 3
    page = _segmentation(labels, labels, notes=("a lateral view",))._repr_html_()
    assert page.count("not found") == 2  # clavicles and heart
    assert "300 px" in page
    assert "cardiothoracic ratio: no heart found" in page
    assert "empty heart" in page
    assert "a lateral view" in page
