"""Cases decoded to arrays, compared with block means computed in numpy."""

import numpy as np

from helpers.masks import random_masks, write_masks
from helpers.tiny import block_mean, slow_merge, slow_normalise, write_cases, write_png
from xray_seg.data.arrays import load_arrays, load_case
from xray_seg.data.cases import find_cases, read_truth
from xray_seg.preprocessing.preprocessor import Preprocessor
from xray_seg.readers import read


def test_a_radiograph_and_its_truth_are_block_means_on_the_grid(tmp_path):
    """A radiograph of 24 x 48 on a grid of 12 covers rows 3 to 8, a block of 4 x 4 a pixel."""
    noise = np.random.default_rng(5).integers(0, 128, (24, 48), np.uint8)
    pixels = noise + 5 * np.arange(24, dtype=np.uint8)[:, None]  # brighter below, as a chest is
    masks = random_masks(5, (24, 48))
    case = write_masks(tmp_path, masks)
    write_png(case.image, pixels)
    image, fractions = load_case(case, 12)
    assert image.dtype == np.float32
    assert fractions.dtype == np.uint8
    expected = np.zeros((12, 12))
    expected[3:9] = slow_normalise(block_mean(pixels, 4))
    np.testing.assert_allclose(image, expected, atol=1e-5)
    shares = np.zeros((12, 12, 4))
    shares[..., 0] = 1
    shares[3:9] = block_mean(np.eye(4)[slow_merge(masks)], 4)
    assert np.abs(fractions / 255 - shares).max() <= 0.5 / 255 + 1e-6


def test_an_inverted_export_is_corrected_as_in_inference(tmp_path):
    (case,) = write_cases(tmp_path / "plain", 1, 256)
    (dark,) = write_cases(tmp_path / "dark", 1, 256)
    write_png(dark.image, 255 - read(case.image).pixels)
    np.testing.assert_allclose(load_case(dark, 32)[0], load_case(case, 32)[0], atol=1e-5)
    np.testing.assert_array_equal(load_case(dark, 32)[0], Preprocessor(32)(read(dark.image)).grid)


def test_masks_coarser_than_the_radiograph_cover_the_same_part_of_the_grid(tmp_path):
    masks = random_masks(6, (16, 16))
    case = write_masks(tmp_path, masks)
    pixels = np.random.default_rng(6).integers(0, 256, (32, 32), np.uint8)
    write_png(case.image, pixels)
    image, fractions = load_case(case, 8)
    np.testing.assert_allclose(image, slow_normalise(block_mean(pixels, 4)), atol=1e-5)
    shares = block_mean(np.eye(4)[slow_merge(masks)], 2)
    assert np.abs(fractions / 255 - shares).max() <= 0.5 / 255 + 1e-6


def test_arrays_hold_the_cases_in_order_and_progress_is_reported(tmp_path):
    cases = write_cases(tmp_path, 3)[::-1]
    progress = []
    arrays = load_arrays(cases, 16, on_progress=progress.append)
    assert progress == [1, 2, 3]
    assert arrays.images.shape == (3, 16, 16)
    assert arrays.fractions.shape == (3, 16, 16, 4)
    for case, image, fractions in zip(cases, arrays.images, arrays.fractions, strict=True):
        alone = load_case(case, 16)
        np.testing.assert_array_equal(image, alone[0])
        np.testing.assert_array_equal(fractions, alone[1])


def test_a_real_radiograph_has_its_right_lung_on_the_left_and_its_heart_between(jsrt):
    case = find_cases(jsrt / "images", jsrt / "scr")[0]
    truth = read_truth(case)
    assert truth.shape == (1024, 1024)
    share = [np.mean(truth == label) for label in range(4)]
    assert share[1] < share[2] < share[3] < share[0]
    image, fractions = load_case(case, 64)
    lung, heart = fractions[..., 3] == 255, fractions[..., 2] == 255
    assert image[lung].mean() < image[heart].mean()
    columns = [np.nonzero(mask)[1].mean() for mask in (lung[:, :32], heart)]
    assert columns[0] < columns[1] < np.nonzero(lung[:, 32:])[1].mean() + 32
