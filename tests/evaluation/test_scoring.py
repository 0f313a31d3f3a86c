"""Evaluation of segmenters whose output is known."""

import numpy as np
import pytest

from helpers.tiny import write_cases
from xray_seg.data.cases import read_truth
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
    segmenter = object.__new__(Segmenter)
    segmenter.engine, segmenter.model = Oracle(cases, **options), None
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
