"""Calibrations: what is fitted, where it is kept, and when it is not used."""

import json
from dataclasses import replace

import numpy as np
import pytest

from xray_seg import Radiograph
from xray_seg.analysis.anatomy import load_anatomy
from xray_seg.analysis.calibration import calibration_of, read_calibration, save_calibration
from xray_seg.analysis.features import extract_features
from xray_seg.analysis.fit import WHOLE, Sample, fit_calibration
from xray_seg.analysis.quality import quality_from_features
from xray_seg.data.phantom import make_phantom, phantom_labels
from xray_seg.errors import DatasetError, WeightsError
from xray_seg.labels import ORGANS, RIGHT_LEFT_LABELS
from xray_seg.models.model_folder import CALIBRATION_FILE, load_model, write_card
from xray_seg.postprocessing.prediction import GridPrediction

NAMES = [each.name for each in (*ORGANS, *RIGHT_LEFT_LABELS.structures)]


@pytest.fixture
def model(tmp_path):
    folder = tmp_path / "model"
    folder.mkdir()
    (folder / "weights.bin").write_bytes(b"weights")
    write_card(folder, {"name": "own", "size": 64})
    return load_model(folder)


@pytest.fixture(scope="module")
def samples():
    """Phantoms with the less confidence the worse their Dice is said to be."""
    random = np.random.default_rng(0)
    found = []
    for seed in range(40):
        phantom = make_phantom(seed, 64)
        labels = phantom_labels(phantom)
        doubt = random.uniform(0.02, 0.7)
        probabilities = (1 - doubt) * np.eye(4, dtype=np.float32)[labels] + np.float32(doubt / 4)
        features = extract_features(
            Radiograph(phantom.radiograph), labels, GridPrediction(probabilities)
        )
        scores = dict.fromkeys(NAMES, 1 - doubt)
        found.append(Sample(str(seed), "phantoms", WHOLE, features, scores))
    return found


@pytest.fixture(scope="module")
def fitted(samples):
    return fit_calibration(samples[:30], load_anatomy(), "some weights")


def test_a_fit_recovers_the_order_and_the_level(samples, fitted):
    test = samples[30:]
    true = np.array([each.dice["heart"] for each in test])
    found = [quality_from_features(each.features, fitted, load_anatomy()) for each in test]
    for organ in ORGANS:
        predicted = np.array([quality.predicted_dice[organ.name] for quality in found])
        assert np.corrcoef(np.argsort(np.argsort(predicted)), np.argsort(np.argsort(true)))[
            0, 1
        ] == pytest.approx(1, abs=0.05)
        assert np.abs(predicted - true).mean() < 0.05


def test_no_coefficient_has_the_wrong_sign(fitted):
    for name, model in fitted.models.items():
        names = fitted.inputs["side" if name in ("lung", "clavicle") else "organ"]
        for each, weight in zip(names, model.coefficients, strict=True):
            is_better = each.endswith(("expected_dice", "mean_inside", "solidity"))
            assert (weight >= 0) if is_better else (weight <= 0), each


def test_an_organ_is_doubtful_where_most_masks_are_bad(samples, fitted):
    limit = fitted.models["lungs"].doubtful
    assert 0.8 < limit <= 0.9
    for each in samples:
        quality = quality_from_features(each.features, fitted, load_anatomy())
        if abs(each.dice["lungs"] - limit) > 0.08 and "not a frontal" not in str(quality.warnings):
            assert ("lungs doubtful" in quality.warnings) == (each.dice["lungs"] < limit)


def test_organs_without_known_dice_cannot_be_fitted(samples):
    unknown = [replace(each, dice={"lungs": 0.9}) for each in samples]
    with pytest.raises(DatasetError, match="known Dice of the clavicles; add masks"):
        fit_calibration(unknown, load_anatomy(), "")


def test_wrong_organs_of_drawn_images_do_not_make_an_organ_known(samples):
    nan = float("nan")
    unknown = [
        each if each.family not in (WHOLE,) else replace(each, dice={**each.dice, "heart": nan})
        for each in samples
    ]
    with pytest.raises(DatasetError, match="known Dice of the heart"):
        fit_calibration(unknown, load_anatomy(), "")


def test_models_of_unknown_organs_are_kept_from_other_weights(samples, fitted):
    lungs = ("lungs", "right lung", "left lung")
    known = [
        replace(each, dice={name: each.dice[name] for name in lungs if name in each.dice})
        for each in samples
    ]
    base = replace(fitted, weights_sha256="base")
    found = fit_calibration(known, load_anatomy(), "mine", base=base)
    assert found.weights_sha256 == "mine"
    for name in ("clavicles", "heart", "clavicle"):
        assert found.models[name] == fitted.models[name]
    full = fit_calibration(samples, load_anatomy(), "mine")
    assert found.models["lungs"] == full.models["lungs"]
    assert found.models["lungs"] != base.models["lungs"]
    assert found.fitted_to["kept"] == {"organs": ["clavicles", "heart"], "weights_sha256": "base"}


def test_a_calibration_is_kept_in_the_model_folder(model, fitted):
    assert calibration_of(model) is None
    assert model.calibration_sha256 == ""
    mine = replace(fitted, weights_sha256=model.sha256)
    save_calibration(mine, model.folder / CALIBRATION_FILE)
    again = load_model(model.folder)  # the added file does not make the folder invalid
    assert again.sha256 == model.sha256
    assert len(again.calibration_sha256) == 64
    found = calibration_of(again)
    for name, each in mine.models.items():
        assert found.models[name].coefficients == pytest.approx(each.coefficients, rel=1e-4)


def test_a_calibration_of_other_weights_or_other_inputs_is_not_used(model, fitted):
    path = model.folder / CALIBRATION_FILE
    save_calibration(fitted, path)
    assert calibration_of(model) is None
    inputs = {"organ": ["one"], "side": ["other"]}
    save_calibration(replace(fitted, weights_sha256=model.sha256, inputs=inputs), path)
    assert calibration_of(model) is None


@pytest.mark.parametrize("text", ["", "{}", "[]", '{"models": {}}'])
def test_a_file_that_is_no_calibration_is_refused_by_name(tmp_path, text):
    path = tmp_path / CALIBRATION_FILE
    path.write_text(text)
    with pytest.raises(WeightsError, match=r"calibration\.json: is not a calibration.*remove it"):
        read_calibration(path)


def test_a_calibration_names_what_it_was_fitted_to(fitted):
    assert fitted.fitted_to == {"phantoms whole": 30}
    assert json.dumps(fitted.fitted_to)
