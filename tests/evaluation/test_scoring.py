import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from helpers.tiny import write_cases
from xray_seg.data.cases import read_truth
from xray_seg.evaluation.scoring import dice, evaluate, jaccard, surface_distances
from xray_seg.segmenter import Segmenter

MASKS = hnp.arrays(np.bool_, st.tuples(st.integers(1, 12), st.integers(1, 12)))


def slow_boundary(mask):
    padded = np.pad(mask, 1)
    return [
        (y, x)
        for y, x in zip(*np.nonzero(mask), strict=True)
        if not (
            padded[y, x + 1] and padded[y + 2, x + 1] and padded[y + 1, x] and padded[y + 1, x + 2]
        )
    ]


def slow_distances(one, other, spacing):
    edges = [np.array(slow_boundary(mask)) * spacing for mask in (one, other)]
    apart = np.linalg.norm(edges[0][:, None] - edges[1][None], axis=2)
    return np.concatenate([apart.min(axis=1), apart.min(axis=0)])


@settings(deadline=None, max_examples=100)
@given(MASKS, st.integers(0, 2**32), st.floats(0.1, 3), st.floats(0.1, 3))
def test_surface_distances(one, seed, tall, wide):
    other = np.random.default_rng(seed).random(one.shape) < 0.4
    found = surface_distances(one, other, (tall, wide))
    if not one.any() or not other.any():
        assert found is None
        return
    expected = slow_distances(one, other, (tall, wide))
    np.testing.assert_allclose(np.sort(found), np.sort(expected), rtol=1e-6, atol=1e-9)


def test_shifted_squares():
    """Edges 3 pixels of 2 mm apart at two sides, together at none."""
    one = np.zeros((40, 40), bool)
    one[10:20, 10:20] = True
    other = np.roll(one, 3, axis=1)
    away = surface_distances(one, other, (2.0, 2.0))
    assert away is not None
    assert away.max() == 6
    assert away.min() == 0
    np.testing.assert_array_equal(surface_distances(one, one, (1.0, 1.0)), np.zeros(72))


@settings(deadline=None)
@given(MASKS, st.integers(0, 2**32))
def test_dice_and_jaccard(one, seed):
    other = np.random.default_rng(seed).random(one.shape) < 0.5
    pixels = [(set(zip(*np.nonzero(mask), strict=True))) for mask in (one, other)]
    union, common = pixels[0] | pixels[1], pixels[0] & pixels[1]
    j, d = jaccard(one, other), dice(one, other)
    assert j == (len(common) / len(union) if union else 1)
    assert d == pytest.approx(2 * j / (1 + j))
    assert dice(one, one) == jaccard(other, other) == 1


@pytest.fixture(scope="module")
def cases(tmp_path_factory):
    return write_cases(tmp_path_factory.mktemp("cases"), 3)


class Oracle:
    """An engine that knows the truth on its grid, in the order asked."""

    size = 64

    def __init__(self, cases, wrong=0.0):
        self.answers = [
            (1 - wrong) * np.eye(4, dtype=np.float32)[read_truth(case)] + np.float32(wrong / 4)
            for case in cases
        ]

    def predict(self, grids):
        return self.answers.pop(0)[None]


def oracle(cases, **options):
    """A segmenter that has no model; only its engine is asked."""
    segmenter = object.__new__(Segmenter)
    segmenter.engine = Oracle(cases, **options)
    return segmenter


def test_the_truth_scores_one(cases):
    seen = []
    for case, scores in zip(
        cases, evaluate(oracle(cases), cases, spacing=0.5, tell=seen.append), strict=True
    ):
        assert scores.name == case.name
        for organ in scores.organs.values():
            assert organ["dice"] > 0.999
            assert organ["jaccard"] > 0.999
            assert organ["assd_mm"] < 0.01
            assert organ["hd95_mm"] == 0
        assert scores.accuracy > 0.999
        # Of the loss is left what a soft target cannot give: its area fractions are 0 or 1 here.
        assert scores.loss == pytest.approx(0, abs=1e-4)
    assert seen == [1, 2, 3]


def test_doubt_costs_loss_but_no_pixels(cases):
    doubtful = evaluate(oracle(cases, wrong=0.4), cases)
    for scores in doubtful:
        assert scores.accuracy > 0.999
        assert scores.loss > 0.35
        assert scores.organs["heart"]["assd_mm"] is None  # a PNG states no spacing
