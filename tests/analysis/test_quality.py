"""Predicted Dice and warnings, on phantoms that the shipped weights segment."""

import csv

import imagecodecs
import numpy as np
import pytest
from scipy import ndimage

from xray_seg import Radiograph, Segmenter
from xray_seg.analysis.calibration import load_calibration, save_calibration
from xray_seg.analysis.features import extract_features
from xray_seg.analysis.quality import (
    CUT,
    INVERTED,
    NOT_A_CHEST,
    ROTATED,
    SWAPPED,
    quality_from_features,
)
from xray_seg.analysis.shape_features import LATERALITY_FEATURES, SHAPE_FEATURES, shape_features
from xray_seg.cli import main
from xray_seg.data.phantom import make_phantom, phantom_labels
from xray_seg.labels import ORGANS
from xray_seg.models.model_folder import load_model
from xray_seg.postprocessing.laterality import find_sides
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


def test_the_calibration_belongs_to_the_default_weights():
    assert load_calibration().weights_sha256 == load_model(None).sha256


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
    probabilities = np.eye(4, dtype=np.float32)[labels]
    quality = quality_from_features(
        extract_features(Radiograph(radiograph(0)), labels, probabilities), load_calibration()
    )
    assert "empty heart" in quality.warnings
    assert quality.predicted_dice["heart"] == 0
    assert quality.predicted_dice["lungs"] > 0


def test_sure_probabilities_predict_more_than_unsure_ones():
    labels = phantom_labels(make_phantom(0, SIDE))
    sure = np.eye(4, dtype=np.float32)[labels]
    scores = [
        quality_from_features(
            extract_features(Radiograph(radiograph(0)), labels, p), load_calibration()
        ).score
        for p in (sure, 0.7 * sure + 0.075, 0.5 * sure + 0.125)
    ]
    assert scores == sorted(scores, reverse=True)
    assert scores[0] > scores[2] + 0.1


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


def test_a_calibration_comes_back_as_it_was_written(tmp_path, monkeypatch):
    calibration = load_calibration()
    save_calibration(calibration, tmp_path / "again.json")
    monkeypatch.setattr("xray_seg.analysis.calibration.CALIBRATION_FILE", tmp_path / "again.json")
    load_calibration.cache_clear()
    try:
        assert load_calibration() == calibration
    finally:
        load_calibration.cache_clear()


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
