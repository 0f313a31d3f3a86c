"""Label maps compressed from their runs, against decoders of other libraries."""

import zlib

import imagecodecs
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from helpers.outputs import save_labels
from xray_seg.data.phantom import make_phantom, phantom_labels
from xray_seg.kernels import deflate, find_runs

RELAXED = settings(deadline=None, max_examples=150)


@RELAXED
@given(
    st.tuples(st.integers(1, 30), st.integers(1, 700)).flatmap(
        lambda shape: hnp.arrays(
            np.uint8,
            shape,
            elements=st.sampled_from([0, 1, 3, 11, 12, 200, 255]),
            fill=st.sampled_from([0, 2, 255]),
        )
    )
)
def test_what_zlib_makes_of_it(labels):
    """zlib checks its checksum, too."""
    assert zlib.decompress(deflate(find_runs(labels))) == labels.tobytes()


@pytest.mark.parametrize("length", [*range(1, 12), *range(255, 265), *range(514, 522), 70_000])
def test_runs_of_awkward_lengths(length):
    labels = np.full((1, length + 1), 3, np.uint8)
    labels[0, 0] = 0
    assert zlib.decompress(deflate(find_runs(labels))) == labels.tobytes()


def test_every_value_and_none_like_its_neighbour():
    labels = np.arange(256, dtype=np.uint8).reshape(4, 64).repeat(3, axis=0)
    assert zlib.decompress(deflate(find_runs(labels))) == labels.tobytes()
    checkers = (np.indices((300, 300)).sum(axis=0) % 2 * 201).astype(np.uint8)
    assert zlib.decompress(deflate(find_runs(checkers))) == checkers.tobytes()


def test_the_checksum_of_a_bright_map_does_not_overflow():
    labels = np.full((3000, 3000), 255, np.uint8)
    assert zlib.decompress(deflate(find_runs(labels))) == labels.tobytes()


def test_a_chest_takes_less_room_than_by_zlib(tmp_path):
    labels = phantom_labels(make_phantom(1))
    stream = deflate(find_runs(labels))
    for decode in (imagecodecs.zlib_decode, imagecodecs.deflate_decode, imagecodecs.zlibng_decode):
        assert bytes(decode(stream)) == labels.tobytes()
    assert len(stream) < len(zlib.compress(labels.tobytes(), 6))
    save_labels(tmp_path / "labels.tif", labels)
    assert (tmp_path / "labels.tif").stat().st_size < len(stream) + 1000
