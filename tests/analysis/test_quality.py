"""Predicted Dice and warnings, on phantoms that the shipped weights segment."""

import csv

import imagecodecs
import numpy as np
import pytest
from scipy import ndimage

from xray_seg import Radiograph, Segmenter
from xray_seg.analysis.anatomy import load_anatomy
from xray_seg.analysis.calibration import calibration_of
from xray_seg.analysis.features import extract_features
from xray_seg.analysis.quality import (
    ASYMMETRIC,
    CUT,
    INVERTED,
    NOT_A_CHEST,
    ROTATED,
    SWAPPED,
    UNCALIBRATED,
    estimate_quality,
    quality_from_features,
)
from xray_seg.analysis.shape_features import LATERALITY_FEATURES, SHAPE_FEATURES, shape_features
from xray_seg.cli import main
from xray_seg.data.phantom import make_phantom, phantom_labels
from xray_seg.labels import ORGANS
from xray_seg.models.model_folder import load_model, shipped_models
from xray_seg.postprocessing.laterality import find_sides
from xray_seg.postprocessing.prediction import GridPrediction
from xray_seg.preprocessing.corrections import NONE

SIDE = 256


@pytest.fixture(scope="module")
def segmenter():
    """Without a second look, which would correct what the warnings are about."""
    return Segmenter(corrections=NONE)


def radiograph(seed: int) -> np.ndarray:
    return make_phantom(seed, SIDE).radiograph


def warnings_of(segmenter, pixels, inverted=False) -> tuple[str, ...]:
    pixels = np.ascontiguousarray(pixels, np.float32)
    return segmenter(Radiograph(pixels, inverted)).quality.warnings


def quality_of(labels, probabilities=None, calibration=None):
    """Quality of a phantom's radiograph with other masks."""
    if probabilities is None:
        probabilities = np.eye(4, dtype=np.float32)[labels]
    features = extract_features(Radiograph(radiograph(0)), labels, GridPrediction(probabilities))
    calibration = calibration or calibration_of(load_model())
    return quality_from_features(features, calibration, load_anatomy())


@pytest.mark.parametrize("name", shipped_models())
def test_each_of_the_shipped_weights_has_its_calibration(name):
    model = load_model(name)
    assert calibration_of(model).weights_sha256 == model.sha256


def test_sound_radiographs_are_trusted(segmenter):
    for seed in range(8):
        quality = segmenter(Radiograph(radiograph(seed))).quality
        assert quality.warnings == ()
        assert quality.score > 0.85
        assert quality.score == pytest.approx(np.mean(list(quality.predicted_dice.values())))


@pytest.mark.parametrize("turns", [1, 2, 3])
def test_turned_radiographs_get_a_warning(segmenter, turns):
    for seed in range(3):
        found = warnings_of(segmenter, np.rot90(radiograph(seed), turns))
        assert ROTATED in found or NOT_A_CHEST in found


def test_mirrored_radiographs_get_a_warning(segmenter):
    found = [SWAPPED in warnings_of(segmenter, radiograph(seed)[:, ::-1]) for seed in range(8)]
    assert np.mean(found) > 0.6


def test_a_radiograph_that_contradicts_its_stated_polarity_gets_a_warning(segmenter):
    for seed in range(3):
        assert INVERTED in warnings_of(segmenter, 1 - radiograph(seed))
        assert INVERTED not in warnings_of(segmenter, 1 - radiograph(seed), inverted=True)


def test_a_radiograph_that_cuts_organs_gets_a_warning(segmenter):
    for seed in range(3):
        assert CUT in warnings_of(segmenter, radiograph(seed)[:, : int(SIDE * 0.75)])


@pytest.mark.parametrize(
    "pixels",
    [
        np.zeros((SIDE, SIDE)),
        np.random.default_rng(0).random((SIDE, SIDE)),
        ndimage.gaussian_filter(np.random.default_rng(1).random((SIDE, SIDE)), 9),
        np.ones((1, 1)),
        np.indices((3, 200)).sum(axis=0),
    ],
)
def test_what_is_no_chest_radiograph_is_not_trusted(segmenter, pixels):
    quality = segmenter(Radiograph(pixels.astype(np.float32))).quality
    assert NOT_A_CHEST in quality.warnings
    assert quality.score < 0.5


def test_blur_and_noise_lower_the_prediction(segmenter):
    sharp, spoilt = [], []
    for seed in range(4):
        random = np.random.default_rng(seed)
        grain = 0.5 * random.standard_normal((SIDE, SIDE))
        sharp.append(segmenter(Radiograph(radiograph(seed))).quality.score)
        spoilt.append(
            segmenter(Radiograph((radiograph(seed) + grain).astype(np.float32))).quality.score
        )
    assert max(spoilt) < min(sharp)


def test_an_organ_that_was_not_found_has_no_dice():
    labels = phantom_labels(make_phantom(0, SIDE))
    labels[labels == 2] = 0
    quality = quality_of(labels)
    assert "empty heart" in quality.warnings
    assert quality.predicted_dice["heart"] == 0
    assert quality.predicted_dice["lungs"] > 0


def test_sure_probabilities_predict_more_than_unsure_ones():
    labels = phantom_labels(make_phantom(0, SIDE))
    sure = np.eye(4, dtype=np.float32)[labels]
    scores = [quality_of(labels, p).score for p in (sure, 0.7 * sure + 0.075, 0.5 * sure + 0.125)]
    assert scores == sorted(scores, reverse=True)
    assert scores[0] > scores[2] + 0.1


@pytest.mark.parametrize(("side", "image_side"), [("left", 1), ("right", 0)])
def test_a_tiny_clavicle_is_named(side, image_side):
    labels = phantom_labels(make_phantom(0, SIDE))
    half = labels[:, SIDE // 2 :] if image_side else labels[:, : SIDE // 2]
    rows, columns = np.nonzero(half == 1)
    outside = (np.abs(np.arange(SIDE) - rows.mean()) > 4)[:, None] | (
        np.abs(np.arange(half.shape[1]) - columns.mean()) > 4
    )
    assert quality_of(labels).warnings == ()
    half[outside & (half == 1)] = 0
    assert 10 < np.count_nonzero(half == 1) < 100
    assert quality_of(labels).warnings == (f"{side} clavicle doubtful",)


def test_a_clavicle_that_is_missing_is_named():
    labels = phantom_labels(make_phantom(0, SIDE))
    left = labels[:, SIDE // 2 :]
    left[left == 1] = 0
    assert "left clavicle doubtful" in quality_of(labels).warnings


def test_a_ragged_heart_predicts_less_than_a_smooth_one():
    labels = phantom_labels(make_phantom(0, SIDE))
    ragged = labels.copy()
    heart = labels == 2
    comb = heart & ~ndimage.binary_erosion(heart, iterations=8) & (np.arange(SIDE) % 6 < 3)[:, None]
    ragged[comb] = 0
    # The same probabilities for both: only the outline differs.
    probabilities = (0.97 * np.eye(4, dtype=np.float32)[labels] + 0.0075).astype(np.float32)
    smooth, rough = (quality_of(each, probabilities) for each in (labels, ragged))
    assert rough.predicted_dice["heart"] < smooth.predicted_dice["heart"]


@pytest.mark.parametrize("columns", [slice(0, SIDE // 2), slice(SIDE // 2, SIDE)])
def test_one_small_lung_is_asymmetric_and_not_swapped(columns):
    labels = phantom_labels(make_phantom(0, SIDE))
    half = labels[:, columns]
    rows = np.nonzero((half == 3).any(axis=1))[0]
    lower = half[int(rows.mean()) :]
    lower[lower == 3] = 0
    upper = half[: rows.min() + 25]
    upper[upper == 3] = 0
    warnings = quality_of(labels).warnings
    assert ASYMMETRIC in warnings
    assert SWAPPED not in warnings


def test_weights_without_a_calibration_have_no_predicted_dice(segmenter):
    result = segmenter(Radiograph(radiograph(0)[:, : int(SIDE * 0.75)]))
    quality = estimate_quality(result.radiograph, result.labels, result.prediction, None)
    assert quality.predicted_dice == {}
    assert quality.score is None
    assert quality.reason == UNCALIBRATED
    assert CUT in quality.warnings  # which needs no calibration


def test_a_mirrored_map_has_a_mirrored_shape():
    labels = phantom_labels(make_phantom(3, SIDE))
    one, other = (shape_features(find_sides(each)) for each in (labels, labels[:, ::-1].copy()))
    mirrored = {"right_lung_x": "left_lung_x", "left_lung_x": "right_lung_x"}
    for place, name in enumerate(SHAPE_FEATURES):
        twin = other[SHAPE_FEATURES.index(mirrored.get(name, name))]
        if name in (*LATERALITY_FEATURES, "lungs_level", "clavicles_x", "clavicles_right_to_left"):
            expected = 1 - twin if name.endswith("_x") else -twin
        else:
            expected = 1 - twin if name in mirrored else twin
        assert one[place] == pytest.approx(expected, abs=1e-6), name


def test_batch_lists_what_to_distrust_worst_first(tmp_path, capsys):
    radiographs = tmp_path / "radiographs"
    radiographs.mkdir()
    noise = np.random.default_rng(0).random((SIDE, SIDE))
    for name, pixels in (("a", radiograph(0)), ("b", noise), ("c", np.rot90(radiograph(1)))):
        content = imagecodecs.png_encode(np.ascontiguousarray(pixels * 255, np.uint8))
        (radiographs / f"{name}.png").write_bytes(content)
    out = tmp_path / "out"
    with pytest.raises(SystemExit) as stop:
        main(
            [
                "batch",
                str(radiographs),
                "-o",
                str(out),
                "--min-quality",
                "0.8",
                "--no-invert",
                "--orientation",
                "as-stored",
            ]
        )
    assert stop.value.code == 0
    said = capsys.readouterr()
    assert "2 to distrust" in said.out.replace("\n", " ")
    assert NOT_A_CHEST in said.err.replace("\n", " ")
    with (out / "results.csv").open(newline="") as file:
        rows = {row["input"][-5]: row for row in csv.DictReader(file)}
    with (out / "distrusted.csv").open(newline="") as file:
        below = [row["input"][-5] for row in csv.DictReader(file)]
    assert sorted(below) == ["b", "c"]
    assert below == sorted(below, key=lambda name: float(rows[name]["quality"]))
    assert float(rows["a"]["quality"]) > 0.8
    for organ in ORGANS:
        assert 0 <= float(rows["b"][f"{organ.name}_predicted_dice"]) <= 1
