"""Run lengths and outlines of random masks, against slow references and COCO's own library."""

import numpy as np
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp
from pycocotools import mask as coco

from helpers.drawn import draw
from helpers.reference import slow_counts, slow_fill, slow_paint
from xray_seg.kernels import (
    alternating_counts,
    coco_string,
    column_major_runs,
    row_major_runs,
    start_lengths,
    trace,
)
from xray_seg.outputs.polygons import polygons, signed_area

# Of pycocotools with numpy 2, not ours to mend.
pytestmark = pytest.mark.filterwarnings("ignore:__array__ implementation:DeprecationWarning")

_SHAPES = st.tuples(*[st.integers(1, 12)] * 2)
_MAPS = hnp.arrays(np.uint8, _SHAPES, elements=st.integers(0, 2))
_FULL = np.ones((3, 4), np.uint8)
#: Pixels that touch by corners, inside and out.
_KNOT = np.array([[1, 1, 1, 0], [1, 0, 1, 0], [1, 1, 0, 1], [0, 1, 1, 1]], np.uint8)
#: A piece within a hole of another.
_RINGS = np.pad(np.pad(np.ones((1, 1), np.uint8), 1), 1, constant_values=1)


@settings(deadline=None, max_examples=150)
@given(_MAPS)
@example(_FULL)
@example(0 * _FULL)
def test_cocos_counts(labels):
    runs = column_major_runs(labels)
    for label in range(3):
        mask = labels == label
        counts = alternating_counts(runs, label)
        assert counts.tolist() == slow_counts(mask)
        packed = {"size": list(mask.shape), "counts": coco_string(counts)}
        assert np.array_equal(coco.decode(packed), mask)
        assert packed["counts"] == coco.encode(np.asfortranarray(mask))["counts"].decode()


@pytest.mark.parametrize("length", [0, 1, 15, 16, 17, 511, 512, 2**20, 2**31 - 1])
def test_counts_of_every_length_are_compressed_as_by_coco(length):
    counts = [5, length, 3, 7, length, 1, 2]
    other = coco.frPyObjects({"size": [sum(counts), 1], "counts": counts}, sum(counts), 1)
    assert coco_string(np.array(counts)) == other["counts"].decode()


@settings(deadline=None, max_examples=100)
@given(_MAPS)
def test_start_length_pairs(labels):
    runs = row_major_runs(labels)
    for label in range(3):
        pairs = " ".join(map(str, start_lengths(runs, label).ravel()))
        assert np.array_equal(slow_paint(pairs, labels.shape), labels == label)


def test_pairs_of_a_mask_drawn_by_hand():
    labels = draw("..h\nhh.\n..h")
    assert start_lengths(row_major_runs(labels), 2).tolist() == [[3, 3], [9, 1]]
    assert alternating_counts(column_major_runs(labels), 2).tolist() == [1, 1, 2, 1, 1, 1, 1, 1]


@settings(deadline=None, max_examples=150)
@given(_MAPS)
@example(_FULL)
@example(_KNOT)
@example(_RINGS)
def test_polygons_have_the_masks_area_and_give_it_back(labels):
    for label in range(3):
        mask = labels == label
        outlines = polygons(labels, label)
        assert sum(signed_area(each) for each in outlines) == mask.sum()
        assert all(len(each) >= 4 and signed_area(each) > 0 for each in outlines)
        filled = [slow_fill(each, mask.shape) for each in outlines]
        assert np.array_equal(np.sum(filled, axis=0) if filled else np.zeros_like(mask), mask)
        if outlines:
            flat = [each.ravel().tolist() for each in outlines]
            packed = coco.merge(coco.frPyObjects(flat, *map(int, mask.shape)))
            assert np.array_equal(coco.decode(packed), mask)
            assert coco.area(packed) == mask.sum()


def test_a_pixel_covers_its_place_and_the_next():
    labels = draw("....\n..h.\n....")
    (outline,) = polygons(labels, 2)
    assert outline.tolist() == [[2, 1], [3, 1], [3, 2], [2, 2]]


def test_pixels_that_touch_by_a_corner_are_apart():
    assert len(polygons(draw("h.\n.h"), 2)) == 2


def test_rings_go_round_their_label_with_it_on_the_right():
    outer, inner, hole = trace(_RINGS, 1)
    assert [signed_area(ring) for ring in (outer, inner, hole)] == [25, 1, -9]
    assert len(polygons(_RINGS, 1)) == 2


def test_rings_turn_at_every_corner():
    for ring in trace(_KNOT, 1):
        steps = np.roll(ring, -1, axis=0) - ring
        assert (np.count_nonzero(steps, axis=1) == 1).all()
        assert ((steps != 0) != (np.roll(steps, 1, axis=0) != 0)).all()


@pytest.mark.parametrize("bad", [np.zeros(4, np.uint8), np.zeros((2, 2)), np.zeros((1, 2, 3), int)])
def test_what_is_no_label_map_is_refused(bad):
    with pytest.raises(ValueError, match="2-D uint8"):
        trace(bad, 1)


def test_counts_of_another_type_are_refused():
    with pytest.raises(ValueError, match="1-D int64"):
        coco_string(np.array([1.0, 2.0]))
