"""Masks, runs and components, overlays and warping, against slow references."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from helpers.reference import slow_blend, slow_pieces, slow_sample
from helpers.strategies import SIDES, label_maps
from xray_seg.kernels import (
    blend,
    class_sums,
    connect,
    find_runs,
    merge_masks,
    nearest,
    neighbours,
    paint_runs,
    simplify,
    stretch,
    warp,
)

RELAXED = settings(deadline=None, max_examples=120)


@RELAXED
@given(st.data(), SIDES, SIDES, st.lists(st.integers(1, 255), min_size=1, max_size=5))
def test_merge_masks(data, rows, columns, labels):
    kinds = st.sampled_from([np.bool_, np.uint8])
    masks = [data.draw(hnp.arrays(data.draw(kinds), (rows, columns))) for _ in labels]
    expected = np.zeros((rows, columns), np.uint8)
    for mask, label in reversed(list(zip(masks, labels, strict=True))):
        expected[mask != 0] = label
    np.testing.assert_array_equal(merge_masks(masks, labels), expected)


def test_merge_strided_masks():
    heart = np.zeros((9, 12), bool)
    heart[2:7, 3:9] = True
    lung = np.ones((18, 24), np.uint8)[::2, ::2]
    merged = merge_masks([heart[::-1, ::-1], lung], [2, 3])
    assert (merged == np.where(heart[::-1, ::-1], 2, 3)).all()


@pytest.mark.parametrize(
    ("masks", "labels"),
    [
        ([], []),
        ([np.zeros((2, 2), bool)], [1, 2]),
        ([np.zeros((2, 2), bool), np.zeros((2, 3), bool)], [1, 2]),
        ([np.zeros(4, bool)], [1]),
        ([np.zeros((2, 2), bool)], [0]),
        ([np.zeros((2, 2), bool)], [256]),
        ([np.zeros((2, 2), np.int32)], [1]),
    ],
)
def test_merge_refuses(masks, labels):
    with pytest.raises(ValueError, match=r"mask|label"):
        merge_masks(masks, labels)


@RELAXED
@given(label_maps())
def test_runs_cover_each_row_once(labels):
    runs = find_runs(labels)
    rebuilt = np.full(labels.shape, 255, np.uint8)
    for row, start, stop, label in zip(
        runs.rows, runs.starts, runs.stops, runs.labels, strict=True
    ):
        assert (rebuilt[row, start:stop] == 255).all()
        assert stop > start
        rebuilt[row, start:stop] = label
    np.testing.assert_array_equal(rebuilt, labels)
    changes = int((labels[:, 1:] != labels[:, :-1]).sum())
    assert len(runs.rows) == changes + labels.shape[0]
    assert runs.lengths.sum() == labels.size


def test_runs_of_a_map_that_changes_at_every_pixel():
    """More runs than the initial space holds."""
    labels = (np.indices((40, 50)).sum(axis=0) % 2).astype(np.uint8)
    runs = find_runs(labels)
    assert len(runs.rows) == labels.size
    np.testing.assert_array_equal(runs.labels, labels.ravel())
    np.testing.assert_array_equal(runs.starts, np.tile(np.arange(50), 40))


@RELAXED
@given(
    hnp.arrays(np.float32, st.tuples(SIDES, SIDES), elements=st.integers(-99, 99)),
    st.integers(-50, 50),
    st.integers(-50, 50),
)
def test_stretch(values, black, white):
    scale = 255 / (white - black) if black != white else 0
    expected = np.clip((values.astype(float) - black) * scale, 0, 255)
    found = stretch(values, black, white)
    assert found.dtype == np.uint8
    assert (np.abs(found + 0.5 - expected) <= 0.501).all()


def test_stretch_refuses():
    with pytest.raises(ValueError, match="float32"):
        stretch(np.zeros((2, 2)), 0, 1)


@RELAXED
@given(label_maps(), st.integers(0, 2**32))
def test_class_sums(labels, seed):
    random = np.random.default_rng(seed)
    given = random.random((*labels.shape, 5), np.float32)[..., :4]
    column = int(random.integers(labels.shape[1] + 1))
    found = class_sums(given, labels, column)
    for side, columns in enumerate((np.s_[:, :column], np.s_[:, column:])):
        for label in range(4):
            plane, mine = given[columns][..., label].astype(float), labels[columns] == label
            expected = mine.sum(), plane[mine].sum(), plane.sum(), (plane - plane**2).sum()
            np.testing.assert_allclose(found[side, label], expected, rtol=1e-9)


@pytest.mark.parametrize(
    ("probabilities", "labels", "column"),
    [
        (np.zeros((2, 3, 4)), np.zeros((2, 3), np.uint8), 1),
        (np.zeros((2, 3, 4), np.float32), np.zeros((3, 2), np.uint8), 1),
        (np.zeros((2, 3, 4), np.float32), np.full((2, 3), 4, np.uint8), 1),
        (np.zeros((2, 3, 4), np.float32), np.zeros((2, 3), int), 1),
        (np.zeros((2, 3, 4), np.float32), np.zeros((2, 3), np.uint8), 4),
        (np.zeros((2, 3, 4), np.float32), np.zeros((2, 3), np.uint8), -1),
    ],
)
def test_class_sums_refuse(probabilities, labels, column):
    with pytest.raises(ValueError, match=r"class_sums needs|do not fit"):
        class_sums(probabilities, labels, column)


@RELAXED
@given(label_maps(), SIDES, SIDES)
def test_nearest(labels, height, width):
    """Each pixel has the label that lies under its centre."""
    found = nearest(labels, (height, width))
    for y, x in np.ndindex(height, width):
        under = (y + 0.5) * labels.shape[0] / height, (x + 0.5) * labels.shape[1] / width
        assert found[y, x] == labels[int(under[0] + 1e-9), int(under[1] + 1e-9)]


def slow_choice(points, tolerance):
    """Indices of the points that are kept, by recursion."""
    if len(points) < 3:
        return set()
    chord = complex(*(points[-1] - points[0]))
    steps = [complex(*(point - points[0])) for point in points[1:-1]]
    away = [
        abs((step * chord.conjugate()).imag / abs(chord)) if chord else abs(step) for step in steps
    ]
    farthest = int(np.argmax(away)) + 1
    if away[farthest - 1] <= tolerance:
        return set()
    before = slow_choice(points[: farthest + 1], tolerance)
    after = {farthest + each for each in slow_choice(points[farthest:], tolerance)}
    return before | {farthest} | after


@RELAXED
@given(st.integers(0, 2**32), st.integers(1, 40), st.sampled_from([0.0, 0.3, 1.0, 5.0]))
def test_simplify(seed, count, tolerance):
    """Steps of random lengths: no two distances tie, so that rounding decides nothing."""
    random = np.random.default_rng(seed)
    points = random.normal(0, 1, (count, 2)).cumsum(axis=0)
    expected = sorted({0, count - 1} | slow_choice(points, tolerance))
    assert np.flatnonzero(simplify(points, tolerance)).tolist() == expected


def test_simplify_a_line_that_returns_and_what_it_refuses():
    there = np.array([[0, 0], [1, 0.1], [4, 0], [1, 0.1], [0, 0]], float)
    assert simplify(there, 0.5).tolist() == [True, False, True, False, True]
    assert simplify(there[:1], 0.5).tolist() == [True]
    for wrong in (there[:0], there.astype(int), there[:, :1]):
        with pytest.raises(ValueError, match="points are needed"):
            simplify(wrong, 0.5)


@RELAXED
@given(label_maps(), hnp.arrays(np.int64, 4, elements=st.integers(0, 2)))
def test_connect(labels, first):
    groups = np.zeros(256, np.int64)
    groups[:4] = first
    runs = find_runs(labels)
    expected = slow_pieces(groups[labels])
    np.testing.assert_array_equal(connect(runs, groups), expected[runs.rows, runs.starts])


def test_connect_a_spiral():
    """One piece whose runs meet only at the far end, around one that they enclose."""
    spiral = np.array([[int(c) for c in row] for row in ("11111", "10001", "10101", "10111")])
    pieces = connect(find_runs(spiral.astype(np.uint8)), np.arange(256))
    assert pieces.max() == 1


@RELAXED
@given(label_maps())
def test_neighbours_share_all_sides_between_runs(labels):
    runs = find_runs(labels)
    number = np.empty(labels.shape, int)
    for index, (row, start, stop) in enumerate(
        zip(runs.rows, runs.starts, runs.stops, strict=True)
    ):
        number[row, start:stop] = index
    expected = {}
    for one, other in ((number[:, :-1], number[:, 1:]), (number[:-1], number[1:])):
        for pair in zip(one[one != other], other[one != other], strict=True):
            expected[pair] = expected.get(pair, 0) + 1
    one, other, sides = neighbours(runs)
    found = dict(zip(zip(one, other, strict=True), sides, strict=True))
    assert len(found) == len(one)
    assert found == expected


@RELAXED
@given(label_maps(), st.integers(0, 2**32))
def test_paint_runs(labels, seed):
    runs = find_runs(labels)
    values = np.random.default_rng(seed).integers(0, 4, len(runs.rows)).astype(np.uint8)
    painted = labels.copy()
    paint_runs(painted, runs, values)
    np.testing.assert_array_equal(find_runs(painted).lengths.sum(), labels.size)
    for row, start, stop, value in zip(runs.rows, runs.starts, runs.stops, values, strict=True):
        assert (painted[row, start:stop] == value).all()


def test_components_refuse():
    runs = find_runs(np.zeros((3, 4), np.uint8))
    with pytest.raises(ValueError, match="256"):
        connect(runs, np.zeros(4, np.int64))
    with pytest.raises(ValueError, match="do not fit"):
        paint_runs(np.zeros((4, 3), np.uint8), runs, runs.labels)
    with pytest.raises(ValueError, match="do not fit"):
        paint_runs(np.zeros((3, 4), np.uint8), runs, runs.labels[:1])
    for wrong in (np.zeros((3, 4)), np.zeros((0, 4), np.uint8), np.zeros(3, np.uint8)):
        with pytest.raises(ValueError, match="uint8 label map"):
            find_runs(wrong)


COLOURS = np.array([(9, 9, 9), (240, 228, 66), (213, 94, 0), (86, 180, 233)], np.uint8)


@RELAXED
@given(st.data(), label_maps(), SIDES, SIDES, st.floats(0, 1, width=32))
def test_blend(data, labels, height, width, opacity):
    grey = data.draw(hnp.arrays(np.uint8, (height, width)))
    found = blend(grey, labels, COLOURS, opacity)
    assert found.dtype == np.uint8
    assert np.abs(found - slow_blend(grey, labels, COLOURS, opacity)).max() <= 0.501


def test_blend_leaves_background_and_outlines_organs():
    grey = np.full((7, 7), 100, np.uint8)
    labels = np.zeros((7, 7), np.uint8)
    labels[1:6, 1:6] = 2
    found = blend(grey, labels, COLOURS, 0.5)
    assert (found[0] == 100).all()
    assert (found[1, 1:6] == COLOURS[2]).all()
    assert found[3, 3].tolist() == [157, 97, 50]


@pytest.mark.parametrize(
    "change",
    [
        {"grey": np.zeros((2, 2))},
        {"grey": np.zeros((0, 2), np.uint8)},
        {"labels": np.zeros((2, 2, 1), np.uint8)},
        {"labels": np.full((2, 2), 4, np.uint8)},
        {"opacity": 1.5},
        {"opacity": float("nan")},
    ],
)
def test_blend_refuses(change):
    given_ = {
        "grey": np.zeros((2, 2), np.uint8),
        "labels": np.zeros((2, 2), np.uint8),
        "colours": COLOURS,
        "opacity": 0.4,
    }
    with pytest.raises(ValueError, match=r"must be|no colour"):
        blend(**given_ | change)


def grid_places(height, width):
    """Where samples are taken that change nothing: a quarter pixel around each centre."""
    rows = (np.arange(2 * height) + 0.5) / 2 - 0.5
    columns = (np.arange(2 * width) + 0.5) / 2 - 0.5
    return np.stack(np.meshgrid(rows, columns, indexing="ij"), axis=2).astype(np.float32)


@RELAXED
@given(st.integers(0, 2**32), st.integers(1, 7), st.integers(1, 7), SIDES, SIDES)
def test_warp(seed, height, width, rows, columns):
    random = np.random.default_rng(seed)
    image = random.normal(size=(rows, columns)).astype(np.float32)
    labels = random.integers(0, 3, (rows, columns))
    fractions = (np.eye(3)[labels] * 255).astype(np.uint8)
    places = random.uniform(-2, max(rows, columns) + 1, (2 * height, 2 * width, 2))
    places = places.astype(np.float32)
    bent, target = warp(image, fractions, places, fill=7.0)
    assert bent.shape == (height, width)
    assert target.shape == (height, width, 3)
    for i, j in np.ndindex(height, width):
        four = places[2 * i : 2 * i + 2, 2 * j : 2 * j + 2].reshape(4, 2).astype(np.float64)
        grey = np.mean([slow_sample(image, *place, 7.0) for place in four])
        assert bent[i, j] == pytest.approx(grey, abs=1e-4)
        for k in range(3):
            outside = 1.0 if k == 0 else 0.0
            share = [slow_sample(labels == k, *place, outside) for place in four]
            assert target[i, j, k] == pytest.approx(np.mean(share), abs=1e-4)
    np.testing.assert_allclose(target.sum(axis=2), 1, atol=1e-5)


def test_warp_to_the_same_places_keeps_a_plane():
    """Four samples around a centre average to it wherever the image is linear."""
    rows, columns = np.indices((6, 8), np.float32)
    image = 2 * rows - 3 * columns
    fractions = np.full((6, 8, 2), (255, 0), np.uint8)
    bent, target = warp(image, fractions, grid_places(6, 8))
    np.testing.assert_allclose(bent[1:-1, 1:-1], image[1:-1, 1:-1], atol=1e-5)
    assert (target == (1, 0)).all()


def test_warp_takes_nan_for_outside():
    places = np.full((2, 2, 2), np.nan, np.float32)
    bent, target = warp(np.ones((3, 3), np.float32), np.zeros((3, 3, 2), np.uint8), places, 5)
    assert bent.tolist() == [[5]]
    assert target.tolist() == [[[1, 0]]]


@pytest.mark.parametrize(
    ("fractions", "places"),
    [((3, 4, 2), (2, 2, 2)), ((3, 3), (2, 2, 2)), ((3, 3, 2), (3, 2, 2)), ((3, 3, 2), (2, 2, 3))],
)
def test_warp_refuses(fractions, places):
    with pytest.raises(ValueError, match=r"fit|places"):
        warp(
            np.zeros((3, 3), np.float32),
            np.zeros(fractions, np.uint8),
            np.zeros(places, np.float32),
        )
