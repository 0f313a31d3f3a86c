"""Files that show something else, and masks that nobody should trust."""

import csv
import json
import re
import shutil

import imagecodecs
import numpy as np
import pydicom
import pytest
from pydicom.uid import generate_uid

from helpers.dicom import FILES, make
from xray_seg import Segmenter
from xray_seg.analysis.measurements import MEASURES
from xray_seg.batch.options import BatchOptions
from xray_seg.batch.run import run_batch
from xray_seg.batch.run_record import RunRecord
from xray_seg.batch.verify import verify
from xray_seg.cli import main
from xray_seg.data.phantom import make_phantom

KINDS = ("labels", "overlay", "rle", "chexmask", "dicom-seg")


@pytest.fixture(scope="module")
def segmenter():
    return Segmenter()


def chest(path, seed=0, *, turns=0, **attributes):
    pixels = np.rot90(make_phantom(seed, 256).radiograph * 4000, turns).astype(np.uint16)
    return make(path, np.ascontiguousarray(pixels), **_study(), **attributes)


def noise(path, **attributes):
    pixels = np.random.default_rng(0).integers(0, 4096, (256, 256)).astype(np.uint16)
    return make(path, pixels, **_study(), **attributes)


def _study():
    uids = {f"{name}InstanceUID": generate_uid() for name in ("Study", "Series")}
    return {"BitsStored": 12, "PatientID": "1", "PatientName": "Phantom", "StudyID": "1", **uids}


def run(inputs, out, segmenter, **options):
    options.setdefault("save", KINDS)
    summary = run_batch([inputs], out, segmenter=segmenter, options=BatchOptions(**options))
    with (out / "results.csv").open(newline="") as file:
        return summary, {row["input"].rsplit("/", 1)[1]: row for row in csv.DictReader(file)}


@pytest.fixture
def mixed(tmp_path):
    folder = tmp_path / "in"
    folder.mkdir()
    chest(folder / "chest.dcm")
    chest(folder / "turned.dcm", 1, turns=1)
    chest(folder / "hand.dcm", 2, BodyPartExamined="HAND")
    noise(folder / "noise.dcm")
    for path in FILES:
        if path.name in ("MR_small.dcm", "CT_small.dcm", "examples_ybr_color.dcm"):
            shutil.copy(path, folder)
    return folder


def test_each_is_treated_as_what_it_is(mixed, tmp_path, segmenter):
    out = tmp_path / "out"
    summary, rows = run(mixed, out, segmenter)
    status = {name: row["status"] for name, row in rows.items()}
    assert status == {
        "chest.dcm": "ok",
        "turned.dcm": "ok",
        "noise.dcm": "doubtful",
        "hand.dcm": "skipped",
        "MR_small.dcm": "skipped",
        "CT_small.dcm": "skipped",
        "examples_ybr_color.dcm": "skipped",
    }
    assert "HAND" in rows["hand.dcm"]["error"]
    assert "MR" in rows["MR_small.dcm"]["error"]
    assert (summary.done, summary.skipped, summary.doubtful, summary.failed) == (3, 4, 1, 0)
    assert summary.processed == summary.total
    # Doubtful masks have pictures, and nothing that another program takes as a finding.
    for kind, names in (("labels", 3), ("overlay", 3), ("seg", 2), ("chexmask", 2)):
        assert len(list((out / kind).rglob("*.*"))) == names, kind
    coco = json.loads((out / "coco.json").read_text())
    assert {image["file_name"] for image in coco["images"]} == {"chest.dcm", "turned.dcm"}
    assert "no dicom-seg: the masks are doubtful" in rows["noise.dcm"]["notes"]
    assert not verify(out).problems
    record = json.loads((out / "run.json").read_text())
    assert record["counts"] == summary.counts
    assert record["shown"] == {
        "inverted": 0, "turned": 1, "mirrored": 0, "borders_left_out": 0, "second_look": 1
    }  # fmt: skip


def test_how_an_image_is_shown_is_said(mixed, tmp_path, segmenter):
    _, rows = run(mixed, tmp_path / "out", segmenter)
    row = rows["turned.dcm"]
    assert (row["polarity"], row["orientation"], row["rotation_deg"]) == (
        "stated", "second look", "90"
    )  # fmt: skip
    assert "turned by 90 degrees by a second look" in row["notes"]
    plain = rows["chest.dcm"]
    assert (plain["orientation"], plain["rotation_deg"], plain["field_of_view"]) == (
        "assumed", "0", ""
    )  # fmt: skip


def test_the_same_again_keeps_all_of_it(mixed, tmp_path, segmenter):
    out = tmp_path / "out"
    run(mixed, out, segmenter)
    before = (out / "results.csv").read_bytes()
    summary, _ = run(mixed, out, segmenter)
    assert (summary.done, summary.kept, summary.skipped, summary.doubtful) == (0, 3, 4, 1)
    assert (out / "results.csv").read_bytes() == before


def test_measured_again_it_is_the_same(mixed, tmp_path, segmenter, monkeypatch):
    """Also of an image that is stored turned: results.csv says how."""
    out = tmp_path / "out"
    _, rows = run(mixed, out, segmenter, spacing=0.5, sides=True)
    with pytest.raises(SystemExit):
        main(
            ["measure", str(out / "labels"), "--spacing", "0.5", "-o", str(tmp_path / "again.csv")]
        )
    with (tmp_path / "again.csv").open(newline="") as file:
        again = {row["input"].rsplit("/", 1)[1]: row for row in csv.DictReader(file)}
    for name in MEASURES:
        if "grey" not in name:
            assert again["turned.tif"][name] == rows["turned.dcm"][name], name
    assert again["turned.tif"]["rotation_deg"] == "90"


def test_what_was_written_before_is_said_to_be_there_still(mixed, tmp_path, segmenter):
    out = tmp_path / "out"
    run(mixed, out, segmenter, include_all=True, include_doubtful=True)
    _, rows = run(mixed, out, segmenter)
    assert (out / "seg" / "noise.dcm").is_file()
    for name in ("noise.dcm", "hand.dcm"):
        assert "an earlier run" in rows[name]["notes"]
    assert not verify(out).problems


def test_one_image_and_the_record_of_its_run(tmp_path, segmenter):
    (tmp_path / "in").mkdir()
    chest(tmp_path / "in" / "turned.dcm", 1, turns=2)
    run(tmp_path / "in", tmp_path / "out", segmenter)
    record = RunRecord.read(tmp_path / "out" / "run.json")
    assert (record.shown["turned"], record.doubtful) == (1, 0)
    assert record.weights["calibration_sha256"] == segmenter.model.calibration_sha256
    assert not verify(tmp_path / "out").problems


def test_the_review_page_shows_doubtful_masks_first_and_skipped_inputs_last(
    mixed, tmp_path, segmenter
):
    out = tmp_path / "out"
    run(mixed, out, segmenter)
    page = (out / "report.html").read_text()
    entries = [
        each
        for chunk in re.findall(r'<script type="application/json"[^>]*>(.*?)</script>', page, re.S)
        for each in json.loads(chunk)
    ]
    ranks = {each["name"].rsplit("/", 1)[1]: each["review_rank"] for each in entries}
    assert sorted(ranks, key=ranks.__getitem__)[0] == "noise.dcm"
    assert ranks["hand.dcm"] > ranks["chest.dcm"]
    assert all(("picture" in each) == (each["status"] != "skipped") for each in entries)


def test_an_engine_that_fails_in_the_second_look(tmp_path, segmenter):
    class Failing:
        calls = 0

        def __getattr__(self, name):
            return getattr(segmenter.engine, name)

        def predict(self, grids):
            self.calls += 1
            if self.calls > 1:
                raise ArithmeticError("too warm")
            return segmenter.engine.predict(grids)

    (tmp_path / "in").mkdir()
    chest(tmp_path / "in" / "turned.dcm", 1, turns=2)
    failing = Segmenter(segmenter.model, engine=Failing())
    _, rows = run(tmp_path / "in", tmp_path / "out", failing)
    assert rows["turned.dcm"]["status"] == "doubtful"
    assert (
        "no second look, the engine failed: ArithmeticError: too warm"
        in rows["turned.dcm"]["notes"]
    )


def test_all_and_doubtful_ones_on_request(mixed, tmp_path, segmenter):
    summary, rows = run(mixed, tmp_path / "out", segmenter, include_all=True, include_doubtful=True)
    assert summary.skipped == 0
    assert "seg/noise.dcm" in {
        path.relative_to(tmp_path / "out").as_posix() for path in (tmp_path / "out").rglob("*")
    }
    assert rows["hand.dcm"]["status"] == "ok"
    assert "body part HAND" in rows["hand.dcm"]["notes"]


def test_a_doubtful_image_may_have_no_file_at_all(tmp_path, segmenter):
    (tmp_path / "in").mkdir()
    noise(tmp_path / "in" / "noise.dcm")
    summary, rows = run(tmp_path / "in", tmp_path / "out", segmenter, save=("dicom-seg",))
    assert rows["noise.dcm"]["status"] == "doubtful"
    assert summary.failed == 0
    assert not (tmp_path / "out" / "seg").exists()


def test_a_segment_carries_its_predicted_dice_and_how_the_image_was_shown(
    mixed, tmp_path, segmenter
):
    out = tmp_path / "out"
    _, rows = run(mixed, out, segmenter)
    seg = pydicom.dcmread(out / "seg" / "turned.dcm")
    for segment in seg.SegmentSequence:
        (algorithm,) = segment.SegmentationAlgorithmIdentificationSequence
        facts = algorithm.AlgorithmParameters
        dice = rows["turned.dcm"][f"{segment.SegmentLabel.lower()}_predicted_dice"]
        assert f"predicted Dice={float(dice):.2f}" in facts
        assert "turned by 90 degrees" in facts


def test_options_of_the_command(mixed, tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "one").mkdir()
    image = make_phantom(0, 256).radiograph * 255
    padded = np.pad(np.rot90(image, 2), ((0, 0), (80, 80))).astype(np.uint8)
    (tmp_path / "one" / "x.png").write_bytes(imagecodecs.png_encode(padded))
    with pytest.raises(SystemExit):
        main(["batch", "one", "-o", "auto"])
    options = ["--orientation", "as-stored", "--field-of-view", "full", "--no-invert"]
    with pytest.raises(SystemExit):
        main(["batch", "one", "-o", "stored", *options])
    found = {}
    for name in ("auto", "stored"):
        with (tmp_path / name / "results.csv").open(newline="") as file:
            (found[name],) = csv.DictReader(file)
    assert found["auto"]["status"] == "ok"
    assert found["auto"]["rotation_deg"] == "180"
    assert found["auto"]["field_of_view"] == "80 0 336 256"
    assert found["stored"]["rotation_deg"] == "0"
    assert found["stored"]["field_of_view"] == ""
    assert found["stored"]["polarity"] == found["stored"]["orientation"] == "option"
    capsys.readouterr()
    with pytest.raises(SystemExit) as stop:
        main(["batch", str(mixed), "-o", "masks"])
    assert stop.value.code == 0
    said = " ".join(capsys.readouterr().err.split())
    assert "skipped" in said
    assert "HAND" in said
