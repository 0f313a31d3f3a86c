"""What decides that an input is done again: each part of a fingerprint, by what a run keeps."""

import csv
import os

import pytest

from helpers.place import Place, StubEngine, stub_segmenter
from xray_seg.batch.fingerprint import fingerprint_of
from xray_seg.batch.options import BatchOptions
from xray_seg.batch.run import run_batch


@pytest.fixture
def place(tmp_path):
    place = Place(tmp_path)
    place.add("a.png", "b.png")
    return place


def _counts(place, folder=None, segmenter=None, **options):
    summary = run_batch(
        [folder or place.films],
        place.out,
        segmenter=segmenter or place.segmenter,
        options=BatchOptions(**options),
    )
    return summary.done, summary.kept


def test_nothing_changed_is_kept(place):
    assert _counts(place) == (2, 0)
    assert _counts(place) == (0, 2)


@pytest.mark.parametrize("verify", ["mtime", "hash"])
@pytest.mark.parametrize("how", ["moved", "linked"])
def test_an_input_at_another_path_is_done_and_listed_there(place, tmp_path, how, verify):
    """Results name an input by its path, so a record of another path is not the input's own."""
    assert _counts(place, verify=verify) == (2, 0)
    other = tmp_path / "other"
    if how == "moved":
        place.films.rename(other)  # keeps names, sizes and times
    else:
        other.symlink_to(place.films)
    assert _counts(place, other, verify=verify) == (2, 0)
    with (place.out / "results.csv").open(newline="") as file:
        rows = [(row["input"], row["status"]) for row in csv.DictReader(file)]
    assert rows == [(str(other / name), "ok") for name in ("a.png", "b.png")]
    assert _counts(place, other, verify=verify) == (0, 2)


def test_whole_lungs_do_everything_again(place):
    assert _counts(place, save=("labels", "organs")) == (2, 0)
    assert _counts(place, save=("labels", "organs"), whole=True) == (2, 0)
    assert _counts(place, save=("labels", "organs"), whole=True) == (0, 2)
    assert _counts(place, save=("labels", "organs")) == (2, 0)


def _engine(**facts):
    engine = StubEngine()
    for name, value in facts.items():
        setattr(engine, name, value)
    return stub_segmenter(engine)


@pytest.mark.parametrize("fact", ["name", "precision"])
def test_another_engine_or_precision_does_everything_again(place, fact):
    assert _counts(place, segmenter=_engine(**{fact: "one"})) == (2, 0)
    assert _counts(place, segmenter=_engine(**{fact: "one"})) == (0, 2)
    assert _counts(place, segmenter=_engine(**{fact: "other"})) == (2, 0)


@pytest.mark.parametrize("fact", ["device", "batch_size"])
def test_where_and_in_what_steps_the_engine_works_does_not_matter(place, fact):
    assert _counts(place, segmenter=_engine(**{fact: {"device": "cpu", "batch_size": 1}[fact]}))
    changed = _engine(**{fact: {"device": "gpu", "batch_size": 2}[fact]})
    assert _counts(place, segmenter=changed) == (0, 2)


def test_other_weights_do_everything_again(place):
    assert _counts(place, segmenter=stub_segmenter(files={"weights": "1"})) == (2, 0)
    assert _counts(place, segmenter=stub_segmenter(files={"weights": "2"})) == (2, 0)


def test_a_changed_time_counts_unless_contents_are_compared(place):
    later = place.films / "a.png"
    for verify, expected in (("mtime", (1, 1)), ("hash", (0, 2))):
        _counts(place, verify=verify)
        os.utime(later, ns=(0, later.stat().st_mtime_ns + 1))
        assert _counts(place, verify=verify) == expected


def test_contents_of_the_same_size_and_time_count_if_they_are_compared(tmp_path):
    path = tmp_path / "a.png"
    path.write_bytes(b"one")
    times = path.stat().st_atime_ns, path.stat().st_mtime_ns
    before = {verify: fingerprint_of(path, "", verify) for verify in ("mtime", "hash")}
    path.write_bytes(b"two")
    os.utime(path, ns=times)
    assert fingerprint_of(path, "", "mtime") == before["mtime"]
    assert fingerprint_of(path, "", "hash") != before["hash"]
