"""`xrayseg evaluate` with partly annotated data, lists of data sets, and existing label maps."""

import csv
import json
from pathlib import Path

import imagecodecs
import numpy as np
import pytest

from helpers.tiny import write_cases, write_gif, write_png
from xray_seg.data.cases import read_truth
from xray_seg.data.datasets import read_datasets
from xray_seg.data.phantom import make_phantom
from xray_seg.evaluation.summary import PUBLISHED
from xray_seg.models.model_folder import load_model

ORGANS = ("clavicles", "heart", "lungs")


@pytest.fixture(scope="module")
def sample(tmp_path_factory):
    """Four phantoms: all organs in ``scr``, whole lungs in ``lungs``, label maps in ``maps``."""
    folder = tmp_path_factory.mktemp("sample")
    for case in write_cases(folder, 4, 128):
        truth = read_truth(case)
        write_png(folder / "maps" / f"{case.name}.png", truth)
        write_gif(folder / "lungs" / f"{case.name}.gif", truth > 0)
    return folder


def metrics_of(out):
    return json.loads(Path(out, "metrics.json").read_text())


def rows_of(out):
    with Path(out, "cases.csv").open(newline="") as file:
        return list(csv.DictReader(file))


def test_lung_masks_score_lungs_alone(sample, xrayseg):
    data = ["--images", sample / "images", "--masks", sample / "lungs", "--organs", "lungs"]
    status, out, _ = xrayseg("evaluate", *data, "-o", "whole", "--lungs-include", "clavicles,heart")
    assert status == 0
    assert xrayseg("evaluate", *data, "-o", "alone")[0] == 0
    whole, alone = metrics_of("whole"), metrics_of("alone")
    for organ in ("clavicles", "heart"):
        assert whole["organs"][organ]["dice"]["undefined"] == 4
        assert whole["organs"][organ]["assd_px"]["mean"] is None
    better, worse = (each["organs"]["lungs"]["dice"]["mean"] for each in (whole, alone))
    assert better > worse + 0.02
    assert whole["accuracy"] > alone["accuracy"]
    assert whole["loss"] < alone["loss"]
    for row in rows_of("whole"):
        assert row["heart_dice"] == row["clavicles_hd95_px"] == row["lungs_assd_mm"] == ""
        assert float(row["lungs_dice"]) > 0.5
    assert "ASSD, px" in out
    assert "pixels of the masks" in out
    assert "Frid-Adar" not in out


def test_label_maps_as_masks_give_the_scores_of_masks(sample, xrayseg):
    images = ["evaluate", "--images", sample / "images", "--spacing", "1"]
    assert xrayseg(*images, "--masks", sample / "scr", "-o", "scr")[0] == 0
    _, out, _ = xrayseg(*images, "--masks", sample / "maps", "--label-maps", "-o", "maps")
    assert metrics_of("maps") == metrics_of("scr")
    assert "ASSD, mm" in out
    assert "pixels of the masks" not in out
    for case in metrics_of("maps")["cases"]:
        for organ in ORGANS:
            assert case[organ]["hd95_px"] == case[organ]["hd95_mm"]
    cases = {case["name"]: case for case in metrics_of("maps")["cases"]}
    for row in rows_of("maps"):
        case = cases[row["name"]]
        assert float(row["loss"]) == case["loss"]
        assert float(row["accuracy"]) == case["accuracy"]
        assert row["trained_on"] == "false"
        for organ in ORGANS:
            for score, value in case[organ].items():
                assert row[f"{organ}_{score}"] == ("" if value is None else str(value))


def write_list(sample, path, lungs=""):
    """A list of two data sets with the same radiographs, under other names in the second."""
    (sample / "clinic").mkdir(exist_ok=True)
    for kind in ("images", "lungs"):
        for file in (sample / kind).iterdir():
            copy = sample / "clinic" / kind / file.name.replace("SMALL", "CLINIC")
            copy.parent.mkdir(exist_ok=True)
            copy.write_bytes(file.read_bytes())
    path.write_text(
        f"""
[[datasets]]
name = "phantoms"
images = "images"
masks = "scr"
validation = 0.25

[[datasets]]
name = "clinic"
images = "clinic/images"
masks = "clinic/lungs"
organs = ["lungs"]
lungs-include = ["heart", "clavicles"]
validation = 0.5
{lungs}

[[datasets]]
name = "bare"
images = "images"
"""
    )
    return path


def test_each_data_set_has_a_table_and_the_scores_of_its_own_evaluation(sample, xrayseg):
    file = write_list(sample, Path("data.toml"))
    listed = ["evaluate", "--data-sets", file, "--data", sample]
    status, out, err = xrayseg(*listed, "-o", "both")
    assert status == 0
    assert "bare: has no masks; it is not scored" in err
    assert "phantoms: 4 cases" in out
    assert "clinic: 4 cases" in out
    both = metrics_of("both")
    one = ["--images", sample / "images", "--masks", sample / "scr"]
    two = ["--images", sample / "clinic/images", "--masks", sample / "clinic/lungs"]
    two += ["--organs", "lungs", "--lungs-include", "clavicles,heart"]
    for name, options in (("phantoms", one), ("clinic", two)):
        assert xrayseg("evaluate", *options, "-o", name)[0] == 0
        alone = metrics_of(name)
        assert {key: alone[key] for key in both["datasets"][name]} == both["datasets"][name]
    assert [row["dataset"] for row in rows_of("both")] == ["phantoms"] * 4 + ["clinic"] * 4


def test_a_part_is_that_of_the_shares_of_each_data_set(sample, xrayseg):
    file = write_list(sample, sample / "data.toml")
    status, _, err = xrayseg("evaluate", "--data-sets", file, "--part", "validation", "-o", "out")
    assert status == 0, err
    seed = load_model().card["split"]["seed"]
    splits = [each.split(seed=seed) for each in read_datasets(file)[:2]]
    expected = [case.name for split in splits for case in split.validation]
    assert len(expected) == 3
    assert [row["name"] for row in rows_of("out")] == expected
    status, _, err = xrayseg("evaluate", "--data-sets", file, "--part", "test")
    assert status == 1
    assert f"{file}: has no test case" in err


def test_label_maps_of_a_batch_score_as_the_weights_do(sample, xrayseg):
    """Radiographs at the resolution of the masks: the same label maps; finer ones: nearly."""
    data = ["evaluate", "--images", sample / "images", "--masks", sample / "scr"]
    assert xrayseg(*data, "-o", "weights")[0] == 0
    for save in ([], ["--format", "png"]):
        assert (
            xrayseg("batch", sample / "images", "-o", "masks", "-q", "--overwrite", *save)[0] == 0
        )
        options = ["--predictions", "masks" if not save else "masks/labels", "-o", "maps"]
        if save:
            for file in Path("masks/labels").glob("*.tif"):
                file.unlink(missing_ok=True)
        status, out, err = xrayseg(*data, *options)
        assert status == 0, err
        assert ", loss" not in out
        own, other = metrics_of("weights"), metrics_of("maps")
        assert other["organs"] == own["organs"]
        assert other["accuracy"] == own["accuracy"]
        assert (other["loss"], other["without_prediction"]) == (None, [])
        assert "weights" not in other
    Path("fine").mkdir()
    for number in range(1, 5):
        image = make_phantom(number, 128).radiograph.repeat(3, axis=0).repeat(3, axis=1)
        pixels = (image * 255).round().astype(np.uint8)
        Path(f"fine/SMALL{number:03d}.png").write_bytes(imagecodecs.png_encode(pixels))
    assert xrayseg("batch", "fine", "-o", "fine/out", "-q")[0] == 0
    fine = ["evaluate", "--images", "fine", "--masks", sample / "scr"]
    assert xrayseg(*fine, "-o", "weights")[0] == 0
    assert xrayseg(*fine, "--predictions", "fine/out", "-o", "maps")[0] == 0
    own, other = metrics_of("weights"), metrics_of("maps")
    for organ in ORGANS:
        for score, limit in (("dice", 0.01), ("assd_px", 0.2)):
            values = [each["organs"][organ][score]["mean"] for each in (own, other)]
            assert values[0] == pytest.approx(values[1], abs=limit)


def test_a_case_without_a_label_map_is_named_and_the_status_is_1(sample, xrayseg):
    Path("maps").mkdir()
    for name in ("SMALL001", "SMALL003", "SMALL004"):
        Path(f"maps/{name}.png").write_bytes((sample / "maps" / f"{name}.png").read_bytes())
    data = ["--images", sample / "images", "--masks", sample / "scr", "--predictions", "maps"]
    status, out, err = xrayseg("evaluate", *data, "-o", "out")
    assert status == 1
    assert "SMALL002.png: has no label map in maps" in err
    assert "1 cases are not scored" in out
    assert "SMALL002" in out
    metrics = metrics_of("out")
    assert metrics["without_prediction"] == ["SMALL002"]
    assert len(metrics["cases"]) == 3
    assert metrics["accuracy"] == 1
    rows = {row["name"]: row for row in rows_of("out")}
    assert rows["SMALL002"]["accuracy"] == rows["SMALL001"]["trained_on"] == ""
    Path("other").mkdir()
    Path("maps/SMALL001.png").rename("other/P9.png")
    status, out, err = xrayseg("evaluate", *data[:-1], "other")
    assert (status, out) == (1, "")
    assert "other: has no label map of these 4 cases" in err


def test_published_values_are_shown_for_jsrt_alone(sample, xrayseg):
    for name in ("images", "maps"):
        Path(name).mkdir()
        for number in (1, 2):
            (file,) = (sample / name).glob(f"SMALL{number:03d}.*")
            Path(name, f"JPCLN{number:03d}{file.suffix}").write_bytes(file.read_bytes())
    data = ["--images", "images", "--masks", "maps", "--label-maps", "--predictions", "maps"]
    out = xrayseg("evaluate", *data, "--organs", "lungs")[1]
    assert all(source in out for source in PUBLISHED)
    assert "these label maps" in out
    for name in ("images", "maps"):
        (file,) = Path(name).glob("JPCLN001.*")
        file.rename(file.with_stem("P1"))
    out = xrayseg("evaluate", *data)[1]
    assert not any(source in out for source in PUBLISHED)


@pytest.mark.parametrize(
    ("options", "hint"),
    [
        ([], "--data-sets"),
        (["--images", "."], "--masks"),
        (["--images", ".", "--masks", ".", "--data-sets", "x.toml"], "--images is not for"),
        (["--data-sets", "x.toml", "--organs", "lungs"], "--organs is not for"),
        (["--data-sets", "x.toml", "--label-maps"], "--label-maps is not for"),
        (["--data-sets", "x.toml", "--lungs-include", "heart"], "--lungs-include is not for"),
        (["--images", ".", "--masks", ".", "--data", "."], "--data-sets"),
        (["--images", ".", "--masks", ".", "--organs", "lungs,liver"], "clavicles, heart, lungs"),
        (["--images", ".", "--masks", ".", "--organs", ","], "clavicles, heart, lungs"),
        (["--images", ".", "--masks", ".", "--lungs-include", "lungs"], "--lungs-include"),
        (["--images", ".", "--masks", ".", "--predictions", ".", "--weights", "x"], "--weights"),
        (["--images", ".", "--masks", ".", "--predictions", ".", "--engine", "auto"], "--engine"),
        (["--images", ".", "--masks", ".", "--predictions", ".", "--part", "test"], "--part test"),
    ],
    ids=" ".join,
)
def test_wrong_usage_is_status_2_with_a_helpful_line(xrayseg, options, hint):
    status, out, err = xrayseg("evaluate", *options)
    assert (status, out) == (2, "")
    assert hint in err
    assert "Usage: xrayseg evaluate" in err


@pytest.mark.parametrize("command", ["train", "calibrate"])
def test_other_commands_take_the_same_descriptions_of_masks(sample, xrayseg, command):
    precision = ["--precision", "float32"] if command == "train" else []
    data = [command, "--images", sample / "images", "-o", "out", *precision]
    lungs = ["--masks", sample / "lungs", "--organs", "lungs"]
    status, _, err = xrayseg(*data, *lungs, "--lungs-include", "lungs")
    assert status == 2
    assert "--lungs-include" in err
    status, _, err = xrayseg(*data, "--masks", sample / "lungs")
    assert status == 1
    assert "no 'left clavicle' masks" in err
    lungs_maps = [*lungs, "--label-maps"]
    status, _, err = xrayseg(*data, *lungs_maps)
    assert status == 1
    asked = {"train": "is GIF; label maps are TIFF or PNG", "calibrate": "give 8 or more"}
    assert asked[command] in err
