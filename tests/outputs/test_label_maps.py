"""Batches with several kinds of output: merged files, resumed runs, notes and failures."""

import csv
import json
from pathlib import Path

import imagecodecs
import numpy as np
import pytest
import tifffile

from helpers.batches import to_shard
from helpers.coco import check_image, load, rows_of
from helpers.dicom import make
from helpers.dicom_seg import WHOSE, masks_in
from helpers.outputs import ALL
from xray_seg import Segmenter
from xray_seg.batch.options import BatchOptions
from xray_seg.batch.run import run_batch
from xray_seg.cli import main
from xray_seg.data.phantom import make_phantom
from xray_seg.labels import ORGANS, RIGHT_LEFT_LABELS
from xray_seg.outputs import FOLDERS
from xray_seg.postprocessing.laterality import split_sides

# Raised by pycocotools with NumPy 2.
pytestmark = pytest.mark.filterwarnings("ignore:__array__ implementation:DeprecationWarning")


@pytest.fixture(scope="module")
def segmenter():
    return Segmenter(engine="litert")


@pytest.fixture
def radiographs(tmp_path, monkeypatch):
    """A PNG radiograph, a DICOM radiograph in a subfolder, and a PDF file."""
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "")
    monkeypatch.delenv("XRAYSEG_WEIGHTS", raising=False)
    folder = tmp_path / "radiographs"
    (folder / "ward").mkdir(parents=True)
    write_radiograph(folder / "a.png", 1)
    pixels = (4095 * (1 - make_phantom(2, 96).radiograph)).astype(np.uint16)[:80]
    make(folder / "ward" / "b.dcm", pixels, PhotometricInterpretation="MONOCHROME1", **WHOSE)
    (folder / "guide.pdf").write_bytes(b"%PDF-1.4\n%")
    return folder


def write_radiograph(path, seed):
    radiograph = (make_phantom(seed, 80).radiograph * 255).astype(np.uint8)
    path.write_bytes(imagecodecs.png_encode(radiograph[:, 8:]))


def batch(*args):
    with pytest.raises(SystemExit) as stop:
        main(["batch", *map(str, args), "-q", "--engine", "litert"])
    return stop.value.code


def results(out):
    with (out / "results.csv").open(newline="", encoding="utf-8") as file:
        return {Path(row["input"]).name: row for row in csv.DictReader(file)}


@pytest.mark.parametrize("sides", [False, True])
def test_all_kinds_of_output_agree_with_the_label_maps(radiographs, tmp_path, sides, capfd):
    out = tmp_path / "out"
    assert batch(radiographs, "--out", out, "--save", ALL, *["--sides"] * sides) == 1
    data = load(out / "coco.json")
    parts = RIGHT_LEFT_LABELS.structures if sides else ORGANS
    named = [each["file_name"] for each in data.dataset["images"]]
    assert named == ["a.png", "ward/b.dcm"]
    rows = rows_of(out / "chexmask.csv")
    assert [row["Image ID"] for row in rows] == named
    for number, key in enumerate(("a", "ward/b"), 1):
        labels = tifffile.imread(out / "labels" / f"{key}.tif")
        assert labels.max() == (5 if sides else 3)
        check_image(data, number, labels, parts)
        for part in parts:
            organ = out / "organs" / f"{key}.{part.name.replace(' ', '-')}.tif"
            assert np.array_equal(tifffile.imread(organ) == 255, labels == part.label)
    masks = masks_in(out / "seg" / "ward" / "b.dcm", radiographs / "ward" / "b.dcm")
    assert [masks[part.name].sum() for part in parts] == [
        (labels == part.label).sum() for part in parts
    ]
    assert results(out)["guide.pdf"]["status"] == "failed"
    assert results(out)["b.dcm"]["notes"] == ""
    assert "no dicom-seg: the film is not a DICOM file" in results(out)["a.png"]["notes"]
    facts = json.loads((out / "run.json").read_text())
    assert facts["settings"]["sides"] is sides
    capfd.readouterr()


@pytest.mark.parametrize("sides", [False, True])
def test_only_organ_masks_of_lungs_are_whole(tmp_path, sides, monkeypatch, capfd):
    """Against the true masks of phantoms, stored upright and turned; a rerun changes the files."""
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "")
    monkeypatch.delenv("XRAYSEG_WEIGHTS", raising=False)
    phantom = make_phantom(5, 512)
    pixels = (4095 * phantom.radiograph).astype(np.uint16)
    (tmp_path / "in").mkdir()
    make(tmp_path / "in" / "upright.dcm", pixels, **WHOSE, PatientOrientation=["L", "F"])
    turned = np.ascontiguousarray(np.rot90(pixels)[::-1])  # rows run to the feet, columns left
    make(tmp_path / "in" / "turned.dcm", turned, **WHOSE, PatientOrientation=["F", "L"])
    out = tmp_path / "out"

    def files(*args):
        args = (tmp_path / "in", "--out", out, "--save", ALL, *["--sides"] * sides, *args)
        assert batch(*args) == 0
        paths = [path for folder in FOLDERS for path in (out / folder).rglob("*.*")]
        paths += [out / "coco.json", out / "chexmask.csv"]
        return {path.relative_to(out).as_posix(): path.read_bytes() for path in paths}

    before, after = files(), files("--whole")
    assert json.loads((out / "run.json").read_text())["settings"]["whole"] is True
    lungs = ("right-lung", "left-lung") if sides else ("lungs",)
    changed = {name for name in before if before[name] != after[name]}
    keys = ("upright", "turned")
    assert before.keys() == after.keys()
    assert changed == {f"organs/{key}.{lung}.tif" for key in keys for lung in lungs}
    rows = results(out)
    for key in keys:
        labels = tifffile.imread(out / "labels" / f"{key}.tif")
        assert rows[f"{key}.dcm"]["mirrored"] == ("true" if key == "turned" else "false")
        for lung in lungs:
            masks = [phantom.masks[f"{side} lung"] for side in ("right", "left") if side in lung]
            truth = np.any(
                masks or [phantom.masks[f"{side} lung"] for side in ("right", "left")], 0
            )
            truth = truth if key == "upright" else np.rot90(truth)[::-1]
            mask = tifffile.imread(out / "organs" / f"{key}.{lung}.tif") == 255
            label = {"left-lung": 5}.get(lung, 3)
            assert np.isin(labels[mask & (labels != label)], (1, 4)).all()
            scores = [(one & truth).sum() / (one | truth).sum() for one in (labels == label, mask)]
            assert scores[1] > scores[0] + 0.005
            row = rows[f"{key}.dcm"]
            assert int(row[f"{lung.replace('-', '_')}_whole_area_px"]) == mask.sum()
    capfd.readouterr()


def test_right_and_left_parts_make_up_the_organs(radiographs, tmp_path, segmenter):
    for sides in (False, True):
        out = tmp_path / str(sides)
        run_batch(
            [str(radiographs / "a.png")],
            out,
            segmenter=segmenter,
            options=BatchOptions(save=("labels",), sides=sides),
        )
    whole, split = (tifffile.imread(tmp_path / name / "labels/a.tif") for name in ("False", "True"))
    assert np.array_equal(split_sides(whole), split)
    columns = [np.nonzero(split == label)[1].mean() for label in (3, 5)]
    assert columns[0] < columns[1]  # the right lung is on the left of the image


SAVE = ("rle", "contours", "chexmask")


def go(radiographs, out, segmenter, **options):
    summary = run_batch(
        [str(radiographs)], out, segmenter=segmenter, options=BatchOptions(save=SAVE, **options)
    )
    return summary.done, summary.kept, summary.failed


def test_a_resumed_run_merges_all_images_in_the_order_of_the_inputs(
    radiographs, tmp_path, segmenter
):
    out, whole = tmp_path / "out", tmp_path / "whole"
    assert go(radiographs, out, segmenter) == (2, 0, 1)
    first = (out / "coco.json").read_bytes(), (out / "chexmask.csv").read_bytes()
    assert go(radiographs, out, segmenter) == (0, 2, 1)
    assert first == ((out / "coco.json").read_bytes(), (out / "chexmask.csv").read_bytes())
    write_radiograph(radiographs / "aa.png", 3)
    assert go(radiographs, out, segmenter) == (1, 2, 1)
    assert go(radiographs, whole, segmenter) == (3, 0, 1)
    for name in ("coco.json", "chexmask.csv"):
        assert (out / name).read_bytes() == (whole / name).read_bytes()
    named = [each["file_name"] for each in load(out / "coco.json").dataset["images"]]
    assert named == ["a.png", "aa.png", "ward/b.dcm"]


def test_an_input_that_fails_now_or_was_removed_is_not_in_merged_files(
    radiographs, tmp_path, segmenter
):
    out = tmp_path / "out"
    go(radiographs, out, segmenter)
    (radiographs / "a.png").write_bytes(b"\x89PNG\r\n\x1a\ndamaged")
    assert go(radiographs, out, segmenter) == (0, 1, 2)
    (image,) = load(out / "coco.json").dataset["images"]
    assert (image["id"], image["file_name"]) == (1, "ward/b.dcm")
    assert len(rows_of(out / "chexmask.csv")) == 1
    (radiographs / "ward" / "b.dcm").unlink()
    go(radiographs, out, segmenter)
    assert load(out / "coco.json").dataset["images"] == []


def test_an_interrupted_run_merges_the_finished_images(
    radiographs, tmp_path, segmenter, monkeypatch
):
    out, calls, predict = tmp_path / "out", [], segmenter.engine.predict

    def interrupted(grids):
        calls.append(grids)
        if len(calls) == 2:
            raise KeyboardInterrupt
        return predict(grids)

    monkeypatch.setattr(segmenter.engine, "predict", interrupted)
    assert go(radiographs, out, segmenter, batch_size=1)[0] == 1
    (image,) = load(out / "coco.json").dataset["images"]
    assert image["file_name"] == "a.png"
    assert go(radiographs, out, segmenter, batch_size=1)[:2] == (1, 1)
    assert len(load(out / "coco.json").dataset["images"]) == 2


def test_merged_files_have_one_label_scheme(radiographs, tmp_path, segmenter, monkeypatch):
    out, predict = tmp_path / "out", segmenter.engine.predict
    go(radiographs, out, segmenter)

    def interrupted(grids):
        raise KeyboardInterrupt

    monkeypatch.setattr(segmenter.engine, "predict", interrupted)
    go(radiographs, out, segmenter, sides=True)
    assert load(out / "coco.json").dataset["images"] == []
    monkeypatch.setattr(segmenter.engine, "predict", predict)
    go(radiographs, out, segmenter, sides=True)
    assert len(load(out / "coco.json").dataset["images"]) == 2


def test_shards_have_their_own_merged_files(radiographs, tmp_path, segmenter):
    out = tmp_path / "out"
    for index in (1, 2):
        run_batch(
            [str(radiographs)],
            out,
            segmenter=segmenter,
            options=BatchOptions(save=SAVE),
            shard=to_shard((index, 2)),
        )
    named = [
        each["file_name"]
        for index in (1, 2)
        for each in load(out / f"coco-{index}-of-2.json").dataset["images"]
    ]
    assert sorted(named) == ["a.png", "ward/b.dcm"]
    assert len(rows_of(out / "chexmask-1-of-2.csv") + rows_of(out / "chexmask-2-of-2.csv")) == 2


def test_outputs_in_the_input_folder_are_not_inputs(radiographs, segmenter):
    (radiographs / "guide.pdf").unlink()
    options = BatchOptions(save=(*SAVE, "labels", "dicom-seg"))
    for done, kept in ((2, 0), (0, 2)):
        summary = run_batch([str(radiographs)], radiographs, segmenter=segmenter, options=options)
        assert (summary.done, summary.kept, summary.failed) == (done, kept, 0)
    assert len(load(radiographs / "coco.json").dataset["images"]) == 2


def test_dicom_seg_alone_fails_inputs_in_other_formats(radiographs, tmp_path, segmenter):
    options = BatchOptions(save=("dicom-seg",))
    summary = run_batch([str(radiographs)], tmp_path / "out", segmenter=segmenter, options=options)
    assert (summary.done, summary.failed) == (1, 2)
    assert "not a DICOM file" in results(tmp_path / "out")["a.png"]["error"]


def test_without_highdicom_it_is_wrong_usage(radiographs, tmp_path, monkeypatch, capfd):
    from xray_seg.outputs import dicom_seg

    monkeypatch.setattr(dicom_seg, "find_spec", lambda name: None)
    assert batch(radiographs, "--out", tmp_path / "out", "--save", "dicom-seg") == 2
    assert "pip install 'xray-seg[dicom-seg]'" in capfd.readouterr().err
    assert not (tmp_path / "out").exists()
