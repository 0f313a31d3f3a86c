"""What one structure covers of another, against lines that separate pixels, and drawn by hand."""

import numpy as np
import pytest
from hypothesis import given, settings

from helpers.drawn import draw, same
from helpers.reference import slow_covered
from helpers.strategies import label_maps
from xray_seg.kernels import covered_runs, find_runs, neighbours, paint_runs


def covered(labels, cover=1, behind=3):
    runs = find_runs(labels)
    found = covered_runs(runs, neighbours(runs), cover=cover, covered=behind)
    painted = np.zeros_like(labels)
    paint_runs(painted, found, np.full(len(found.labels), 9, np.uint8))
    assert (painted == 9).sum() == found.lengths.sum()
    assert (found.labels == cover).all()
    return painted == 9


def shown(picture):
    """The picture, with w for what is covered."""
    labels = draw(picture)
    return "\n".join(
        "".join("w" if hidden else letter for letter, hidden in zip(row, line, strict=True))
        for row, line in zip(picture.split(), covered(labels), strict=True)
    )


@settings(deadline=None, max_examples=200)
@given(label_maps())
def test_against_lines_that_separate_pixels(labels):
    np.testing.assert_array_equal(covered(labels), slow_covered(labels, 1, 3))


@settings(deadline=None, max_examples=50)
@given(label_maps())
def test_turned_and_mirrored_maps_have_the_same(labels):
    found = covered(labels)
    for turned in (np.rot90, np.transpose, np.flipud, np.fliplr):
        np.testing.assert_array_equal(
            covered(np.ascontiguousarray(turned(labels))), turned(found), err_msg=str(turned)
        )


def test_a_bar_between_two_pieces_without_its_ends():
    drawn = """
        ...ll...
        ..llll..
        cccccccc
        cccccccc
        .lllll..
        .lllll..
    """
    expected = """
        ...ll...
        ..llll..
        ccwwwwcc
        ccwwwwcc
        .lllll..
        .lllll..
    """
    assert shown(drawn) == same(expected)


def test_an_oblique_bar_is_covered_up_to_the_outline_of_both_pieces():
    """A pixel whose column leaves the lung on one side counts as well."""
    drawn = """
        .lllllcc
        .lllcccc
        .lcccccl
        ccccclll
        cccllll.
    """
    expected = """
        .lllllcc
        .lllwwwc
        .lwwwwwl
        ccwwwlll
        cccllll.
    """
    assert shown(drawn) == same(expected)


def test_without_an_apex_it_is_what_lies_below_the_line_between_the_ends():
    drawn = """
        ccccccc
        lcccccl
        llcccll
        lllllll
    """
    expected = """
        ccccccc
        lwwwwwl
        llwwwll
        lllllll
    """
    assert shown(drawn) == same(expected)
    assert shown("cccc\nllll") == "cccc\nllll"


@pytest.mark.parametrize("drawn", ["cc.ll\ncc.ll", "c", "l", "....", "c.\n.l", "ch\nhl"])
def test_structures_that_do_not_touch_cover_nothing(drawn):
    assert not covered(draw(drawn)).any()
