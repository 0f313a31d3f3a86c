"""Degraded radiographs: images and masks change alike, and stay what the models take."""

import numpy as np
import pytest

from xray_seg.data.degrade import FAMILIES, OTHERS, opaque
from xray_seg.data.phantom import make_phantom, phantom_labels


@pytest.mark.parametrize("degrade", FAMILIES, ids=lambda each: each.__name__)
@pytest.mark.parametrize("shape", [(96, 96), (96, 70), (3, 5)])
def test_masks_fit_the_image(degrade, shape):
    phantom = make_phantom(1, 96)
    image = phantom.radiograph[: shape[0], : shape[1]]
    labels = phantom_labels(phantom)[: shape[0], : shape[1]]
    before = image.copy(), labels.copy()
    for seed in range(3):
        changed, masks = degrade(image, labels, np.random.default_rng(seed))
        assert changed.shape == masks.shape
        assert masks.dtype == np.uint8
        assert np.isfinite(changed).all()
        assert set(np.unique(masks)) <= {0, 1, 2, 3}
    assert np.array_equal(image, before[0])  # the arguments are left alone
    assert np.array_equal(labels, before[1])


def test_opaque_brightens_lung_and_keeps_the_masks():
    phantom = make_phantom(1, 96)
    labels = phantom_labels(phantom)
    changed, masks = opaque(phantom.radiograph, labels, np.random.default_rng(0))
    assert np.array_equal(masks, labels)
    assert (changed - phantom.radiograph)[labels == 3].max() > 0.2


@pytest.mark.parametrize("draw", OTHERS, ids=lambda each: each.__name__)
def test_other_images_are_drawn(draw):
    image = draw(np.random.default_rng(0), 48)
    assert image.shape == (48, 48)
    assert np.isfinite(image).all()
