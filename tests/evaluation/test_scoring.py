"""Evaluation of segmenters whose output is known."""

from dataclasses import replace

import numpy as np
import pytest

from helpers.dicom import make
from helpers.reference import slow_distances
from helpers.tiny import write_cases, write_gif, write_png
from xray_seg.data.annotation import Annotation
from xray_seg.data.cases import find_cases, read_truth
from xray_seg.evaluation.scoring import SCORES, evaluate
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


WHOLE_LUNGS = Annotation(("lungs",), ("clavicles", "heart"))


def partly_annotated(folder, annotation):
    """The drawn chest as a case whose lungs reach behind heart and clavicles, where it says so."""
    labels = drawn_chest()
    labels[8:11, 6:20] = labels[8:11, 28:42] = 3
    labels[34:50, 18:32] = 3
    write_png(
        folder / "images" / "SMALL001.png", np.arange(64 * 48, dtype=np.uint16).reshape(64, -1)
    )
    write_gif(folder / "masks" / "SMALL001.gif", labels == 3)
    return labels, find_cases(folder / "images", folder / "masks", annotation=annotation)


def grid_of(labels):
    return np.pad(labels, ((0, 0), (8, 8)))


def test_what_whole_lung_masks_include_is_left_out(tmp_path):
    """A prediction of all organs within the lung masks is right; what the masks deny is wrong."""
    _, cases = partly_annotated(tmp_path, WHOLE_LUNGS)
    chest = drawn_chest()
    (scores,) = evaluate(around(Drawn(grid_of(chest))), cases)
    assert scores.organs["heart"] == scores.organs["clavicles"] == dict.fromkeys(SCORES)
    assert scores.organs["lungs"]["dice"] == scores.organs["lungs"]["jaccard"] == 1
    assert scores.organs["lungs"]["hd95_px"] == 0
    assert scores.organs["lungs"]["assd_mm"] is None  # a PNG states no spacing
    assert scores.accuracy == 1
    assert scores.loss == pytest.approx(0, abs=1e-4)

    wrong = chest.copy()
    wrong[54:58, 6:20] = 3  # lung outside the masks: 56 pixels
    wrong[20:27, 6:10] = 0  # no organ inside the masks: 28 pixels
    wrong[50:56, 22:26] = 2  # heart outside the lung masks: unknown
    (scores,) = evaluate(around(Drawn(grid_of(wrong))), cases)
    lungs = np.count_nonzero(chest == 3)
    assert scores.accuracy == pytest.approx(1 - (56 + 28) / wrong.size)
    assert scores.organs["lungs"]["dice"] == pytest.approx(2 * (lungs - 28) / (2 * lungs - 28 + 56))
    assert scores.organs["lungs"]["jaccard"] == pytest.approx((lungs - 28) / (lungs + 56))
    assert scores.loss > 0.1


def test_lungs_that_include_nothing_are_compared_as_a_whole(tmp_path):
    labels, cases = partly_annotated(tmp_path, Annotation(("lungs",)))
    chest = drawn_chest()
    (scores,) = evaluate(around(Drawn(grid_of(chest))), cases)
    found, true = np.count_nonzero(chest == 3), np.count_nonzero(labels == 3)
    assert scores.organs["lungs"]["dice"] == pytest.approx(2 * found / (found + true))
    assert scores.accuracy == pytest.approx(1 - (true - found) / chest.size)


def test_a_prediction_without_lungs_scores_nothing(tmp_path):
    _, cases = partly_annotated(tmp_path, WHOLE_LUNGS)
    for label in (0, 2):
        (scores,) = evaluate(around(Drawn(np.full((64, 64), label))), cases)
        assert scores.organs["lungs"]["dice"] == 0


@pytest.mark.parametrize("annotation", [WHOLE_LUNGS, Annotation(("lungs",))])
def test_the_loss_is_that_of_the_completed_target(tmp_path, annotation):
    """Soft Dice and cross-entropy against each label shared out over its possible classes."""
    labels, cases = partly_annotated(tmp_path, annotation)
    answer = np.random.default_rng(3).dirichlet([1, 1, 1, 1], (64, 64)).astype(np.float32)
    segmenter = around(Drawn(np.zeros((64, 64), int)))
    segmenter.engine.predict = lambda grids: answer[None]
    (scores,) = evaluate(segmenter, cases)
    inside = answer[:, 8:56].astype(np.float64) + 1e-7
    target = np.zeros_like(inside)
    for place in np.ndindex(labels.shape):
        label = labels[place]
        include = annotation.lungs_include
        possible = (
            [0, 1, 2] if label == 0 else [3, *({"clavicles": 1, "heart": 2}[n] for n in include)]
        )
        chances = inside[place][possible]
        target[place][possible] = chances / chances.sum()
    overlap, sizes = (target * inside).sum((0, 1)), (target**2 + inside**2).sum((0, 1))
    dice = (2 * overlap + 1) / (sizes + 1)
    expected = -np.mean((target * np.log(inside)).sum(-1)) + 1 - dice[1:].mean()
    assert scores.loss == pytest.approx(expected, rel=1e-4)


def test_a_stated_polarity_is_that_of_the_data_set(tmp_path):
    _, (case,) = partly_annotated(tmp_path, WHOLE_LUNGS)
    seen = []
    for inverted in (False, True):
        segmenter = around(Drawn(np.zeros((64, 64), int)))
        segmenter.engine.predict = lambda grids: (
            seen.append(grids[0]) or np.eye(4, dtype=np.float32)[np.zeros((1, 64, 64), int)]
        )
        evaluate(segmenter, [replace(case, inverted=inverted)])
    inside = np.s_[:, 8:56]
    np.testing.assert_allclose(seen[0][inside], 1 - seen[1][inside], atol=1e-6)


def test_distances_in_pixels_do_not_depend_on_the_spacing(tmp_path):
    truth = drawn_chest()
    found = truth.copy()
    found[54:62, 12] = 3
    cases = write_case(tmp_path, truth, 1, (0.5, 0.2))
    mean, hd95 = slow_scores(found == 3, truth == 3, (1, 1))
    for spacing in (None, 0.35):
        (scores,) = evaluate(around(Drawn(grid_of(found))), cases, spacing=spacing)
        assert scores.organs["lungs"]["assd_px"] == pytest.approx(mean, rel=1e-6)
        assert scores.organs["lungs"]["hd95_px"] == pytest.approx(hd95, rel=1e-6)
