"""Calibration of weights on radiographs with masks, and the command for it."""

import csv

import numpy as np
import pytest

from helpers.tiny import TINY_CONFIG, tiny_network, write_cases
from xray_seg import Segmenter
from xray_seg.analysis.calibration import calibration_of, read_calibration
from xray_seg.analysis.quality import UNCALIBRATED
from xray_seg.cli import main
from xray_seg.data.annotation import Annotation
from xray_seg.data.cases import find_cases
from xray_seg.data.degrade import FAMILIES, OTHERS
from xray_seg.errors import DatasetError
from xray_seg.evaluation import calibrating
from xray_seg.evaluation.calibrating import calibrate, structure_dice
from xray_seg.labels import ORGANS
from xray_seg.models.model_folder import CALIBRATION_FILE, load_model
from xray_seg.models.network import build_network
from xray_seg.serving.export import export


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """A model folder with a network that was not trained."""
    with tiny_network():
        network = build_network("tiny", TINY_CONFIG.size, seed=2)
        return export(network, tmp_path_factory.mktemp("model") / "model", "tiny", {})


@pytest.fixture(scope="module")
def cases(tmp_path_factory):
    root = tmp_path_factory.mktemp("cases")
    return root, write_cases(root, calibrating.FEWEST_CASES)


def run(*args):
    with pytest.raises(SystemExit) as stop:
        main([str(arg) for arg in args])
    return stop.value.code


def rows_of(folder, images, out):
    assert run("batch", images, "--out", out, "--weights", folder, "-q") == 0
    with (out / "results.csv").open(newline="") as file:
        return list(csv.DictReader(file))


def test_own_weights_have_no_predicted_dice_until_they_are_calibrated(
    folder, cases, tmp_path, capsys
):
    root, found = cases
    out = tmp_path / "out"
    columns = ["quality", *(f"{organ.name}_predicted_dice" for organ in ORGANS)]
    for row in rows_of(folder, root / "images", out):
        assert [row[column] for column in columns] == [""] * len(columns)
        assert UNCALIBRATED in row["notes"].split("; ")
    assert UNCALIBRATED in (out / "report.html").read_text()
    result = Segmenter(folder)(found[0].image)
    assert result.quality.reason == UNCALIBRATED
    assert UNCALIBRATED in str(result)
    assert UNCALIBRATED in result._repr_html_()

    arguments = ["--images", root / "images", "--masks", root / "scr", "--weights", folder]
    assert run("calibrate", *arguments) == 0
    assert str(folder / CALIBRATION_FILE) in capsys.readouterr().out.replace("\n", "")
    calibration = calibration_of(load_model(folder))
    assert sum(calibration.fitted_to.values()) == len(found) * len(FAMILIES) + 10 * len(OTHERS)
    # The calibration is part of the settings, so that the same images are done again.
    for row in rows_of(folder, root / "images", out):
        assert all(0 <= float(row[column]) <= 1 for column in columns)
        assert UNCALIBRATED not in row["notes"]
    (folder / CALIBRATION_FILE).unlink()


def test_the_calibration_can_be_written_elsewhere(folder, cases, tmp_path):
    root, _ = cases
    arguments = ["--images", root / "images", "--masks", root / "scr", "--weights", folder]
    assert run("calibrate", *arguments, "--out", tmp_path / "mine.json") == 0
    assert read_calibration(tmp_path / "mine.json").weights_sha256 == load_model(folder).sha256
    assert calibration_of(load_model(folder)) is None


def test_too_few_radiographs_are_refused(folder, cases):
    with pytest.raises(DatasetError, match="3 radiographs with masks: give 8 or more"):
        calibrate(Segmenter(folder), cases[1][:3])


def test_dice_by_side():
    truth = np.zeros((20, 20), np.uint8)
    truth[5:15, 2:8] = truth[5:15, 12:18] = 3
    labels = truth.copy()
    labels[:10, 10:] = 0
    found = structure_dice(labels, truth)
    assert found["right lung"] == 1
    assert found["left lung"] == pytest.approx(2 / 3)
    assert found["lungs"] == pytest.approx(2 * 90 / 210)
    assert np.isnan(found["heart"])
    assert np.isnan(found["left clavicle"])


def whole_lungs():
    """Lungs that reach behind a heart, as their masks show them, and a prediction of both."""
    truth = np.zeros((30, 30), np.uint8)
    truth[5:25, 2:12] = truth[5:25, 18:28] = 3
    labels = truth.copy()
    labels[15:25, 10:22] = 2
    return labels, truth


def test_dice_of_lungs_that_include_the_heart_leaves_it_out():
    labels, truth = whole_lungs()
    found = structure_dice(labels, truth, Annotation(("lungs",), ("heart",)))
    assert found["lungs"] == found["right lung"] == found["left lung"] == 1
    found = structure_dice(labels, truth, Annotation(("lungs",)))
    assert found["lungs"] == pytest.approx(2 * 340 / (400 + 340))
    assert found["left lung"] == pytest.approx(2 * 160 / (200 + 160))


def test_dice_is_unknown_of_unknown_and_of_absent_organs_alone():
    labels, truth = whole_lungs()
    lungs_only = structure_dice(labels, truth, Annotation(("lungs",), ("heart",)))
    known = structure_dice(labels, truth, Annotation(("lungs", "heart")))
    for found in (lungs_only, known):  # the heart is unknown, or known to be absent
        assert np.isnan(found["heart"])
        assert np.isnan(found["clavicles"])
        assert np.isnan(found["right clavicle"])
    labels[truth == 3] = 2  # all of the lungs taken for the heart
    found = structure_dice(labels, truth, Annotation(("lungs",), ("heart",)))
    assert found["lungs"] == found["right lung"] == 0


def test_partly_annotated_cases_calibrate_what_they_show(folder, cases):
    root, found = cases
    lungs = Annotation(("lungs",), ("heart", "clavicles"))
    partial = find_cases(root / "images", root / "scr", annotation=lungs)
    segmenter = Segmenter(folder)
    mixed = [*found[:4], *partial[4:]]
    calibration = calibrate(segmenter, mixed)
    assert sum(calibration.fitted_to.values()) == len(found) * len(FAMILIES) + 10 * len(OTHERS)
    image, truth = calibrating.read_reduced(partial[0])
    assert set(np.unique(truth)) == {0, 3}
    samples = calibrating.degraded_samples(
        segmenter, "a", "masks", image, truth, seed=0, annotation=lungs
    )
    for sample in samples:
        assert np.isnan(sample.dice["heart"])
        assert np.isnan(sample.dice["left clavicle"])
        assert not np.isnan(sample.dice["lungs"])
