"""Pseudo-labels: masks are kept, organs that copies agree on are filled in, others stay open."""

from dataclasses import replace
from types import SimpleNamespace

import numpy as np
import pytest

from xray_seg.data.annotation import FULL, Annotation
from xray_seg.data.arrays import Arrays
from xray_seg.data.phantom import make_phantom, phantom_labels
from xray_seg.errors import TrainingError
from xray_seg.training import pseudo_labels
from xray_seg.training.pseudo_labels import CHANGES, Change, agreement, fill_in_labels

SIZE = 64
LUNGS = Annotation(("lungs",), ("clavicles", "heart"))


def probabilities_of(labels, sure=0.97):
    """(H, W, 4) probabilities of a label map."""
    return (
        np.float32((1 - sure) / 3)
        + np.float32(sure - (1 - sure) / 3) * np.eye(4, dtype=np.float32)[labels]
    )


def phantom(seed=3):
    """(SIZE, SIZE) label map of a phantom."""
    labels = phantom_labels(make_phantom(seed, 8 * SIZE))
    return np.ascontiguousarray(labels[4::8, 4::8])


class Oracle:
    """An engine that knows the labels, and for some organs is of a random opinion per copy."""

    size = SIZE

    def __init__(self, labels, unsure=()):
        self.labels, self.unsure = labels, unsure
        self.random = np.random.default_rng(0)

    def predict(self, grids):
        assert len(grids) % len(CHANGES) == 0
        planes = np.moveaxis(probabilities_of(self.labels), -1, 0)
        result = []
        for index in range(len(grids)):
            change = CHANGES[index % len(CHANGES)]
            moved = np.stack(
                [pseudo_labels._affine(p, change.degrees, change.zoom) for p in planes]
            )
            for label in self.unsure:
                shift = self.random.integers(6, 12) * self.random.choice([-1, 1])
                moved[label] = np.roll(moved[label], shift, axis=0)
            moved /= np.maximum(moved.sum(axis=0), 1e-6)
            result.append(np.moveaxis(moved, 0, -1))
        return np.stack(result).astype(np.float32)


@pytest.fixture
def fill_in(monkeypatch):
    def run(cases, engine):
        monkeypatch.setattr(pseudo_labels, "open_engine", lambda model: engine)
        return fill_in_labels(cases, SimpleNamespace(name="oracle"))

    return run


def arrays(masks, annotations):
    """Cases of (2 SIZE, 2 SIZE) with label maps as masks."""
    fractions = (np.eye(4)[masks] * 255).astype(np.uint8).repeat(2, 1).repeat(2, 2)
    images = np.random.default_rng(1).random(fractions.shape[:3], np.float32)
    return Arrays(images, fractions, np.stack([each.possible for each in annotations]))


def labels_of(cases, index):
    return cases.fractions[index][::2, ::2].argmax(axis=-1)


def share_equal(a, b):
    return np.mean(a == b)


def test_lung_masks_are_kept_and_other_organs_filled_in(fill_in):
    truth = phantom()
    # Whole lungs of the masks cover the clavicles and the heart in part, and are drawn smaller.
    mask = np.isin(truth, (1, 3))
    mask[:20] = False
    result = fill_in(arrays(np.where(mask, 3, 0)[None], [LUNGS]), Oracle(truth))
    found = labels_of(result, 0)
    np.testing.assert_array_equal(result.possible[0], FULL.possible)
    assert not (found[~mask] == 3).any()
    assert np.isin(found[mask], (1, 2, 3)).all()
    assert share_equal(found[20:] == 1, truth[20:] == 1) > 0.99
    assert share_equal(found == 2, truth == 2) > 0.99


def test_nothing_is_learnt_where_copies_disagree_on_an_organ(fill_in):
    truth = phantom()
    mask = np.isin(truth, (1, 3))
    result = fill_in(arrays(np.where(mask, 3, 0)[None], [LUNGS]), Oracle(truth, unsure=(2,)))
    found = labels_of(result, 0)
    expected = FULL.possible
    expected[2] = True  # the heart's label can mean everything
    np.testing.assert_array_equal(result.possible[0], expected)
    hidden = found == 2
    assert hidden[truth == 2].mean() > 0.9
    assert hidden.mean() < 4 * np.mean(truth == 2)  # and the places where it was shifted to
    assert share_equal((found == 1)[~hidden], (truth == 1)[~hidden]) > 0.98
    assert not (found[~mask] == 3).any()


def test_cases_without_lungs_or_heart_in_sight_are_left_out(fill_in):
    truth = phantom()
    nothing = Annotation(())
    empty = np.zeros((2, SIZE, SIZE), int)
    result = fill_in(arrays(empty, [nothing, nothing]), Oracle(truth))
    assert len(result.images) == 2
    assert share_equal(labels_of(result, 1), truth) > 0.98
    mask = np.where(np.isin(truth, (1, 3)), 3, 0)[None]
    for cases, engine in (
        (arrays(empty, [nothing, nothing]), Oracle(truth, unsure=(3,))),
        (arrays(empty, [nothing, nothing]), Oracle(np.zeros_like(truth))),
        (arrays(mask, [LUNGS]), Oracle(np.where(truth == 2, 0, truth))),
    ):
        with pytest.raises(TrainingError, match="shows heart and lungs in no case"):
            fill_in(cases, engine)


def test_some_cases_are_left_out_with_their_repeats(fill_in):
    truth = phantom()
    cases = arrays(np.stack([truth, np.zeros_like(truth)]), [FULL, Annotation(())])
    cases = replace(cases, repeats=np.array([3.0, 0.5]))
    result = fill_in(cases, Oracle(np.zeros_like(truth)))
    assert result.repeats.tolist() == [3.0]
    np.testing.assert_array_equal(result.images, cases.images[:1])


def test_clavicles_that_are_not_in_sight_are_absent(fill_in):
    truth = phantom()
    without = np.where(truth == 1, 3, truth)
    mask = np.where(np.isin(truth, (1, 3)), 3, 0)
    result = fill_in(arrays(mask[None], [LUNGS]), Oracle(without))
    assert not (labels_of(result, 0) == 1).any()


def test_known_cases_and_their_order_stay(fill_in):
    truth = phantom()
    cases = arrays(np.stack([truth, np.where(truth == 3, 3, 0)]), [FULL, LUNGS])
    result = fill_in(cases, Oracle(truth))
    np.testing.assert_array_equal(result.fractions[0], cases.fractions[0])
    np.testing.assert_array_equal(result.images, cases.images)
    with pytest.raises(TrainingError, match="nothing to fill in"):
        fill_in_labels(Arrays(cases.images[:1], cases.fractions[:1]), None)


@pytest.mark.parametrize("change", CHANGES)
def test_an_undone_change_puts_masks_back(change):
    truth = phantom()
    planes = np.moveaxis(probabilities_of(truth, 1.0), -1, 0)
    moved = np.stack([pseudo_labels._affine(p, change.degrees, change.zoom) for p in planes])
    back = change.undo(np.moveaxis(moved, 0, -1)).argmax(axis=-1)
    inner = slice(6, -6)
    assert share_equal(back[inner, inner], truth[inner, inner]) > 0.97
    if change.degrees:
        assert share_equal(moved.argmax(axis=0), truth) < 0.95


def test_a_change_of_intensity_keeps_pixels_in_place():
    grid = np.random.default_rng(0).random((8, 8), np.float32)
    np.testing.assert_allclose(Change(gamma=2).apply(grid), grid**2, rtol=1e-6)


def test_agreement_is_the_mean_dice_with_the_common_mask():
    labels = np.zeros((3, 10, 10), int)
    labels[:, :5] = 3
    labels[2, 5:7] = 3  # one copy shows 70 pixels, the others 50, and so do all together
    found = agreement(probabilities_of(labels))
    assert found["lungs"] == pytest.approx((1 + 1 + 2 * 50 / (50 + 70)) / 3)
    assert found["heart"] == 0  # none shows it
