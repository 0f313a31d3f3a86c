"""Runs into an output folder, with the shipped weights: what a second run keeps and does anew."""

import csv
import json
import shutil
import signal
import threading
import time
from dataclasses import replace
from importlib.metadata import version

import imagecodecs
import numpy as np
import pytest
import tifffile

from helpers.batches import to_shard
from xray_seg import Segmenter
from xray_seg.batch import stages
from xray_seg.batch.options import BatchOptions
from xray_seg.batch.run import run_batch
from xray_seg.data.phantom import make_phantom
from xray_seg.errors import OutputError

NAMES = ("a.png", "b.png", "ward/c.png")


@pytest.fixture(scope="module")
def segmenter():
    return Segmenter(engine="litert")


@pytest.fixture(scope="module")
def pictures():
    films = (make_phantom(seed, 64).radiograph * 255 for seed in range(4))
    return [imagecodecs.png_encode(film.astype(np.uint8)) for film in films]


@pytest.fixture
def films(tmp_path, pictures):
    folder = tmp_path / "films"
    (folder / "ward").mkdir(parents=True)
    for name, picture in zip(NAMES, pictures, strict=False):
        (folder / name).write_bytes(picture)
    return folder


def _run(names, out, segmenter, part=None, **options):
    """Numbers of films done, kept and failed, and the rows of results.csv."""
    names = names if isinstance(names, list) else [names]
    options = BatchOptions(**options)
    summary = run_batch(names, out, segmenter=segmenter, options=options, shard=to_shard(part))
    mark = f"-{part[0]}-of-{part[1]}" if part else ""
    return (summary.done, summary.kept, summary.failed), _rows(out, mark)


def _rows(out, mark=""):
    with (out / f"results{mark}.csv").open(newline="", encoding="utf-8") as file:
        return list(csv.DictReader(file))


def _made(out):
    """Identity of each file of masks: one that is written anew has another."""
    return {
        path.relative_to(out).as_posix(): (path.stat().st_ino, path.stat().st_mtime_ns)
        for folder in (out / "labels", out / "overlay")
        for path in folder.rglob("*.*")
    }


def _changed(before, after):
    return {name for name in after if before.get(name) != after[name]}


def test_results_have_a_row_per_input_in_order(films, tmp_path, segmenter):
    (films / "bad.png").touch()
    counts, rows = _run(films, tmp_path / "out", segmenter)
    assert counts == (3, 0, 1)
    assert [(row["input"], row["status"], row["labels"]) for row in rows] == [
        (str(films / "a.png"), "ok", "labels/a.tif"),
        (str(films / "b.png"), "ok", "labels/b.tif"),
        (str(films / "bad.png"), "failed", ""),
        (str(films / "ward" / "c.png"), "ok", "labels/ward/c.tif"),
    ]


def test_measurements_are_those_of_the_label_map(films, tmp_path, segmenter):
    _, rows = _run(films, tmp_path / "out", segmenter, spacing=0.5)
    for row in rows:
        labels = tifffile.imread(tmp_path / "out" / row["labels"])
        for label, organ in enumerate(("clavicles", "heart", "lungs"), 1):
            area = int((labels == label).sum())
            assert int(row[f"{organ}_area_px"]) == area
            assert float(row[f"{organ}_area_cm2"]) == pytest.approx(area * 0.0025, abs=1e-3)
        for label, name in ((2, "heart"), (3, "thorax")):
            columns = np.flatnonzero((labels == label).any(axis=0))
            width = str(columns[-1] - columns[0] + 1) if len(columns) else ""
            assert row[f"{name}_width_px"] == width


def test_run_json_says_what_was_done_with_what(films, tmp_path, segmenter):
    _run(films, tmp_path / "out", segmenter, spacing=0.2, batch_size=2)
    facts = json.loads((tmp_path / "out" / "run.json").read_text())
    assert facts["counts"] == {"inputs": 3, "done": 3, "kept": 0, "failed": 0, "skipped": 0}
    model = segmenter.model
    assert facts["weights"] == {
        "name": model.name,
        "sha256": model.sha256,
        "calibration_sha256": model.calibration_sha256,
    }
    assert facts["engine"] == {
        "name": "litert",
        "precision": "int8",
        "device": "cpu",
        "build": f"ai-edge-litert {version('ai-edge-litert')}",
        "deterministic": False,
    }
    assert facts["settings"]["save"] == ["labels", "overlay"]
    assert (facts["settings"]["spacing"], facts["settings"]["batch_size"]) == (0.2, 2)
    assert facts["versions"]["numpy"] == np.__version__
    assert facts["interrupted"] is False
    assert facts["started"] <= facts["finished"]
    assert 0 < facts["engine_seconds"] <= facts["seconds"]


@pytest.mark.parametrize("options", [{}, {"batch_size": 1, "workers": 3}])
def test_a_second_run_keeps_what_is_done(films, tmp_path, segmenter, options):
    out = tmp_path / "out"
    _, rows = _run(films, out, segmenter)
    before = _made(out)
    assert _run(films, out, segmenter, **options) == ((0, 3, 0), rows)
    assert _made(out) == before


@pytest.mark.parametrize(
    ("options", "anew"),
    [
        ({"overwrite": True}, 6),
        ({"spacing": 0.2}, 6),
        ({"inverted": True}, 6),
        ({"suffix": ".png"}, 6),
        ({"save": ("labels",)}, 3),
    ],
    ids=str,
)
def test_another_setting_does_all_anew(films, tmp_path, segmenter, options, anew):
    out = tmp_path / "out"
    _run(films, out, segmenter)
    before = _made(out)
    counts, _ = _run(films, out, segmenter, **options)
    assert counts == (3, 0, 0)
    assert len(_changed(before, _made(out))) == anew


def test_other_weights_do_all_anew(films, tmp_path, segmenter):
    _run(films, tmp_path / "out", segmenter)
    card = {**segmenter.model.card, "files": {"dynamic_int8.tflite": "another"}}
    other = Segmenter(replace(segmenter.model, card=card), engine=segmenter.engine)
    assert _run(films, tmp_path / "out", other)[0] == (3, 0, 0)


def test_only_a_changed_film_a_lost_mask_and_a_new_film_are_done(
    films, tmp_path, segmenter, pictures
):
    out = tmp_path / "out"
    _run(films, out, segmenter)
    before = _made(out)
    (films / "a.png").write_bytes(pictures[3])
    (out / "overlay" / "b.jpg").unlink()
    (films / "new.png").write_bytes(pictures[3])
    counts, _ = _run(films, out, segmenter)
    assert counts == (3, 1, 0)
    assert _changed(before, _made(out)) == {
        f"{kind}/{key}{suffix}"
        for kind, suffix in (("labels", ".tif"), ("overlay", ".jpg"))
        for key in ("a", "b", "new")
    }
    new, changed = (tifffile.imread(out / "labels" / name) for name in ("new.tif", "a.tif"))
    assert np.array_equal(new, changed)


def test_a_bad_film_is_tried_again_until_it_is_mended(films, tmp_path, segmenter, pictures):
    (films / "bad.png").write_bytes(pictures[3][:500])
    assert _run(films, tmp_path / "out", segmenter)[0] == (3, 0, 1)
    counts, rows = _run(films, tmp_path / "out", segmenter)
    assert counts == (0, 3, 1)
    assert [row["status"] for row in rows] == ["ok", "ok", "failed", "ok"]
    (films / "bad.png").write_bytes(pictures[3])
    assert _run(films, tmp_path / "out", segmenter)[0] == (1, 3, 0)


def test_odd_names_are_kept_in_the_output_and_in_results(tmp_path, segmenter, pictures):
    names = [
        "two words.png",
        "Thorax ä 胸.png",
        "two\nlines.png",
        '"quoted", comma.png',
        "x[1].png",
    ]
    (tmp_path / "films").mkdir()
    for name in names:
        (tmp_path / "films" / name).write_bytes(pictures[0])
    counts, rows = _run(tmp_path / "films", tmp_path / "out", segmenter)
    assert counts == (len(names), 0, 0)
    assert {row["input"] for row in rows} == {str(tmp_path / "films" / name) for name in names}
    for row in rows:
        assert tifffile.imread(tmp_path / "out" / row["labels"]).shape == (64, 64)
    assert {path.stem + ".png" for path in (tmp_path / "out" / "labels").iterdir()} == set(names)


def test_shards_together_do_everything_once(films, tmp_path, segmenter):
    out = tmp_path / "out"
    shards = [_run(films, out, segmenter, part=(index, 2)) for index in (1, 2)]
    assert [counts for counts, _ in shards] == [(2, 0, 0), (1, 0, 0)]
    rows = [row["input"] for _, rows in shards for row in rows]
    assert sorted(rows) == sorted(str(films / name) for name in NAMES)
    parts = _made(out)
    facts = [json.loads((out / f"run-{index}-of-2.json").read_text()) for index in (1, 2)]
    assert [fact["counts"]["inputs"] for fact in facts] == [2, 1]
    assert _run(films, out, segmenter, part=(1, 2))[0] == (0, 2, 0)
    _run(films, tmp_path / "whole", segmenter)
    assert parts.keys() == _made(tmp_path / "whole").keys()
    for name in parts:
        assert (out / name).read_bytes() == (tmp_path / "whole" / name).read_bytes()


def test_an_output_folder_within_the_input_is_no_input(films, segmenter):
    out = films / "masks"
    assert _run(films, out, segmenter)[0] == (3, 0, 0)
    assert _run(films, out, segmenter)[0] == (0, 3, 0)


def test_masks_may_be_written_into_the_folder_of_the_films(films, segmenter):
    assert _run(films, films, segmenter)[0] == (3, 0, 0)
    assert _run(films, films, segmenter)[0] == (0, 3, 0)


def _two_of_one_name(folder, picture):
    names = [folder / "one" / "x.png", folder / "two" / "x.png"]
    for name in names:
        name.parent.mkdir()
        name.write_bytes(picture)
    return names


def test_of_two_films_that_would_share_a_name_the_second_failed(tmp_path, segmenter, pictures):
    names = _two_of_one_name(tmp_path, pictures[0])
    counts, rows = _run(names, tmp_path / "out", segmenter)
    assert counts == (1, 0, 1)
    assert [row["status"] for row in rows] == ["ok", "failed"]


def test_of_two_films_that_would_share_a_name_the_first_stays_done(tmp_path, segmenter, pictures):
    names = _two_of_one_name(tmp_path, pictures[0])
    for counts in ((1, 0, 1), (0, 1, 1), (0, 1, 1)):
        found, (first, second) = _run(names, tmp_path / "out", segmenter)
        assert found == counts
        assert first["status"] == "ok"
        assert str(names[0]) in second["error"]


@pytest.mark.parametrize("out", ["file", "file/below"])
def test_an_output_folder_that_cannot_be_made_is_named(films, tmp_path, segmenter, out):
    (tmp_path / "file").write_text("in the way")
    with pytest.raises(OutputError, match=rf"{out}: cannot be written"):
        _run(films, tmp_path / out, segmenter)


def test_after_an_interruption_the_rest_is_pending_and_the_next_run_does_it(
    films, tmp_path, segmenter, monkeypatch
):
    out, calls, predict = tmp_path / "out", [], segmenter.engine.predict

    def interrupted(grids):
        calls.append(grids)
        if len(calls) == 2:
            raise KeyboardInterrupt
        return predict(grids)

    monkeypatch.setattr(segmenter.engine, "predict", interrupted)
    summary = run_batch([str(films)], out, segmenter=segmenter, options=BatchOptions(batch_size=1))
    assert summary.interrupted
    assert summary.done == 1
    assert [row["status"] for row in _rows(out)] == ["ok", "pending", "pending"]
    assert "stopped" in _rows(out)[1]["error"]
    assert json.loads((out / "run.json").read_text())["interrupted"] is True
    before = _made(out)
    assert before.keys() == {"labels/a.tif", "overlay/a.jpg"}
    assert _run(films, out, segmenter, batch_size=1)[0] == (2, 1, 0)
    assert _made(out).items() > before.items()


def test_a_film_whose_masks_were_written_during_an_interruption_counts_as_done(
    films, tmp_path, segmenter, monkeypatch
):
    save, main = stages.encode_all, threading.main_thread().ident
    before = signal.signal(signal.SIGINT, signal.default_int_handler)

    def interrupted_save(*args):
        time.sleep(1)  # by now the main thread waits for this film
        signal.pthread_kill(main, signal.SIGINT)
        time.sleep(0.3)
        return save(*args)

    monkeypatch.setattr(stages, "encode_all", interrupted_save)
    try:
        counts, (row,) = _run(films / "a.png", tmp_path / "out", segmenter)
    finally:
        signal.signal(signal.SIGINT, before)
    assert (tmp_path / "out" / "labels" / "a.tif").is_file()
    assert (counts, row["status"]) == ((1, 0, 0), "ok")


def test_masks_of_another_film_are_not_replaced_unasked(films, tmp_path, segmenter, pictures):
    out = tmp_path / "out"
    _run(films, out, segmenter)
    before = (out / "labels" / "a.tif").read_bytes()
    other = tmp_path / "others"
    other.mkdir()
    shutil.copy(films / "b.png", other / "a.png")
    counts, rows = _run(other, out, segmenter)
    assert counts == (0, 0, 1)
    assert "would replace those of" in rows[0]["error"]
    assert (out / "labels" / "a.tif").read_bytes() == before
    assert _run(films, out, segmenter)[0] == (0, 3, 0)  # they still count as done
    assert _run(other, out, segmenter, overwrite=True)[0] == (1, 0, 0)


def test_a_second_run_at_once_is_refused(films, tmp_path, segmenter):
    from xray_seg._util.folder_lock import lock_output_folder

    out = tmp_path / "out"
    with (
        lock_output_folder(out, "", ()),
        pytest.raises(OutputError, match="another run writes here"),
    ):
        _run(films, out, segmenter)
    assert _run(films, out, segmenter)[0] == (3, 0, 0)


def test_a_new_version_keeps_what_is_done_unless_outputs_change(
    films, tmp_path, segmenter, monkeypatch
):
    _run(films, tmp_path / "out", segmenter)
    for module in ("xray_seg", "xray_seg._version", "xray_seg._util.environment"):
        monkeypatch.setattr(f"{module}.__version__", "9.9.9")
    assert _run(films, tmp_path / "out", segmenter)[0] == (0, 3, 0)
    monkeypatch.setattr("xray_seg.batch.fingerprint.OUTPUT_REVISION", 1000)
    assert _run(films, tmp_path / "out", segmenter)[0] == (3, 0, 0)


@pytest.mark.parametrize(
    "options",
    [{"verify": "hash"}, {"max_pixels": 10**6}, {"report": False}, {"min_quality": 0.5}],
    ids=str,
)
def test_options_that_change_no_output_are_one_list(films, tmp_path, segmenter, options):
    """Shards that differ in them alone are merged."""
    from xray_seg.batch.merge import merge

    out = tmp_path / "out"
    _run(films, out, segmenter, part=(1, 2))
    _run(films, out, segmenter, part=(2, 2), **options)
    merged = merge([out], out)
    assert (merged.rows, merged.failed, merged.missing) == (3, 0, ())


def test_records_and_run_json_carry_their_schemas_version(films, tmp_path, segmenter):
    out = tmp_path / "out"
    _run(films, out, segmenter)
    assert json.loads((out / "run.json").read_text())["schema_version"] == 1
    lines = (out / ".xrayseg" / "journal.jsonl").read_text().splitlines()
    assert [json.loads(line)["schema_version"] for line in lines] == [1, 1, 1]
