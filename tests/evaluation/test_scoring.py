"""Evaluation of segmenters whose output is known."""

import numpy as np
import pytest

from helpers.dicom import make
from helpers.reference import slow_distances
from helpers.tiny import write_cases, write_gif
from xray_seg.data.cases import find_cases, read_truth
from xray_seg.evaluation.scoring import evaluate
from xray_seg.preprocessing.corrections import NONE
from xray_seg.segmenter import Segmenter


@pytest.fixture(scope="module")
def cases(tmp_path_factory):
    return write_cases(tmp_path_factory.mktemp("cases"), 3)


class Oracle:
    """An engine that returns the reference masks of the cases, in order."""

    size = 64

    def __init__(self, cases, wrong=0.0):
        self.answers = [
            (1 - wrong) * np.eye(4, dtype=np.float32)[read_truth(case)] + np.float32(wrong / 4)
            for case in cases
        ]

    def predict(self, grids):
        return self.answers.pop(0)[None]


def oracle(cases, **options):
    """A segmenter without a model, around the engine above."""
    return around(Oracle(cases, **options))


def around(engine):
    segmenter = object.__new__(Segmenter)
    segmenter.engine, segmenter.model = engine, None
    segmenter.corrections = NONE
    return segmenter


def test_the_reference_scores_one(cases):
    seen = []
    for case, scores in zip(
        cases, evaluate(oracle(cases), cases, spacing=0.5, on_progress=seen.append), strict=True
    ):
        assert scores.name == case.name
        for organ in scores.organs.values():
            assert organ["dice"] > 0.999
            assert organ["jaccard"] > 0.999
            assert organ["assd_mm"] < 0.01
            assert organ["hd95_mm"] == 0
        assert scores.accuracy > 0.999
        # A soft target leaves its entropy as loss: none here, its area fractions are 0 or 1.
        assert scores.loss == pytest.approx(0, abs=1e-4)
    assert seen == [1, 2, 3]


def test_uncertainty_raises_the_loss_and_changes_no_label(cases):
    doubtful = evaluate(oracle(cases, wrong=0.4), cases)
    for scores in doubtful:
        assert scores.accuracy > 0.999
        assert scores.loss > 0.35
        assert scores.organs["heart"]["assd_mm"] is None  # a PNG states no spacing


class Drawn:
    """An engine that answers with a label map of the size of its grid."""

    size = 64

    def __init__(self, labels):
        self.labels = labels

    def predict(self, grids):
        return np.eye(4, dtype=np.float32)[self.labels][None]


PARTS = ("left clavicle", "right clavicle", "heart", "left lung", "right lung")


def write_case(folder, labels, scale, spacing):
    """A DICOM radiograph of ``scale`` times the size of its masks; lungs split at the middle."""
    rows, columns = labels.shape
    pixels = np.arange(rows * columns * scale**2, dtype=np.uint16).reshape(rows * scale, -1)
    (folder / "images").mkdir()
    make(folder / "images" / "SMALL001.dcm", pixels, PixelSpacing=list(spacing))
    left = np.arange(columns) >= columns // 2
    sides = {"left": left, "right": ~left}
    for part in PARTS:
        side, _, organ = part.rpartition(" ")
        label = {"clavicle": 1, "heart": 2, "lung": 3}[organ]
        mask = (labels == label) & sides.get(side, True)
        write_gif(folder / "scr" / "masks" / part / "SMALL001.gif", mask)
    return find_cases(folder / "images", folder / "scr")


def drawn_chest():
    labels = np.zeros((64, 48), np.uint8)
    labels[12:54, 6:20] = labels[12:54, 28:42] = 3
    labels[34:50, 18:32] = 2
    labels[8:11, 6:20] = labels[8:11, 28:42] = 1
    return labels


def slow_scores(prediction, truth, spacing):
    """Mean and 95th percentile, by rank, of distances in mm between boundary pixels."""
    ranked = np.sort(slow_distances(prediction, truth, spacing))
    place = 0.95 * (len(ranked) - 1)
    below = int(place)
    above = min(below + 1, len(ranked) - 1)
    return ranked.mean(), ranked[below] + (place - below) * (ranked[above] - ranked[below])


@pytest.mark.parametrize("scale", [1, 2])
def test_distances_are_in_millimetres_of_rows_and_columns(tmp_path, scale):
    """A lung reaches 8 rows further down in one place, and is a column wider on the right."""
    truth, row_mm, column_mm = drawn_chest(), 0.5, 0.2
    found = truth.copy()
    found[54:62, 12] = 3
    found[12:54, 5] = 3
    grid = np.pad(found, ((0, 0), (8, 8)))
    cases = write_case(tmp_path, truth, scale, (row_mm, column_mm))
    (scores,) = evaluate(around(Drawn(grid)), cases)
    assert scores.accuracy == pytest.approx(np.mean(found == truth))
    spacing = row_mm * scale, column_mm * scale
    mean, hd95 = slow_scores(found == 3, truth == 3, spacing)
    lungs = scores.organs["lungs"]
    assert lungs["assd_mm"] == pytest.approx(mean, rel=1e-6)
    assert lungs["hd95_mm"] == pytest.approx(hd95, rel=1e-6)
    longest = slow_distances(found == 3, truth == 3, spacing).max()
    assert longest == pytest.approx(8 * row_mm * scale)
    assert hd95 < 0.8 * longest
    swapped = slow_scores(found == 3, truth == 3, spacing[::-1])
    assert abs(swapped[0] - mean) > 0.1 * mean
    (given,) = evaluate(around(Drawn(grid)), cases, spacing=0.35)
    mean, hd95 = slow_scores(found == 3, truth == 3, (0.35, 0.35))
    assert given.organs["lungs"]["assd_mm"] == pytest.approx(mean, rel=1e-6)
    assert given.organs["lungs"]["hd95_mm"] == pytest.approx(hd95, rel=1e-6)
