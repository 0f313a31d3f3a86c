"""Raggedness of masks, against counting pixel sides and a hull of all corners."""

import numpy as np
import pytest
from scipy import ndimage
from scipy.spatial import ConvexHull

from xray_seg.kernels import find_runs, raggedness


@pytest.mark.parametrize("seed", range(12))
def test_raggedness(seed):
    noise = np.random.default_rng(seed).standard_normal((40 + seed, 70 - 3 * seed))
    labels = np.digitize(ndimage.gaussian_filter(noise, 1 + seed % 4), (0, 0.1)).astype(np.uint8)
    runs = find_runs(labels)
    found = raggedness(runs, runs.labels, 4, 5)
    for label in range(3):
        inside = np.pad(labels == label, 1)
        sides = sum(np.count_nonzero(np.diff(inside, axis=axis)) for axis in (0, 1))
        assert found.perimeter[label] == sides
        places = np.argwhere(labels == label)
        corners = np.concatenate([places + step for step in np.ndindex(2, 2)])
        assert found.hull_twice[label] == pytest.approx(2 * ConvexHull(corners).volume)
        thin = sum(
            stop - start
            for start, stop, value in zip(runs.starts, runs.stops, runs.labels, strict=True)
            if value == label and stop - start < 5
        )
        assert found.thin[label] == thin
    assert found.perimeter[3] == found.hull_twice[3] == found.thin[3] == 0


def test_a_rectangle_fills_its_hull():
    labels = np.zeros((20, 30), np.uint8)
    labels[3:9, 5:15] = 1
    runs = find_runs(labels)
    found = raggedness(runs, runs.labels, 2, 11)
    assert (found.perimeter[1], found.hull_twice[1], found.thin[1]) == (32, 120, 60)


def test_raggedness_refuses():
    runs = find_runs(np.ones((4, 4), np.uint8))
    with pytest.raises(ValueError, match="need as many uint8"):
        raggedness(runs, np.zeros(9, np.uint8), 2, 3)
    with pytest.raises(ValueError, match="below 1"):
        raggedness(runs, runs.labels, 1, 3)
