"""Hearts, lungs and clavicles drawn on a grid: what smoothing changes, and what it leaves."""

import numpy as np
import pytest
from scipy import ndimage

from xray_seg.data.phantom import make_phantom
from xray_seg.evaluation.metrics import jaccard
from xray_seg.kernels import upsample_argmax
from xray_seg.labels import BACKGROUND, CLAVICLES, HEART, LUNGS
from xray_seg.postprocessing.outlines import RAGGED
from xray_seg.postprocessing.outlines import smooth_heart as smooth_heart_of
from xray_seg.postprocessing.prediction import GridPrediction
from xray_seg.postprocessing.restore import restore

SIZE, LARGE = 128, (512, 512)
Y, X = np.mgrid[:SIZE, :SIZE]


def ellipse(y, x, height, width):
    """Depth in pixels, roughly, below the outline of an ellipse; negative outside."""
    return (1 - np.hypot((Y - y) / height, (X - x) / width)) * min(height, width)


def probabilities(**depths):
    """(SIZE, SIZE, 4) soft probabilities; later organs cover earlier ones."""
    out = np.zeros((SIZE, SIZE, 4), np.float32)
    out[..., BACKGROUND] = 1
    for organ in (LUNGS, HEART, CLAVICLES):
        if organ.name in depths:
            share = 1 / (1 + np.exp(-3 * np.clip(depths[organ.name], -9, 9)))[..., None]
            out = out * (1 - share) + share * np.eye(4)[organ.label]
    return out.astype(np.float32)


def box(y0, y1, x0, x1):
    """Depth below the outline of a rectangle."""
    return np.min([Y - y0, y1 - Y, X - x0, x1 - X], axis=0) + 0.5


DISC = ellipse(64, 64, 25, 25)
SPIKE = np.maximum(DISC, box(62, 65, 64, 110))
BITE = np.minimum(DISC, -box(61, 66, 60, 100))
LAKE = np.minimum(DISC, -np.maximum(box(58, 70, 68, 80), box(63, 65, 68, 100)))


def smooth_heart(values):
    return smooth_heart_of(GridPrediction(values))


def heart_raggedness(values):
    return GridPrediction(values).heart_raggedness


def restored(values, shape=LARGE):
    return restore(GridPrediction(values), shape)[0]


def heart_of(field, **others):
    return restored(probabilities(heart=field, **others)) == HEART.label


@pytest.mark.parametrize("field", [DISC, ellipse(70, 60, 18, 30), ellipse(64, 64, 60, 40)])
def test_a_smooth_heart_is_left_as_it_is(field):
    values = probabilities(heart=field)
    assert smooth_heart(values) is values


@pytest.mark.parametrize("field", [SPIKE, BITE, LAKE], ids=["spike", "bite", "lake"])
def test_a_disc_with_a_defect_becomes_a_disc(field):
    before = upsample_argmax(probabilities(heart=field), LARGE) == HEART.label
    disc, after = heart_of(DISC), heart_of(field)
    assert heart_raggedness(probabilities(heart=field)) > RAGGED
    assert jaccard(before, disc) < 0.96
    assert jaccard(after, disc) > 0.975


def test_a_hook_beside_the_lung_goes_to_the_lung():
    hook = np.maximum(DISC, box(62, 66, 64, 112))
    lung = ellipse(64, 105, 40, 22)
    labels = restored(probabilities(lungs=lung, heart=hook))
    assert (labels[240:272, 400:440] == LUNGS.label).all()


def test_smoothing_leaves_little_that_is_ragged():
    for field in (SPIKE, BITE, LAKE):
        assert heart_raggedness(smooth_heart(probabilities(heart=field))) <= RAGGED


def test_other_organs_stay_as_they_are():
    """A thin costophrenic angle and the thin ends of clavicles, beside a ragged heart."""
    angle = np.maximum(box(40, 110, 96, 124), box(60, 123, 120, 123))
    clavicle = ellipse(20, 64, 2.2, 50)
    values = probabilities(lungs=angle, heart=SPIKE - 1e-6, clavicles=clavicle)
    plain = probabilities(lungs=angle, heart=DISC, clavicles=clavicle)
    found, expected = restored(values), restored(plain)
    assert (expected[470:490] == LUNGS.label).any()
    for organ in (LUNGS, CLAVICLES):
        away = X.repeat(4, 0).repeat(4, 1) > 112 if organ is LUNGS else True
        np.testing.assert_array_equal(
            (found == organ.label) & away, (expected == organ.label) & away
        )


def test_a_heart_that_would_vanish_is_left():
    """A cross of two thin lines: the whole of it is spikes."""
    values = probabilities(heart=np.maximum(box(63, 64, 14, 114), box(14, 114, 63, 64)))
    assert heart_raggedness(values) > RAGGED
    assert smooth_heart(values) is values


def test_pixels_left_to_the_lungs_connect_no_speck():
    """A bubble that cleanup drops, as the smallest of three lungs, is background from then on."""
    bubble = ellipse(118, 64, 6, 6)
    lungs = np.max([ellipse(50, 15, 40, 12), ellipse(50, 112, 40, 12), bubble], 0)
    values = probabilities(lungs=lungs, heart=np.maximum(DISC, box(64, 110, 62, 65)))
    scores = smooth_heart(values)
    assert (values.argmax(axis=2)[bubble > 1] == LUNGS.label).all()
    assert (scores.argmax(axis=2)[bubble > 1] == BACKGROUND).all()
    aside = lungs - bubble > 1
    np.testing.assert_array_equal(scores[aside][:, LUNGS.label], values[aside][:, LUNGS.label])


@pytest.mark.parametrize("shape", [(1, 1, 4), (2, 3, 4), (1, 40, 4)])
def test_tiny_grids(shape):
    random = np.random.default_rng(1)
    for _ in range(50):
        labels = restored(random.dirichlet(np.ones(4), shape[:2]).astype(np.float32), (9, 7))
        assert labels.shape == (9, 7)


def test_no_heart():
    values = probabilities(lungs=DISC)
    assert smooth_heart(values) is values
    assert heart_raggedness(values) == 1


def test_phantoms_with_noise_along_the_outline_become_no_worse():
    """Hearts with spikes and bites from noise of a few pixels: Jaccard before and after."""
    gains = []
    for seed in range(6):
        mask = make_phantom(seed, 512).masks["heart"]
        depth = ndimage.distance_transform_edt(mask) - ndimage.distance_transform_edt(~mask)
        depth = ndimage.zoom(depth, SIZE / 512, order=1) * SIZE / 512
        noise = ndimage.gaussian_filter(np.random.default_rng(seed).normal(size=(SIZE, SIZE)), 2)
        for strength in (0, 30, 60):
            values = probabilities(heart=depth + noise * strength)
            before = upsample_argmax(values, LARGE) == HEART.label
            after = restored(values) == HEART.label
            gains.append(jaccard(after, mask) - jaccard(before, mask))
            if strength == 0:
                np.testing.assert_array_equal(after, before)
    assert min(gains) > -0.005
    assert np.mean(gains) > 0.005
