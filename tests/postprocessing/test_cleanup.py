"""Label maps drawn by hand: . background, c clavicle, h heart, l lung."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import ndimage

from helpers.drawn import LETTERS, draw, same
from helpers.tiny import slow_merge
from xray_seg.data.cases import find_cases, read_truth
from xray_seg.data.phantom import make_phantom
from xray_seg.labels import CLAVICLES, HEART, LUNGS
from xray_seg.postprocessing.cleanup import clean


def cleaned(picture: str, scale: int = 1, margin: int = 0) -> str:
    labels = np.pad(draw(picture, scale), margin)
    clean(labels)
    labels = labels[margin : len(labels) - margin, margin : labels.shape[1] - margin]
    return "\n".join("".join(LETTERS[label] for label in row) for row in labels[::scale, ::scale])


def test_a_clavicle_cuts_off_an_apex_that_stays():
    picture = """
        ..l......l..
        .lll....lll.
        cccc....cccc
        llll....llll
        llll.hh.llll
        llll.hh.llll
        ............
        ............
    """
    assert cleaned(picture, 10) == same(picture)


def test_specks_go():
    assert cleaned(
        """
        l...........
        .....h..c...
        ............
        cccc....cccc
        llll....llll
        llll.hh.llll
        llll.hhhllll
        llll.hhhllll
        c...........
        """,
        10,
    ) == same(
        """
        ............
        ............
        ............
        cccc....cccc
        llll....llll
        llll.hh.llll
        llll.hhhllll
        llll.hhhllll
        ............
        """
    )


def test_of_three_lungs_the_two_largest_stay():
    assert cleaned(
        """
        lll....lll
        lll....lll
        lll....lll
        ..........
        ...ll.....
        """
    ) == same(
        """
        lll....lll
        lll....lll
        lll....lll
        ..........
        ..........
        """
    )


def test_holes_take_the_label_around_them():
    """Between two sides of heart and two of lung, the heart has priority."""
    assert cleaned(
        """
        ..........
        .lllllll..
        .l..llhhh.
        .l.lll.hh.
        .llllllhh.
        ..........
        """,
        margin=20,
    ) == same(
        """
        ..........
        .lllllll..
        .lllllhhh.
        .lllllhhh.
        .llllllhh.
        ..........
        """
    )


@pytest.mark.parametrize(("length", "filled"), [(9, True), (10, True), (11, False), (100, False)])
def test_a_hole_between_organs_is_filled_up_to_a_thousandth_of_the_image(length, filled):
    """Of 50 x 200 pixels a thousandth is ten; lungs above the hole, the heart below it."""
    labels = np.zeros((50, 200), np.uint8)
    labels[10:20, 20:180] = LUNGS.label
    labels[20:30, 20:180] = HEART.label
    labels[20, 40 : 40 + length] = 0
    clean(labels)
    assert (labels[20, 40 : 40 + length] != 0).all() == filled
    assert (labels[20, 40 : 40 + length] != 0).any() == filled


@pytest.mark.parametrize(("width", "kept"), [(19, False), (20, True)])
def test_a_second_lung_is_kept_from_a_twentieth_of_the_first(width, kept):
    labels = np.zeros((60, 120), np.uint8)
    labels[10:50, 10:20] = LUNGS.label  # 400 pixels
    labels[10, 60 : 60 + width] = LUNGS.label
    clean(labels)
    assert np.count_nonzero(labels[:, 60:]) == (width if kept else 0)


def test_a_mediastinum_ringed_by_several_organs_stays():
    picture = """
        ............
        .cccccccccc.
        .ll......ll.
        .ll......ll.
        .ll......ll.
        .llhhhhhhll.
        ............
    """
    assert cleaned(picture, 10) == same(picture)


def test_a_bay_open_to_the_border_is_no_hole():
    picture = """
        l..l
        l..l
        llll
    """
    assert cleaned(picture) == same(picture)


@settings(deadline=None, max_examples=150)
@given(st.integers(0, 2**32), st.integers(8, 60), st.integers(8, 60), st.floats(0, 4))
def test_what_anatomy_allows_is_what_is_left(seed, rows, columns, roughness):
    scores = np.random.default_rng(seed).normal(size=(4, rows, columns))
    labels = ndimage.gaussian_filter(scores, (0, roughness, roughness)).argmax(0).astype(np.uint8)
    before = labels.copy()
    clean(labels)
    for organ, joined in ((CLAVICLES, {1}), (HEART, {2}), (LUNGS, {1, 3})):
        pieces, count = ndimage.label(np.isin(labels, list(joined)))
        holding = {pieces[place] for place in zip(*np.nonzero(labels == organ.label), strict=True)}
        assert len(holding) <= organ.pieces, organ.name
        assert count >= len(holding)
    # An organ that was there does not vanish, and none appears.
    assert set(np.unique(labels)) | {0} == set(np.unique(before)) | {0}
    again = labels.copy()
    clean(again)
    np.testing.assert_array_equal(again, labels)


def test_true_masks_are_left_alone(jsrt):
    """Masks drawn by people have no specks; slits between their organs are closed."""
    for case in find_cases(jsrt / "images", jsrt / "scr")[::12]:
        truth = read_truth(case)
        labels = truth.copy()
        clean(labels)
        changed = labels != truth
        assert changed.mean() < 1e-3, case.name
        assert np.count_nonzero(truth[changed]) < 20, case.name


def test_phantoms_are_left_alone():
    for seed in range(4):
        masks = make_phantom(seed, 256).masks
        labels = slow_merge(masks)
        truth = labels.copy()
        clean(labels)
        assert (labels != truth).mean() < 1e-3


def test_nothing_but_background():
    labels = np.zeros((5, 7), np.uint8)
    clean(labels)
    assert (labels == 0).all()
