"""Pixels that masks cannot judge, compared with rules written out pixel by pixel."""

from itertools import chain, combinations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from xray_seg.data.annotation import FULL, Annotation
from xray_seg.evaluation.comparison import Comparison
from xray_seg.labels import ORGANS

NAMES = [organ.name for organ in ORGANS]
LABEL = {organ.name: organ.label for organ in ORGANS}


def subsets(names):
    return list(chain.from_iterable(combinations(names, size) for size in range(len(names) + 1)))


ANNOTATIONS = st.sampled_from(
    [
        Annotation(organs, included)
        for organs in subsets(NAMES)[1:]
        for included in subsets(NAMES[:2])
        if not set(organs) & set(included)
    ]
)
SHAPES = hnp.array_shapes(min_dims=2, max_dims=2, max_side=9)


def slow_pixel(found, true, annotation):
    """Whether a pixel is right, and whether it is left out."""
    if found == true:
        return True, False
    name = next((name for name in NAMES if LABEL[name] == found), None)
    if name is None or name in annotation.organs:  # background, or an organ with masks
        return False, False
    inside_lungs = true == LABEL["lungs"] and name in annotation.lungs_include
    may_be = true == 0 or inside_lungs
    return may_be, may_be


@settings(deadline=None, max_examples=200)
@given(ANNOTATIONS, SHAPES, st.integers(0, 2**32))
def test_each_pixel_is_compared_by_the_rules(annotation, shape, seed):
    random = np.random.default_rng(seed)
    labels, truth = random.integers(0, 4, (2, *shape)).astype(np.uint8)
    known = [0, *(LABEL[name] for name in annotation.organs)]
    truth = np.where(np.isin(truth, known), truth, 0).astype(np.uint8)
    compared = Comparison.of(labels, truth, annotation)
    for place in np.ndindex(*shape):
        right, left_out = slow_pixel(labels[place], truth[place], annotation)
        assert compared.right[place] == right
        assert compared.left_out[place] == left_out


@settings(deadline=None, max_examples=50)
@given(SHAPES, st.integers(0, 2**32))
def test_nothing_is_left_out_where_all_organs_are_known(shape, seed):
    labels, truth = np.random.default_rng(seed).integers(0, 4, (2, *shape)).astype(np.uint8)
    compared = Comparison.of(labels, truth, FULL)
    np.testing.assert_array_equal(compared.right, labels == truth)
    for label in LABEL.values():
        np.testing.assert_array_equal(compared.reference(truth == label), truth == label)


@pytest.mark.parametrize("label", [0, 1, 2])
def test_a_mask_of_which_nothing_would_be_left_is_compared_as_a_whole(label):
    truth = np.zeros((4, 4), np.uint8)
    truth[1:3, 1:3] = LABEL["lungs"]
    labels = np.full_like(truth, label)
    compared = Comparison.of(labels, truth, Annotation(("lungs",), ("clavicles", "heart")))
    np.testing.assert_array_equal(compared.reference(truth == 3), truth == 3)
    labels[1, 1] = LABEL["lungs"]
    compared = Comparison.of(labels, truth, Annotation(("lungs",), ("clavicles", "heart")))
    expected = labels == 3 if label else truth == 3
    np.testing.assert_array_equal(compared.reference(truth == 3), expected)
