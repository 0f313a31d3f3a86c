"""`xrayseg train` and `xrayseg evaluate`: outputs, exit statuses and messages."""

import json
from pathlib import Path

import imagecodecs
import numpy as np
import pytest

from helpers.tiny import TINY_CONFIG, copied_exports, tiny_network
from xray_seg.data.phantom import make_phantom
from xray_seg.serving.export import export
from xray_seg.training.build import build_model

ORGANS = ["clavicles", "heart", "lungs"]
SCORES = ["dice", "jaccard", "assd_mm", "hd95_mm", "assd_px", "hd95_px"]


@pytest.fixture(scope="module")
def sample(tmp_path_factory):
    """Three small phantoms in the layout of the SCR database."""
    folder = tmp_path_factory.mktemp("sample")
    (folder / "images").mkdir()
    for number in range(1, 4):
        phantom = make_phantom(number, 128)
        image = imagecodecs.png_encode((phantom.radiograph * 255).astype(np.uint8))
        (folder / "images" / f"P{number}.png").write_bytes(image)
        for part, mask in phantom.masks.items():
            place = folder / "scr" / f"fold{2 - number % 2}" / "masks" / part
            place.mkdir(parents=True, exist_ok=True)
            picture = imagecodecs.gif_encode(mask.astype(np.uint8) * 255)
            (place / f"P{number}.gif").write_bytes(picture)
    return folder


def _data(sample):
    return ["--images", sample / "images", "--masks", sample / "scr"]


def test_metrics_json_has_the_shape_that_programs_rely_on(sample, xrayseg):
    status, out, _ = xrayseg("evaluate", *_data(sample), "--out", "scores", "--spacing", "1")
    assert status == 0
    metrics = json.loads(Path("scores/metrics.json").read_text())
    assert list(metrics["organs"]) == ORGANS
    for organ in ORGANS:
        assert list(metrics["organs"][organ]) == SCORES
        for score in SCORES:
            values = [case[organ][score] for case in metrics["cases"]]
            known = [value for value in values if value is not None]
            found = metrics["organs"][organ][score]
            assert found.keys() >= {"mean", "sd", "min"}
            if known:
                assert found["mean"] == pytest.approx(np.mean(known))
                assert found["min"] == min(known)
                assert found["sd"] == pytest.approx(np.std(known, ddof=1) if known[1:] else 0)
    assert 0 <= metrics["accuracy"] <= 1
    assert metrics["loss"] >= 0
    assert {case["name"] for case in metrics["cases"]} == {"P1", "P2", "P3"}
    for word in (*ORGANS, "P1", "P2", "P3", f"accuracy {metrics['accuracy']:.4f}"):
        assert word in out


def test_scores_of_a_case_agree_with_each_other_and_scale_with_the_spacing(sample, xrayseg):
    cases = []
    for spacing in ("1", "0.5"):
        xrayseg("evaluate", *_data(sample), "--out", spacing, "--spacing", spacing)
        cases.append(json.loads(Path(spacing, "metrics.json").read_text())["cases"])
    for coarse, fine in zip(*cases, strict=True):
        for organ in ORGANS:
            one, other = coarse[organ], fine[organ]
            assert one["dice"] == pytest.approx(2 * one["jaccard"] / (1 + one["jaccard"]))
            assert (one["dice"], one["jaccard"]) == (other["dice"], other["jaccard"])
            if one["assd_mm"] is not None:
                assert other["assd_mm"] == pytest.approx(one["assd_mm"] / 2)
                assert other["hd95_mm"] == pytest.approx(one["hd95_mm"] / 2)


def test_distances_are_in_pixels_without_a_spacing(sample, xrayseg):
    status, out, _ = xrayseg("evaluate", *_data(sample), "--out", "scores")
    assert status == 0
    organs = json.loads(Path("scores/metrics.json").read_text())["organs"]
    assert {organs[organ]["assd_mm"]["mean"] for organ in ORGANS} == {None}
    assert organs["lungs"]["assd_px"]["mean"] > 0
    assert "ASSD, px" in out
    assert "--spacing" in out


def test_a_part_without_any_case_is_an_error(sample, xrayseg):
    status, out, err = xrayseg("evaluate", *_data(sample), "--part", "validation")
    assert (status, out) == (1, "")
    assert "has no validation case" in err


@pytest.mark.parametrize("command", ["train", "evaluate"])
def test_missing_or_mismatched_folders_are_one_helpful_line(sample, xrayseg, command):
    def message(images, masks):
        status, out, err = xrayseg(command, "--images", images, "--masks", masks, "-o", "out")
        assert (status, out) == (1, "")
        assert err.startswith("xrayseg: ")
        assert len(err.splitlines()) == 1
        return err

    assert "gone: no such folder" in message("gone", sample / "scr")
    assert "no 'left clavicle' masks" in message(sample / "images", sample / "images")
    Path("more").mkdir()
    Path("more/P9.png").write_bytes((sample / "images" / "P1.png").read_bytes())
    assert "P9" in message("more", sample / "scr")
    assert not Path("out").exists()


@pytest.mark.parametrize(
    ("options", "hint"),
    [
        (["--size", "12"], "--size"),
        (["--size", "4"], "--size"),
        (["--epochs", "0"], "--epochs"),
        (["--batch-size", "0"], "--batch-size"),
        (["--learning-rate", "0"], "--learning-rate"),
        (["--phantoms", "49"], "--phantoms"),
        (["--recipe", "secret"], "standard"),
        (["--arch", "v-net"], "inverted-net"),
        (["--fold", "6/5"], "1/5"),
        (["--fold", "0/5"], "1/5"),
        (["--fold", "1/1"], "1/5"),
        (["--fold", "1/5/9"], "1/5"),
        (["--precision", "int8"], "float32"),
        (["--host", "3/2"], "I from 1 to N"),
        (["--host", "1/2"], "--coordinator"),
        (["--host", "1/2", "--coordinator", "somewhere"], "10.0.0.1:9876"),
        (["--coordinator", "10.0.0.1:9876"], "--host"),
    ],
    ids=lambda value: value if isinstance(value, str) else " ".join(value),
)
def test_wrong_training_options_are_status_2_with_a_helpful_line(sample, xrayseg, options, hint):
    precision = [] if "--precision" in options else ["--precision", "float32"]
    status, out, err = xrayseg("train", *_data(sample), "--out", "run", *precision, *options)
    assert (status, out) == (2, "")
    assert hint in err
    assert "Usage: xrayseg train" in err
    assert not Path("run").exists()


@pytest.fixture(scope="module")
def tiny_model(tmp_path_factory):
    """A model folder of the network ``tiny``, which stays registered."""
    with tiny_network():
        folder = tmp_path_factory.mktemp("models") / "tiny"
        yield export(build_model(TINY_CONFIG, 1), folder, "tiny", {})


def test_training_takes_network_and_size_from_the_initial_weights(sample, xrayseg, tiny_model):
    options = ["--epochs", "1", "--batch-size", "2", "--phantoms", "0", "--precision", "float32"]
    command = ["train", *_data(sample), "-o", "run", *options, "--init", tiny_model]
    with copied_exports(tiny_model):
        status, out, err = xrayseg(*command)
    assert status == 0, err
    record = json.loads(Path("run/run.json").read_text())
    assert (record["recipe"]["network"], record["recipe"]["size"]) == ("tiny", 16)
    card = json.loads(Path("run/model/card.json").read_text())
    assert (card["name"], card["network"], card["size"]) == ("run", "tiny", 16)
    assert "2 cases to train on, 1 to validate" in err
    assert "epoch 1/1  loss " in err
    assert "Use it: xrayseg batch folder/ --weights run/model --out masks/" in out


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (["--arch", "unet"], "do not fit unet: these initial weights are of tiny"),
        (["--recipe", "paper"], "do not fit inverted-net: these initial weights are of tiny"),
    ],
)
def test_options_that_contradict_the_initial_weights_are_refused(
    sample, xrayseg, tiny_model, options, message
):
    status, out, err = xrayseg("train", *_data(sample), "-o", "run", *options, "--init", tiny_model)
    assert (status, out) == (2, "")
    assert err.startswith(f"xrayseg: {tiny_model}: ")
    assert message in err
    assert not Path("run").exists()


@pytest.mark.parametrize("command", [["train", "--out", "run"], ["evaluate"]])
def test_radiographs_and_masks_must_be_given(xrayseg, command):
    status, _, err = xrayseg(*command)
    assert status == 2
    assert "--images" in err


PLAN = """
name = "ours"

[settings]
network = "tiny"
size = 16
batch-size = 2
phantoms = 0
epochs = 1
precision = "float32"

[[datasets]]
name = "sample"
images = "images"
masks = "scr"

[[stages]]
name = "only"
"""


def test_a_plan_is_trained_and_resumed(sample, xrayseg, tiny_model):
    Path("plan.toml").write_text(PLAN)
    command = ["train", "--config", "plan.toml", "--data", sample, "--out", "run"]
    with copied_exports(tiny_model):
        status, out, err = xrayseg(*command)
        assert status == 0
        assert "stage only" in err.splitlines()
        assert "--weights run/only/model" in out
        assert json.loads(Path("run/only/model/card.json").read_text())["name"] == "ours"
        assert xrayseg(*command)[0] == 1  # a run is not overwritten
        status, out, err = xrayseg(*command, "--resume")
        assert (status, "stage" in err) == (0, False)
        assert "--weights run/only/model" in out


def test_settings_of_a_plan_are_not_given_as_options(sample, xrayseg):
    Path("plan.toml").write_text(PLAN)
    plan = ["--config", "plan.toml", "--data", sample, "--out", "run"]
    for option in (["--epochs", "3"], ["--images", "x"], ["--seed", "1"], ["--finish"]):
        status, _, err = xrayseg("train", *plan, *option)
        assert status == 2
        assert f"{option[0]} cannot be given with --config" in err
    status, _, err = xrayseg("train", *_data(sample), "--data", sample, "--out", "run")
    assert (status, "--data is for --config" in err) == (2, True)


def test_organs_that_nothing_fills_in_are_named(sample, capfd):
    from xray_seg.cli.train import _warn
    from xray_seg.data.annotation import Annotation
    from xray_seg.data.cases import find_cases
    from xray_seg.data.splits import split_cases
    from xray_seg.training.config import TrainingConfig
    from xray_seg.training.run import TrainingResult

    def warning(annotation, **settings):
        cases = find_cases(sample / "images", sample / "scr", annotation=annotation)
        config, folder = TrainingConfig(**settings), Path("run")
        _warn(TrainingResult(folder, folder, {}, config, split_cases(cases)))
        return capfd.readouterr().err

    lungs = Annotation(("lungs",), ("clavicles",))
    assert "clavicles and heart: the masks of some cases do not show them" in warning(lungs)
    assert warning(lungs, labels_from="inverted-net-128") == ""
    assert warning(Annotation()) == ""


def test_the_initial_weights_fill_in_organs_without_masks(sample, xrayseg, tiny_model, monkeypatch):
    filled = []

    def fill_in(cases, model):
        filled.append(model.folder)
        return cases

    monkeypatch.setattr("xray_seg.training.trainer.fill_in_labels", fill_in)
    lungs = ["--organs", "lungs", "--lungs-include", "clavicles", "--epochs", "1"]
    lungs += ["--phantoms", "0", "--batch-size", "2", "--precision", "float32"]
    lungs += ["--init", tiny_model]
    with copied_exports(tiny_model):
        status, _, err = xrayseg("train", *_data(sample), *lungs, "--out", "run")
    assert status == 0, err
    assert "do not show them" not in err
    assert filled == [tiny_model]
    record = json.loads(Path("run/run.json").read_text())
    assert record["labels_from_sha256"] == record["init_sha256"] is not None
