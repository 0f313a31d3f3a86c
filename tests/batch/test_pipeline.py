"""The batch pipeline with a stub engine: what is done, kept, failed, and how much is under way."""

import os
import sys
import threading
import time

import imagecodecs
import numpy as np
import pytest
import tifffile

from helpers.place import Place
from xray_seg.batch import stages
from xray_seg.batch.journal import Journal


@pytest.fixture
def place(tmp_path):
    return Place(tmp_path)


def _counts(summary):
    return summary.done, summary.kept, summary.failed


def test_each_film_gets_its_masks_at_its_own_size(place):
    place.add("a.png", "b.png")
    summary, rows = place.run()
    assert _counts(summary) == (2, 0, 0)
    assert rows == {"a.png": ("ok", ""), "b.png": ("ok", "")}
    names = {"labels/a.tif", "labels/b.tif", "overlay/a.jpg", "overlay/b.jpg"}
    assert set(place.files()) == names
    assert tifffile.imread(place.out / "labels" / "a.tif").shape == (60, 64)


def test_batches_are_full_whatever_fails_between(place):
    place.add(*(f"{n:02d}.png" for n in range(8)))
    for name in ("00x.png", "03x.png", "03y.png", "07x.png"):
        (place.films / name).write_text("no film")
    summary, _ = place.run(batch_size=3)
    assert _counts(summary) == (8, 0, 4)
    assert [len(batch) for batch in place.engine.batches] == [3, 3, 2]


def test_the_callback_is_told_of_each_input_once(place):
    place.add(*(f"{n}.png" for n in range(5)))
    (place.films / "bad.png").touch()
    place.run(str(place.films / "0.png"))
    told = []
    place.run(
        on_progress=lambda now, record: told.append((record.key, sum(_counts(now)), now.total))
    )
    assert sorted(key for key, _, _ in told) == ["0", "1", "2", "3", "4", "bad"]
    assert [(count, total) for _, count, total in told] == [(n, 6) for n in range(1, 7)]


def test_a_film_that_the_engine_fails_on_is_named_and_the_rest_of_its_batch_is_done(place):
    place.add("a.png", "b.png", "d.png", "e.png")
    blank = imagecodecs.png_encode(np.full((40, 40), 7, np.uint8))
    (place.films / "c.png").write_bytes(blank)
    summary, rows = place.run(batch_size=5)
    assert _counts(summary) == (4, 0, 1)
    status, error = rows.pop("c.png")
    assert status == "failed"
    assert str(place.films / "c.png") in error
    assert "no contrast" in error
    assert {status for status, _ in rows.values()} == {"ok"}


def test_a_film_whose_masks_cannot_be_written_is_named_and_the_rest_is_done(place):
    place.add("a.png", "b.png", "c.png")
    (place.out / ".xrayseg").mkdir(parents=True)
    (place.out / "labels" / "b.tif").mkdir(parents=True)
    summary, rows = place.run()
    assert _counts(summary) == (2, 0, 1)
    assert rows["b.png"][0] == "failed"
    assert str(place.out / "labels" / "b.tif") in rows["b.png"][1]
    assert [rows[name][0] for name in ("a.png", "c.png")] == ["ok", "ok"]
    assert not list(place.out.rglob(".xrayseg-*"))


@pytest.mark.parametrize("stage", ["read", "encode_all"])
def test_a_surprise_in_a_stage_costs_one_film(place, monkeypatch, stage):
    place.add("a.png", "b.png", "c.png")
    real = getattr(stages, stage)

    def surprising(*args, **options):
        if "b" in (getattr(args[0], "stem", ""), *args[1:2]):
            raise ZeroDivisionError("a surprise")
        return real(*args, **options)

    monkeypatch.setattr(stages, stage, surprising)
    summary, rows = place.run()
    assert _counts(summary) == (2, 0, 1)
    assert rows["b.png"][0] == "failed"
    for part in (str(place.films / "b.png"), "ZeroDivisionError", "a surprise"):
        assert part in rows["b.png"][1]


def test_spacing_and_polarity_given_override_the_files(place):
    place.add("a.png")
    place.run(inverted=False)
    (upright,) = place.engine.batches[0]
    place.run(inverted=True, spacing=0.5)
    (turned,) = place.engine.batches[0]
    content = np.s_[1:31]  # 60 of 64 rows: the letterbox leaves one row of 32 at either end
    assert np.allclose(turned[content], 1 - upright[content], atol=1e-6)
    assert not turned[[0, 31]].any()
    with Journal(place.out / ".xrayseg" / "journal.jsonl") as journal:
        row = journal.get("a").row
    assert (row["row_spacing_mm"], row["column_spacing_mm"], row["inverted"]) == (0.5, 0.5, True)


def test_outputs_do_not_depend_on_batch_size_or_workers(place):
    place.add(*(f"{n}.png" for n in range(5)))
    made = []
    for batch_size, workers in ((1, 1), (2, 3), (8, 2)):
        summary, _ = place.run(batch_size=batch_size, workers=workers, overwrite=True)
        assert summary.done == 5
        made.append(place.files())
    assert len(made[0]) == 10
    assert made[0] == made[1] == made[2]


@pytest.mark.parametrize("slow", ["engine", "writers"])
def test_the_number_of_films_under_way_is_bounded(place, monkeypatch, slow):
    place.add("0.png")
    for n in range(1, 60):
        os.link(place.films / "0.png", place.films / f"{n}.png")
    lock, under_way, most = threading.Lock(), 0, 0
    read, save = stages.read, stages.encode_all

    def counted_read(*args, **options):
        nonlocal under_way, most
        with lock:
            under_way += 1
            most = max(most, under_way)
        return read(*args, **options)

    def counted_save(*args):
        nonlocal under_way
        if slow == "writers":
            time.sleep(0.01)
        with lock:
            under_way -= 1
        return save(*args)

    if slow == "engine":
        place.engine.before = lambda: time.sleep(0.01)
    monkeypatch.setattr(stages, "read", counted_read)
    monkeypatch.setattr(stages, "encode_all", counted_save)
    summary, _ = place.run(batch_size=2, workers=2, save=("labels",))
    assert summary.done == 60
    assert under_way == 0
    # Two batches and a film a thread before the engine and again behind it, one batch in it.
    assert 2 <= most <= 5 * 2 + 2 * 2 + 2


def test_bad_files_are_told_of_before_all_are_read(place, monkeypatch):
    for n in range(100):
        (place.films / f"{n}.txt").write_text("no film")
    reads, read = [], stages.read

    def counted(*args, **options):
        reads.append(args)
        return read(*args, **options)

    monkeypatch.setattr(stages, "read", counted)
    reads_when_told = []
    place.run(batch_size=2, workers=1, on_progress=lambda *now: reads_when_told.append(len(reads)))
    assert len(reads_when_told) == 100
    assert reads_when_told[0] < 100


def test_a_named_pipe_does_not_hold_up_the_batch(place):
    place.add("a.png")
    place.run()
    os.mkfifo(place.films / "pipe")
    other_end = os.open(place.films / "pipe", os.O_RDWR)
    batch = threading.Thread(target=place.run)
    batch.start()
    batch.join(3)
    held_up = batch.is_alive()
    os.close(other_end)
    batch.join()
    assert not held_up


@pytest.mark.skipif(sys.platform != "linux", reason="threads have priorities of their own on Linux")
def test_readers_and_writers_give_way_to_the_engine(place, monkeypatch):
    def priority():
        return os.getpriority(os.PRIO_PROCESS, threading.get_native_id())

    place.add("a.png", "b.png")
    found, read, save = {}, stages.read, stages.encode_all
    monkeypatch.setattr(
        stages, "read", lambda *a, **k: found.update(read=priority()) or read(*a, **k)
    )
    monkeypatch.setattr(stages, "encode_all", lambda *a: found.update(save=priority()) or save(*a))
    place.engine.before = lambda: found.update(engine=priority())
    before = priority()
    place.run()
    assert found["engine"] == before == priority()
    assert found["read"] == found["save"] == min(19, before + 5)
