"""What is derived of a prediction on the grid, against scipy and the whole grid."""

import numpy as np
import pytest
from scipy import ndimage

from xray_seg.kernels import margins, outline_lengths
from xray_seg.labels import CLAVICLES, HEART, LUNGS
from xray_seg.postprocessing.outlines import CERTAIN, STEPS
from xray_seg.postprocessing.prediction import GridPrediction
from xray_seg.preprocessing.letterbox import Letterbox


def blobs(seed, shape=(40, 50)):
    """Probabilities with several components of each organ, with holes, some at the border."""
    noise = np.random.default_rng(seed).normal(size=(*shape, 4))
    planes = ndimage.gaussian_filter(noise, (2.5, 2.5, 0))
    values = np.exp(4 * planes / planes.std())
    return (values / values.sum(axis=2, keepdims=True)).astype(np.float32)


@pytest.mark.parametrize("seed", range(6))
def test_pieces_are_areas_of_components(seed):
    values = blobs(seed)
    labels, found = values.argmax(axis=2), GridPrediction(values).pieces
    lungs = labels == LUNGS.label
    joined, _ = ndimage.label(lungs | (labels == CLAVICLES.label))
    expected = {LUNGS.name: np.bincount(joined[lungs])}
    for organ in (HEART, CLAVICLES):
        pieces, _ = ndimage.label(labels == organ.label)
        expected[organ.name] = np.bincount(pieces.ravel())[1:]
    for name, areas in expected.items():
        np.testing.assert_array_equal(found[name][found[name] > 0], np.sort(areas[areas > 0])[::-1])
        assert (np.diff(found[name]) <= 0).all()


@pytest.mark.parametrize("seed", range(12))
def test_raggedness_is_of_the_largest_heart_without_holes(seed):
    """scipy finds that heart on the whole grid."""
    values = blobs(seed)
    _, field = margins(values, HEART.label, CERTAIN, STEPS)
    pieces, _ = ndimage.label(field > 0)
    largest = pieces == np.bincount(pieces[pieces > 0]).argmax()
    heart = ndimage.binary_fill_holes(largest)
    size = np.maximum(np.abs(field), 1)
    length, hull = outline_lengths(np.where(heart, size, -size))
    assert length > hull
    assert GridPrediction(values).heart_raggedness == pytest.approx(length / hull, rel=1e-9)


def test_inside_is_what_the_image_covers():
    values = blobs(0, (40, 40))
    box = Letterbox(5, 0, 30, 40)
    found = GridPrediction.inside(box, values).probabilities
    np.testing.assert_array_equal(found, values[5:35])
    whole = GridPrediction.inside(Letterbox(0, 0, 40, 40), values).probabilities
    assert np.shares_memory(whole, values)
