"""What is named implausible, on label maps drawn by hand."""

import numpy as np
import pytest

from helpers.drawn import draw
from xray_seg.analysis.plausibility import (
    HEART_IN_PIECES,
    LUNG_BELOW,
    RAGGED_HEART,
    implausible,
)
from xray_seg.data.cases import read_truth
from xray_seg.data.phantom import make_phantom
from xray_seg.labels import CLAVICLES, HEART, LUNGS
from xray_seg.postprocessing.prediction import GridPrediction

CHEST = """
    ................
    .ccccc....ccccc.
    .lllll....lllll.
    .lllll....lllll.
    .lllllhhhhlllll.
    .lllllhhhhlllll.
    .lllllhhhhlllll.
    .ll....hh....ll.
    ................
    ................
"""


def named(labels, predicted=None):
    predicted = labels if predicted is None else predicted
    return implausible(labels, GridPrediction(np.eye(4, dtype=np.float32)[predicted]))


def test_a_chest_is_plausible():
    assert named(draw(CHEST, 12)) == ()


def test_a_bubble_on_a_neck():
    labels = draw(CHEST, 12)
    labels[84:112, 165:167] = LUNGS.label
    assert named(labels) == ()
    labels[100:116, 156:176] = LUNGS.label
    assert named(labels) == (LUNG_BELOW,)


def test_a_bubble_on_its_own():
    labels = draw(CHEST, 12)
    labels[102:116, 110:160] = LUNGS.label
    assert named(labels) == (LUNG_BELOW,)


def test_a_tapering_costophrenic_angle_is_plausible():
    labels = draw(CHEST, 12)
    for row in range(84, 108):
        labels[row, 156 + (row - 84) : 180] = LUNGS.label
    assert named(labels) == ()


def test_lung_far_below_the_heart():
    labels = draw(CHEST, 12)
    labels[84:120, 132:180] = LUNGS.label
    assert named(labels) == (LUNG_BELOW,)


def test_a_heart_in_pieces():
    labels = draw(CHEST, 12)
    predicted = labels.copy()
    predicted[100:110, 70:100] = HEART.label
    assert named(labels, predicted) == (HEART_IN_PIECES,)


def test_a_ragged_heart():
    labels = draw(CHEST, 12)
    predicted = labels.copy()
    for column in (80, 92, 104):
        predicted[90:116, column : column + 3] = HEART.label
    assert named(labels, predicted) == (RAGGED_HEART,)


@pytest.mark.parametrize("missing", [HEART, LUNGS, CLAVICLES])
def test_a_missing_organ_is_not_named(missing):
    labels = draw(CHEST, 12)
    labels[labels == missing.label] = 0
    assert named(labels) == ()


def test_true_masks_are_plausible(jsrt):
    from xray_seg.data.cases import find_cases

    cases = find_cases(jsrt / "images", jsrt / "scr")[::4]
    warned = [case.name for case in cases if named(read_truth(case)[2::4, 2::4].copy())]
    assert len(warned) <= 0.01 * len(cases) + 1


def test_phantoms_are_plausible():
    for seed in range(8):
        masks = make_phantom(seed, 256).masks
        labels = np.zeros((256, 256), np.uint8)
        for name, mask in masks.items():
            organ = next(each for each in (LUNGS, HEART, CLAVICLES) if each.name[:4] in name)
            labels[mask & (labels != CLAVICLES.label) & (labels != HEART.label)] = organ.label
        assert named(labels) == ()
