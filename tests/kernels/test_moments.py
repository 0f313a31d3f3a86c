"""Moments and areas of runs, against a count of pixels."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from helpers.reference import slow_pieces
from helpers.strategies import label_maps
from xray_seg.kernels import (
    connect,
    find_runs,
    moments,
    paint_runs,
    relabelled,
    split_at,
    split_pieces,
)

RELAXED = settings(deadline=None, max_examples=120)


@RELAXED
@given(label_maps())
def test_moments(labels):
    runs = find_runs(labels)
    found = moments(runs, runs.labels)
    for label in range(4):
        rows, columns = np.nonzero(labels == label)
        assert found.area[label] == len(rows)
        assert found.x_twice[label] == (2 * columns + 1).sum()
        assert found.y_sum[label] == rows.sum()
        if len(rows):
            box = columns.min(), rows.min(), columns.max() + 1, rows.max() + 1
        else:
            box = labels.shape[1], labels.shape[0], 0, 0
        assert tuple(of[label] for of in found[3:]) == box


@RELAXED
@given(label_maps(), st.floats(-3, 17))
def test_split_at(labels, column):
    """Against fractions of pixels: one that the column crosses lies on both sides."""
    x = np.broadcast_to(np.arange(labels.shape[1]), labels.shape)[labels == 2]
    share = np.clip(column - x, 0, 1)
    expected = (
        share.sum(),
        (share * (x + share / 2)).sum(),
        (1 - share).sum(),
        ((1 - share) * (x + 1 - (1 - share) / 2)).sum(),
    )
    np.testing.assert_allclose(split_at(find_runs(labels), 2, column), expected, atol=1e-9)


@RELAXED
@given(label_maps(), st.floats(-3, 17))
def test_split_pieces(labels, column):
    runs = find_runs(labels)
    pieces = connect(runs, np.arange(256))
    painted = slow_pieces(labels)
    found = split_pieces(runs, pieces, 2, column=column)
    assert found.shape == (painted.max() + 1, 2)
    for piece in range(len(found)):
        x = np.nonzero((painted == piece) & (labels == 2))[1]
        share = np.clip(column - x, 0, 1)
        np.testing.assert_allclose(found[piece], (share.sum(), (1 - share).sum()), atol=1e-9)
    whole = split_pieces(runs, pieces, 2)
    np.testing.assert_array_equal(whole[:, 0], found.sum(axis=1).round())
    assert not whole[:, 1].any()


@RELAXED
@given(label_maps(), st.integers(0, 2**32))
def test_relabelled_runs_are_those_of_the_painted_map(labels, seed):
    runs = find_runs(labels)
    values = np.random.default_rng(seed).integers(0, 3, len(runs.rows)).astype(np.uint8)
    painted = labels.copy()
    paint_runs(painted, runs, values)
    expected, found = find_runs(painted), relabelled(runs, values)
    assert found.shape == expected.shape
    for name in ("rows", "starts", "stops", "labels"):
        np.testing.assert_array_equal(getattr(found, name), getattr(expected, name))
    assert relabelled(runs, runs.labels.copy()) is runs


def test_moments_refuse():
    runs = find_runs(np.zeros((3, 4), np.uint8))
    few = np.zeros(2, np.uint8)
    with pytest.raises(ValueError, match="3 runs need as many"):
        moments(runs, few)
    with pytest.raises(ValueError, match="3 runs need as many"):
        relabelled(runs, few)
    with pytest.raises(ValueError, match="3 runs need as many"):
        split_pieces(runs, np.zeros(2, np.int64), 1)
