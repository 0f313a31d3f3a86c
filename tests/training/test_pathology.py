"""Pathology and artefacts drawn for augmentation: where they lie and how bright they are."""

import numpy as np
import pytest

from xray_seg.training import artefacts, pathology
from xray_seg.training.artefacts import add_artefacts, add_collimator
from xray_seg.training.pathology import add_pathology

SIDE = 64
#: Rows and columns of the lungs: the patient's right one is on the left of the image.
ROWS, RIGHT, LEFT = slice(12, 44), slice(8, 26), slice(38, 56)


def lungs():
    mask = np.zeros((SIDE, SIDE), bool)
    mask[ROWS, RIGHT] = mask[ROWS, LEFT] = True
    return mask


def chest():
    """Lungs dark, the rest bright."""
    return np.where(lungs(), 0.2, 0.8).astype(np.float32)


def changes(draw, count=40):
    """Differences that a function makes to a chest, with each of some seeds."""
    return [draw(chest(), lungs(), np.random.default_rng(seed)) - chest() for seed in range(count)]


def test_opacities_are_bright_and_centred_in_the_lungs():
    for change in changes(pathology._add_opacities):
        assert change.min() >= 0
        row, column = np.unravel_index(change.argmax(), change.shape)
        assert lungs()[max(0, row - 1) : row + 2, max(0, column - 1) : column + 2].any()


def test_an_effusion_makes_the_base_of_one_lung_opaque_and_leaves_the_apex():
    sides = set()
    for change in changes(pathology._add_effusion):
        assert change.min() >= 0
        rise = {side: change[ROWS, part].mean(axis=1) for side, part in (("r", RIGHT), ("l", LEFT))}
        side = max(rise, key=lambda name: rise[name].sum())
        other = "l" if side == "r" else "r"
        sides.add(side)
        assert rise[other].max() < 0.02
        assert rise[side][-1] > 0.2  # at the base
        assert rise[side][0] < 0.2 * rise[side][-1]  # at the apex
    assert sides == {"r", "l"}


def test_a_stomach_bubble_is_dark_gas_below_the_left_lung():
    below = np.zeros((SIDE, SIDE), bool)
    below[ROWS.stop - 6 :, LEFT.start - 14 : LEFT.stop + 14] = True
    darkened = changes(pathology._add_stomach_bubble)
    assert max(-change.min() for change in darkened) > 0.4
    for change in darkened:
        assert change.max() <= 0
        assert abs(change[lungs()]).max() < 1e-6
        assert abs(change[~below]).max() < 0.05


def test_a_side_is_found_with_the_direction_of_its_chest_wall():
    assert pathology._side_of(lungs(), is_left=False) == (12, 43, 8, 25, -1)
    assert pathology._side_of(lungs(), is_left=True) == (12, 43, 38, 55, 1)


@pytest.mark.parametrize("shape", [(0, 0), (3, 3)])
def test_nothing_is_drawn_into_lungs_that_are_too_small(shape):
    mask = np.zeros((SIDE, SIDE), bool)
    mask[: shape[0], : shape[1]] = True
    for draw in (pathology._add_effusion, pathology._add_stomach_bubble):
        image = chest()
        assert draw(image, mask, np.random.default_rng(0)) is image


def test_pathology_is_rare_and_the_source_stays_as_it_was():
    target = np.zeros((SIDE, SIDE, 4), np.float32)
    target[..., 3] = lungs()
    image = chest()
    results = [add_pathology(image, target, np.random.default_rng(seed)) for seed in range(300)]
    np.testing.assert_array_equal(image, chest())
    changed = np.mean([not np.array_equal(result, image) for result in results])
    assert 0.15 < changed < 0.45  # 1 - 0.88 * 0.9 * 0.9 = 0.29


def test_collimator_edges_are_straight_and_reach_from_the_border():
    covered = 0
    for seed in range(200):
        image = np.full((SIDE, SIDE), 0.5, np.float32)
        add_collimator(image, np.random.default_rng(seed))
        hidden = image != 0.5
        if hidden.any():
            covered += 1
            assert len(np.unique(image[hidden])) == 1
            assert not hidden[SIDE // 4 : -SIDE // 4, SIDE // 4 : -SIDE // 4].any()
            assert hidden[[0, -1]].any() or hidden[:, [0, -1]].any()
            # What remains is convex: each row is one run.
            for row in hidden:
                assert np.count_nonzero(np.diff(row.astype(int))) <= 2
    assert 10 < covered < 60  # 15 %


def test_artefacts_are_drawn_within_the_range_and_cover_little():
    shares = []
    for seed in range(200):
        image = np.full((SIDE, SIDE), 0.5, np.float32)
        add_artefacts(image, np.random.default_rng(seed))
        assert 0 <= image.min() <= image.max() <= 1
        shares.append(np.mean(image != 0.5))
    assert 0.01 < np.mean(shares) < 0.15
    assert max(shares) < 0.7


def test_a_pacemaker_is_a_bright_box_in_the_upper_half_with_a_lead():
    for seed in range(30):
        image = np.zeros((SIDE, SIDE), np.float32)
        artefacts._draw_pacemaker(image, np.random.default_rng(seed))
        rows, _ = np.nonzero(image >= 0.85)
        assert len(rows) > 8
        assert np.median(rows) < 0.6 * SIDE
