"""docs/python.md: its examples run from top to bottom, and what their comments say is so."""

import re
import subprocess
import sys
from pathlib import Path

import pytest

import xray_seg
from xray_seg.cli import main

TEXT = (Path(__file__).parents[2] / "docs" / "python.md").read_text("utf-8")

#: Appended to the examples: what they state in comments and text.
CLAIMS = """
import tifffile, imagecodecs, json, csv

assert (radiograph.pixels.shape, radiograph.pixels.dtype.itemsize) == ((2048, 2048), 2)
assert (radiograph.spacing, radiograph.inverted) == ((0.175, 0.175), True)
assert radiograph.format == "JSRT raw"
assert np.array_equal(half.pixels, radiograph.pixels[:1024])
assert (result.labels.shape, result.labels.dtype) == ((2048, 2048), np.uint8)
assert heart.any() and np.array_equal(np.unique(result.labels), [0, 1, 2, 3])
assert np.array_equal(segmenter(array).labels, result.labels)
assert [each.radiograph.source for each in results] == list(map(str, paths)) and len(paths) == 3
# An engine may split a batch and one film between its threads in other ways.
assert (results[0].labels == result.labels).mean() > 0.999
columns = np.nonzero(heart.any(axis=0))[0]
assert found.heart_width_px == columns[-1] - columns[0] + 1
assert abs(found["heart_width_mm"] - found.heart_width_px * 0.175) < 1e-9
assert found.cardiothoracic_ratio == found.heart_width_px / found.thorax_width_px
assert (found.heart_line.right[0], found.heart_line.left[0]) == (columns[0], columns[-1])
assert abs(found["heart_mean_grey"] - radiograph.pixels[heart].mean()) < 1e-6
assert 0 < found["right_lung_area_cm2"] < found["right_lung_whole_area_cm2"]
assert set(np.unique(result.labels[whole_lungs])) == {1, 3}
assert whole_lungs[result.labels == 3].all()
from xray_seg.analysis.measurements import MEASURES
assert tuple(found.values) == MEASURES
assert unknown["heart_width_mm"] is None and unknown.notes == ()
assert unknown.reasons["heart_width_mm"] == "the spacing is not known"
assert unknown.cardiothoracic_ratio == found.cardiothoracic_ratio
assert again == found
assert (picture.shape, picture.dtype) == ((800, 800, 3), np.uint8)
assert lined.shape == (1024, 1024, 3)
assert not np.array_equal(lined, result.overlay())
assert np.array_equal(tifffile.imread("mask.tif"), result.labels)
assert np.array_equal(imagecodecs.png_decode(Path("mask.png").read_bytes()), result.labels)
assert len(json.loads(Path("mask.json").read_text())["annotations"]) == 3
assert len(list(csv.DictReader(Path("mask.csv").open()))) == 1
parts = tifffile.imread("parts.tif")
assert np.array_equal(np.unique(parts), [0, 1, 2, 3, 4, 5])
columns = [np.nonzero(parts == label)[1].mean() for label in (3, 5)]
assert columns[0] < columns[1]  # the right lung is on the left of the image
assert (summary.done, summary.kept, summary.failed) == (3, 0, 0)
assert tifffile.imread("masks/labels/PHANTOM001.tif").max() == 5
assert np.array_equal(right_lung | result.mask("left lung"), result.labels == 3)
assert isinstance(mixed[-1], xray_seg.XraySegError) and mixed[:-1] == results
assert str(result).startswith("sample/images/PHANTOM001.IMG: 2048 x 2048 pixels, cardiothoracic")
assert len(scores) == len(phantoms) == 3
assert 0.8 < scores[0].organs["lungs"]["dice"] <= 1
"""


def test_the_examples_run_and_their_comments_are_true(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "")
    monkeypatch.delenv("XRAYSEG_WEIGHTS", raising=False)
    command = re.search(r"`xrayseg (phantom [^`]*)`", TEXT)
    assert command
    with pytest.raises(SystemExit) as stop:
        main(command[1].split())
    assert stop.value.code == 0
    blocks = re.findall(r"```python\n(.*?)```", TEXT, re.DOTALL)
    assert len(blocks) == TEXT.count("```") // 2 > 5
    done = subprocess.run(
        [sys.executable, "-W", "error", "-c", "\n".join(blocks) + CLAIMS],
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    said = re.search(r"print\(error\)  # (.*)", TEXT)
    assert said
    lines = done.stdout.splitlines()
    assert lines[0] == said[1]
    assert lines[1:4] == [f"{organ.name} {organ.label} {organ.colour}" for organ in xray_seg.ORGANS]


def test_every_export_is_shown():
    shown = set(re.findall(r"xray_seg\.(\w+)", TEXT))
    shown |= {"CaseScores", "Case", "Summary"}  # what the calls return or take
    shown |= {"CLAVICLES", "HEART", "LUNGS"}  # as HEART
    shown |= {"Segmentation", "Measurements", "Quality"}  # what the calls return
    assert set(xray_seg.__all__) - {"__version__"} <= shown


def test_the_readme_points_to_it():
    readme = (Path(__file__).parents[2] / "README.md").read_text("utf-8")
    section = readme.split("## Python\n")[1].split("\n## ")[0]
    assert "(docs/python.md)" in section
