"""Publication of a finished run: model folder, report and scores."""

import json
from dataclasses import replace
from pathlib import Path

import imagecodecs
import numpy as np
import pytest

from helpers.tiny import TINY_CONFIG, tiny_network, write_cases
from xray_seg._util import tensorflow
from xray_seg.data.annotation import Annotation
from xray_seg.data.arrays import load_arrays
from xray_seg.data.cases import Case, read_truth
from xray_seg.data.splits import Split, split_cases
from xray_seg.errors import TrainingError
from xray_seg.models.model_folder import load_model, read_variables
from xray_seg.segmenter import Segmenter
from xray_seg.training.loader import OVERSAMPLING, validation_batch
from xray_seg.training.publish import _licence, publish
from xray_seg.training.report import table
from xray_seg.training.run_record import read_history
from xray_seg.training.trainer import fit


@pytest.fixture(scope="module")
def split(tmp_path_factory):
    cases = write_cases(tmp_path_factory.mktemp("cases"), 6)
    return split_cases(cases, validation=0.34, test=0.17)


@pytest.fixture(scope="module")
def published(split, tmp_path_factory):
    """A run of two epochs, published over another model: (folder, metrics, numbers reported)."""
    folder, done = tmp_path_factory.mktemp("runs") / "run", []
    with tiny_network(), pytest.MonkeyPatch.context() as patch:
        patch.setenv("CUDA_VISIBLE_DEVICES", "-1")
        fit(folder, split, replace(TINY_CONFIG, epochs=2))
        (folder / "model").mkdir()
        (folder / "model" / "left over").touch()
        metrics = publish(folder, split, "own", on_case=done.append)
    return folder, metrics, done


def test_the_published_model_is_complete_and_replaces_what_was_there(published):
    model = load_model(published[0] / "model")
    assert model.name == "own"
    assert model.size == 16
    assert model.card["network"] == "tiny"
    assert "licence" not in model.card  # not known of a user's own radiographs


def test_its_weights_are_those_that_were_trained(published):
    trained = tensorflow.keras().saving.load_model(published[0] / "weights.keras", compile=False)
    found = read_variables(load_model(published[0] / "model"))
    expected = trained.trainable_variables
    assert len(expected) > 10
    for value, variable in zip(found, expected, strict=False):
        np.testing.assert_array_equal(value, np.asarray(variable))


def test_the_card_records_how_the_weights_were_made(published, split):
    folder, _, _ = published
    card = load_model(folder / "model").card
    assert card["recipe"]["learning_rate"] == TINY_CONFIG.learning_rate
    assert card["split"]["validation"] == [case.name for case in split.validation]
    assert card["split"]["test"] == [case.name for case in split.test]
    assert card["epochs"] == len(card["history"]) == 2
    rows = read_history(folder)
    for kept, row in zip(card["history"], rows, strict=True):
        assert kept["val_loss"] == pytest.approx(row["val_loss"], abs=1e-4)
    assert card["epochs_seconds"] == round(sum(row["seconds"] for row in rows))


def test_the_scores_are_of_the_validation_cases_at_their_masks_size(published, split):
    folder, metrics, done = published
    assert done == [1, 2]
    segmenter = Segmenter(folder / "model", engine="litert")
    right = [np.mean(segmenter(case.image).labels == read_truth(case)) for case in split.validation]
    assert metrics["accuracy"] == pytest.approx(np.mean(right))
    assert {case["name"] for case in metrics["cases"]} == {case.name for case in split.validation}
    written = load_model(folder / "model").card["validation"]
    assert written["organs"] == metrics["organs"]
    assert (written["engine"], written["precision"]) == ("litert", "int8")
    assert "cases" not in written


def test_scores_on_the_grid_are_those_of_the_trained_network(published, split):
    folder, _, _ = published
    model = tensorflow.keras().saving.load_model(folder / "weights.keras", compile=False)
    scores = json.loads((folder / "scores.json").read_text("utf-8"))
    assert scores == load_model(folder / "model").card["grid_scores"]
    for part in ("train", "validation", "test"):
        arrays = load_arrays(getattr(split, part), TINY_CONFIG.size * OVERSAMPLING)
        images, truth = validation_batch(arrays)
        found = np.asarray(model(images, training=False))
        accuracy = np.mean(found.argmax(axis=-1) == truth.argmax(axis=-1))
        assert scores[f"{part}_accuracy"] == pytest.approx(accuracy, abs=1e-6)


def test_curves_and_examples_are_pictures(published):
    for name in ("curves.png", "examples.png"):
        picture = imagecodecs.png_decode((published[0] / name).read_bytes())
        assert picture.shape[0] > 200
        assert picture.std() > 5


def test_the_table_on_disk_holds_the_scores_on_the_grid(published):
    scores = json.loads((published[0] / "scores.json").read_text("utf-8"))
    lines = (published[0] / "table.md").read_text("utf-8").splitlines()[2:]
    found = [[cell.strip() for cell in line.split("|")[1:-1]] for line in lines]
    assert [row[0] for row in found] == ["train", "validation", "test"]
    for part, accuracy, _, loss, _ in found:
        assert float(accuracy) == pytest.approx(scores[f"{part}_accuracy"], abs=5.1e-5)
        assert float(loss) == pytest.approx(scores[f"{part}_loss"], abs=5.1e-4)


def test_the_table_sets_a_runs_scores_beside_the_studys():
    scores = {"train_accuracy": 0.98765, "train_loss": 0.1234}
    scores |= {"test_accuracy": 0.5, "test_loss": 2.0}
    rows = [[cell.strip() for cell in line.split("|")[1:-1]] for line in table(scores).splitlines()]
    assert rows[0] == ["cases", "accuracy", "study's", "loss", "study's"]
    assert rows[2] == ["train", "0.9877", "0.965", "0.123", "0.20"]
    assert rows[3] == ["test", "0.5000", "0.950", "2.000", "0.25"]
    assert len(rows) == 4


def test_a_folder_without_a_run_is_not_published(split, tmp_path):
    with pytest.raises(TrainingError, match="is not a run's record"):
        publish(tmp_path, split, "none")


def test_partly_annotated_cases_of_several_data_sets_are_published(split, tmp_path, monkeypatch):
    """Lung masks alone for a part, no masks for others: each data set has scores of its own."""
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "-1")
    lungs = Annotation(("lungs",), ("heart", "clavicles"))

    def renamed(case, name, **changes):
        return replace(case, name=f"{name}{case.name[-3:]}", dataset=name, **changes)

    def with_lungs(case):
        masks = {part: path for part, path in case.masks.items() if part.endswith("lung")}
        return renamed(case, "CLINIC", masks=masks, annotation=lungs)

    full = [renamed(case, "PHANTOM") for case in split.train]
    mixed = Split(
        (*full, *(renamed(case, "BARE", masks={}, annotation=Annotation(())) for case in full[:1])),
        (*full[:1], *map(with_lungs, split.validation)),
        0,
    )
    with tiny_network():
        fit(tmp_path, mixed, replace(TINY_CONFIG, epochs=1))
        metrics = publish(tmp_path, mixed, "own")
    assert list(metrics["datasets"]) == ["PHANTOM", "CLINIC"]
    clinic = metrics["datasets"]["CLINIC"]["organs"]
    assert clinic["heart"]["dice"]["undefined"] == len(split.validation)
    assert clinic["lungs"]["dice"]["undefined"] == 0
    means = [
        each["organs"]["heart"]["dice"]["mean"] for each in (metrics, *metrics["datasets"].values())
    ]
    assert means == [means[0], means[0], None]
    written = load_model(tmp_path / "model").card["validation"]
    assert written["datasets"] == metrics["datasets"]
    assert imagecodecs.png_decode((tmp_path / "examples.png").read_bytes()).std() > 5
    labelled = load_arrays(full, TINY_CONFIG.size * OVERSAMPLING)
    images, truth = validation_batch(labelled)
    path = tmp_path / "weights.keras"
    model = tensorflow.keras().saving.load_model(path, compile=False)
    right = np.asarray(model(images, training=False)).argmax(-1) == truth.argmax(-1)
    scores = json.loads((tmp_path / "scores.json").read_text("utf-8"))
    assert scores["train_accuracy"] == pytest.approx(right.mean(), abs=1e-6)


def test_weights_that_jsrt_went_into_have_its_licence():
    case = Case("JPCLN001", Path("JPCLN001.png"), {})
    split = Split((case,), (), 0)
    assert "research and education" in _licence(split, {})["licence"]
    own = Split((replace(case, name="own"),), (), 0)
    assert _licence(own, {}) == {}
    assert _licence(own, {"trained_before": ["JPCNN007"]}) == _licence(split, {})
