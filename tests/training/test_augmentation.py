"""Augmentation: image and target stay aligned under geometric and intensity changes."""

import numpy as np
import pytest

from helpers.tiny import block_mean, slow_normalise
from xray_seg.data.phantom import make_phantom, phantom_labels
from xray_seg.preprocessing.preprocessor import Preprocessor
from xray_seg.radiograph import Radiograph
from xray_seg.training import augmentation
from xray_seg.training.augmentation import (
    AUGMENTATIONS,
    augment,
    augment_as_study,
    resample,
)

SIDE = 96
SEEDS = range(24)
#: Intensity of each label in the test pattern.
LIGHT = np.array([0, 1 / 3, 2 / 3, 1])


def one_hot(labels):
    return (np.eye(4)[labels] * 255).astype(np.uint8)


def pattern(background=True):
    """Return an image of 8 x 8 blocks whose intensity tells their label, and the class shares."""
    random = np.random.default_rng(9)
    blocks = random.integers(0 if background else 1, 4, (SIDE // 8, SIDE // 8))
    labels = blocks.repeat(8, 0).repeat(8, 1)
    return LIGHT[labels].astype(np.float32), one_hot(labels)


def chest(size=SIDE):
    phantom = make_phantom(2, size)
    return phantom.radiograph, one_hot(phantom_labels(phantom))


@pytest.mark.parametrize("seed", SEEDS)
def test_image_and_target_are_deformed_alike(seed, monkeypatch):
    """The intensity of pixels inside the source is a linear function of their target's."""
    monkeypatch.setattr(augmentation, "INTENSITY_SHARE", 0)
    image, shares = pattern(background=False)  # so background in the target is what lies outside
    warped, target = augment(image, shares, SIDE // 2, np.random.default_rng(seed))
    inside = (target[..., 0] == 0) & (warped > 0) & (warped < 1)
    assert inside.sum() > 200
    expected = (target @ LIGHT)[inside]
    line = np.polyfit(expected, warped[inside], 1)
    assert line[0] > 0
    assert np.abs(np.polyval(line, expected) - warped[inside]).max() < 1e-3


@pytest.mark.parametrize("seed", SEEDS)
def test_the_studys_augmentation_deforms_image_and_target_alike(seed):
    image, shares = pattern()
    warped, target = augment_as_study(image, shares, SIDE // 2, np.random.default_rng(seed))
    np.testing.assert_allclose(warped, slow_normalise(target @ LIGHT), atol=1e-4)


def test_image_and_target_stay_aligned_under_all_intensity_changes():
    """Of all shifts by up to 2 pixels, zero correlates best."""
    image, shares = pattern()
    fit = np.zeros((5, 5))
    for seed in SEEDS:
        warped, target = augment(image, shares, SIDE // 2, np.random.default_rng(seed))
        expected = (target @ LIGHT)[2:-2, 2:-2]
        for i, j in np.ndindex(5, 5):
            shifted = warped[i : i + len(expected), j : j + len(expected)]
            fit[i, j] += np.corrcoef(expected.ravel(), shifted.ravel())[0, 1]
    assert np.unravel_index(fit.argmax(), fit.shape) == (2, 2)
    assert fit[2, 2] > 0.5 * len(SEEDS)


@pytest.mark.parametrize("name", AUGMENTATIONS)
def test_an_augmented_case_is_an_image_from_0_to_1_and_shares_that_sum_to_1(name):
    image, shares = chest()
    for seed in SEEDS:
        warped, target = AUGMENTATIONS[name](image, shares, 48, np.random.default_rng(seed))
        assert warped.shape == (48, 48)
        assert target.shape == (48, 48, 4)
        assert warped.dtype == target.dtype == np.float32
        assert 0 <= warped.min() < warped.max() <= 1
        assert target.min() >= 0
        np.testing.assert_allclose(target.sum(axis=-1), 1, atol=1e-6)


@pytest.mark.parametrize("name", AUGMENTATIONS)
def test_the_same_generator_gives_the_same_bytes_and_the_case_stays_as_it_was(name):
    image, shares = chest()
    kept = image.copy(), shares.copy()
    results = [
        b"".join(
            part.tobytes()
            for part in AUGMENTATIONS[name](image, shares, 32, np.random.default_rng(seed))
        )
        for seed in (1, 2, 1)
    ]
    assert results[0] == results[2] != results[1]
    np.testing.assert_array_equal(image, kept[0])
    np.testing.assert_array_equal(shares, kept[1])


@pytest.mark.parametrize("label", [0, 3])
def test_a_case_without_a_heart_is_augmented_and_gets_no_heart(label):
    image, _ = chest()
    shares = one_hot(np.full((SIDE, SIDE), label))
    for seed in SEEDS:
        _, target = augment(image, shares, 32, np.random.default_rng(seed))
        assert set(np.nonzero(target)[2]) <= {0, label}
        assert target[..., label].mean() > 0.3


def test_most_of_the_lungs_stays_visible():
    image, shares = chest()
    before = resample(image, shares, 48)[1][..., 3].sum()
    for seed in SEEDS:
        after = augment(image, shares, 48, np.random.default_rng(seed))[1][..., 3].sum()
        assert 0.3 < after / before < 3


def test_the_studys_augmentation_flips_both_axes_and_repeats_the_border():
    corner = np.zeros((SIDE, SIDE), int) + 1
    corner[: SIDE // 2, : SIDE // 2] = 3
    places = set()
    for seed in SEEDS:
        image = LIGHT[corner].astype(np.float32)
        _, target = augment_as_study(image, one_hot(corner), 32, np.random.default_rng(seed))
        assert target[..., 0].max() == 0  # nothing outside comes in
        middle = np.argwhere(target[..., 3] > 0.5).mean(axis=0) > 15.5
        places.add(tuple(middle.tolist()))
        assert abs(target[..., 3].mean() - 0.25) < 0.03
    assert len(places) == 4


def test_a_resampled_case_is_the_mean_of_the_pixels_that_it_covers():
    image, shares = chest()
    plain, target = resample(image, shares, SIDE // 2)
    np.testing.assert_allclose(plain, slow_normalise(block_mean(image, 2)), atol=1e-5)
    np.testing.assert_allclose(target, block_mean(shares / 255, 2), atol=1e-6)


def test_a_resampled_case_is_close_to_the_grid_of_inference():
    image, _ = chest(512)
    finer = Preprocessor(128)(Radiograph(image)).grid
    grid = Preprocessor(64)(Radiograph(image)).grid
    plain, _ = resample(finer, one_hot(np.zeros((128, 128), int)), 64)
    assert np.abs(plain - grid).mean() < 0.005


def test_scaling_keeps_the_centre_of_the_heart():
    """Also after a shift and a zoom the heart is scaled about its own centre."""
    size = 64
    rows, columns = np.indices((2 * size, 2 * size))
    fractions = np.zeros((2 * size, 2 * size, 4), np.uint8)
    inside = (rows - 80) ** 2 + (columns - 70) ** 2 < 15**2
    fractions[..., 0], fractions[..., 2] = 255 * ~inside, 255 * inside
    identity = augmentation._identity(size, 2 * size)
    shifted = (identity - 64) * 0.8 + 64 + (5, -9)
    most = 0.0
    for seed in range(40):
        positions = augmentation._scale_heart(shifted.astype(np.float32), fractions, Scripted(seed))
        moved = np.abs(positions - shifted).sum(axis=2)
        near = np.hypot(shifted[..., 0] - 80, shifted[..., 1] - 70)
        assert moved[near < 1].max() < 0.5
        most = max(most, moved.max())
    assert most > 2


class Scripted:
    """A generator whose first draw enables the change."""

    def __init__(self, seed):
        self.random = lambda: 0.0
        self.uniform = np.random.default_rng(seed + 1000).uniform


@pytest.mark.parametrize("seed", range(30))
def test_no_deformation_folds_the_image(seed):
    size = 64
    positions = augmentation._identity(size, 2 * size)
    warped = augmentation._deform(positions.copy(), 2 * size, np.random.default_rng(seed))
    down, across = np.gradient(warped, axis=(0, 1))
    area = down[..., 0] * across[..., 1] - down[..., 1] * across[..., 0]
    assert area.min() > 0
