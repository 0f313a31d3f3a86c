"""Processors in run.json, notes on mixed ones, and runs of a deterministic engine."""

import json
import logging
import pickle
import sys
from dataclasses import replace
from importlib.metadata import version
from types import SimpleNamespace

import pytest

from helpers.batches import batch, make_films
from helpers.place import Place, StubEngine
from xray_seg._util.processor import Processor, this_processor
from xray_seg.batch.executors.ray_cluster import survey
from xray_seg.batch.executors.ray_cluster.tasks import pack_engine, plan_engine
from xray_seg.batch.fingerprint import settings_of
from xray_seg.batch.job import BatchJob
from xray_seg.batch.merge import merge
from xray_seg.batch.options import BatchOptions
from xray_seg.batch.processors import mixture, to_json
from xray_seg.batch.run_record import RunRecord
from xray_seg.cli import main
from xray_seg.models.engines import is_deterministic
from xray_seg.models.model_folder import load_model

OLD = Processor("Old", "x86_64", "avx2", ("sse4.1", "avx2", "fma"), "glibc 2.36")
NEW = replace(OLD, model="New", instruction_set="avx512-vnni", features=("avx512vnni",))
ARM = Processor("Arm", "aarch64", "neon", ("neon",), "glibc 2.36")


@pytest.fixture
def place(tmp_path):
    place = Place(tmp_path)
    place.add("a.png", "b.png")
    return place


def _facts(place):
    return json.loads((place.out / "run.json").read_text())


def _own():
    return json.loads(json.dumps(to_json([this_processor()])))


@pytest.mark.parametrize("output_format", ["folder", "parquet"])
def test_run_json_describes_the_processor(place, output_format):
    place.run(output_format=output_format)
    (found,) = _facts(place)["processors"]
    assert found["model"] == this_processor().model
    assert found["instruction_set"] == this_processor().instruction_set
    assert found["features"] == list(this_processor().features)
    assert found["c_library"] == this_processor().c_library
    assert _facts(place)["notes"] == []
    assert _facts(place)["engine"]["deterministic"] is False
    assert _facts(place)["engine"]["build"] == ""  # an engine of the user


def _pretend(path, *processors, **engine):
    """Write other processors into a run.json."""
    facts = json.loads(path.read_text())
    facts["processors"] = to_json(processors)
    facts["engine"] |= engine
    path.write_text(json.dumps(facts))


def test_processors_of_an_earlier_run_count_while_its_outputs_are_kept(place):
    other = replace(OLD, instruction_set="elsewhere")
    place.run()
    _pretend(place.out / "run.json", other)
    place.run()  # keeps everything
    assert [each["instruction_set"] for each in _facts(place)["processors"]] == ["elsewhere"]
    assert _facts(place)["notes"] == []
    place.add("c.png", seed=5)
    place.run()  # keeps two, adds one
    assert len(_facts(place)["processors"]) == 2
    (note,) = _facts(place)["notes"]
    assert "elsewhere" in note
    assert this_processor().instruction_set in note
    place.run(overwrite=True)
    assert _facts(place)["processors"] == _own()
    assert _facts(place)["notes"] == []


def test_a_run_json_without_processors_or_with_damaged_ones(place):
    place.run()
    path = place.out / "run.json"
    facts = json.loads(path.read_text())
    for damaged in ([{"model": "x"}], 3, [4]):
        path.write_text(json.dumps(facts | {"processors": damaged}))
        with pytest.raises(ValueError, match="processors"):
            RunRecord.read(path)
    del facts["processors"], facts["notes"]  # as earlier versions wrote it
    path.write_text(json.dumps(facts))
    assert RunRecord.read(path).processors == ()
    place.run()
    assert _facts(place)["processors"] == _own()


def test_mixed_instruction_sets_are_named_unless_the_engine_is_deterministic():
    assert mixture([OLD, replace(OLD, model="another")], deterministic=False) is None
    found = mixture([NEW, OLD, OLD], deterministic=False)
    assert "avx2, avx512-vnni" in found
    assert mixture([NEW, OLD], deterministic=True) is None
    assert "aarch64, glibc 2.36; x86_64, glibc 2.36" in mixture([ARM, NEW], deterministic=True)


@pytest.fixture
def shards(tmp_path):
    """An output folder with two shards of the same batch."""
    (tmp_path / "films").mkdir()
    out = tmp_path / "out"
    for index in (1, 2):
        batch(make_films(tmp_path / "films"), out, (index, 2))
    return out


def test_merge_notes_shards_of_different_instruction_sets(shards, capsys):
    _pretend(shards / "run-1-of-2.json", OLD)
    _pretend(shards / "run-2-of-2.json", NEW, OLD)
    with pytest.raises(SystemExit, match="1"):  # one input is not an image
        main(["merge", str(shards)])
    record = RunRecord.read(shards / "run.json")
    assert record.processors == (NEW, OLD)
    assert ["avx2, avx512-vnni" in note for note in record.notes] == [True]
    assert "avx2, avx512-vnni" in " ".join(capsys.readouterr().err.split())


def test_merge_has_no_note_on_deterministic_shards_or_alike_ones(shards):
    _pretend(shards / "run-1-of-2.json", OLD)
    _pretend(shards / "run-2-of-2.json", OLD)
    assert merge([shards], shards).notes == ()
    _pretend(shards / "run-1-of-2.json", OLD, deterministic=True)
    _pretend(shards / "run-2-of-2.json", NEW, deterministic=True)
    assert merge([shards], shards).notes == ()


def test_shards_of_a_deterministic_and_another_engine_are_not_one_batch(shards):
    _pretend(shards / "run-1-of-2.json", OLD, deterministic=True)
    with pytest.raises(Exception, match="made with other weights, settings or version"):
        merge([shards], shards)


class _DeterministicEngine(StubEngine):
    deterministic = True


def test_a_deterministic_engine_segments_again_what_another_did(place):
    place.run()
    place.segmenter.engine = place.engine = _DeterministicEngine()
    assert place.run()[0].done == 2
    assert place.run()[0].kept == 2
    assert _facts(place)["engine"]["deterministic"] is True


def test_fingerprints_of_other_engines_are_those_of_earlier_versions(place):
    job = BatchJob.of([], place.out, place.segmenter, BatchOptions())
    made_with = json.loads(settings_of(job))
    assert made_with[1:-1] == [place.segmenter.model.sha256, "", "stub", "exact"]
    place.segmenter.engine = _DeterministicEngine()
    job = BatchJob.of([], place.out, place.segmenter, BatchOptions())
    assert json.loads(settings_of(job)) == [*made_with[:-1], "deterministic", made_with[-1]]


def test_the_option_opens_a_deterministic_engine(place):
    command = ["batch", str(place.films), "-o", str(place.out), "--deterministic"]
    with pytest.raises(SystemExit, match="0"):
        main([*command, "--weights", "inverted-net-128", "--quiet"])
    engine = _facts(place)["engine"]
    assert (engine["name"], engine["precision"], engine["deterministic"]) == (
        "litert",
        "int8",
        True,
    )
    assert engine["build"] == f"ai-edge-litert {version('ai-edge-litert')}"


def test_the_option_and_another_precision_are_wrong_usage(place, capsys):
    command = ["batch", str(place.films), "-o", str(place.out), "--deterministic"]
    with pytest.raises(SystemExit, match="2"):
        main([*command, "--precision", "float32"])
    assert "--deterministic needs --precision int8, not float32" in capsys.readouterr().err


def test_a_deterministic_engine_runs_on_the_cpus_of_a_cluster_with_gpus(monkeypatch):
    fake = SimpleNamespace(cluster_resources=lambda: {"CPU": 8, "GPU": 2}, cloudpickle=pickle)
    monkeypatch.setitem(sys.modules, "ray", fake)
    model = load_model("inverted-net-128")
    auto = {"engine": "auto", "precision": "auto", "device": "auto"}
    assert plan_engine(model, **auto).device == "gpu:0"
    engine = plan_engine(model, **auto, deterministic=True)
    assert (engine.name, engine.device) == ("litert", "cpu")
    _, packed = pickle.loads(pack_engine(engine, model, 1))
    assert is_deterministic(packed)


class _Cluster:
    """Nodes of a cluster with their processors; a node without one does not answer."""

    def __init__(self, monkeypatch, **processors):
        self.processors, self.asked = processors, []
        monkeypatch.setitem(sys.modules, "ray", SimpleNamespace(nodes=self.nodes))
        monkeypatch.setattr(survey, "ask", self.ask)

    def nodes(self):
        head = {"NodeID": "head", "Alive": True, "Resources": {}}  # it computes nothing
        dead = {"NodeID": "dead", "Alive": False, "Resources": {"CPU": 8}}
        alive = [
            {"NodeID": name, "Alive": True, "Resources": {"CPU": 8}} for name in self.processors
        ]
        return [head, dead, *alive]

    def ask(self, names):
        self.asked += names
        return {name: self.processors[name] for name in names if self.processors[name]}


def _warned(caplog):
    return [each.getMessage() for each in caplog.records if each.levelno == logging.WARNING]


def test_a_mixed_cluster_is_warned_of_once(monkeypatch, caplog):
    cluster = _Cluster(monkeypatch, one=OLD, two=replace(OLD, model="another"))
    asking = survey.Survey(StubEngine())
    assert len(asking.update()) == 2
    assert _warned(caplog) == []
    cluster.processors["three"] = NEW  # it joins later
    assert set(asking.update()) == {OLD, NEW, replace(OLD, model="another")}
    (message,) = _warned(caplog)
    assert "avx2, avx512-vnni" in message
    assert "--deterministic" in message
    asking.update()
    assert len(_warned(caplog)) == 1
    assert cluster.asked == ["one", "two", "three"]


def test_a_node_that_does_not_answer_is_asked_again(monkeypatch):
    cluster = _Cluster(monkeypatch, one=None)
    asking = survey.Survey(StubEngine())
    assert asking.update() == []
    cluster.processors["one"] = OLD
    assert asking.update() == [OLD]


def test_no_warning_with_a_deterministic_engine_or_one_on_gpus(monkeypatch, caplog):
    _Cluster(monkeypatch, one=OLD, two=NEW)
    survey.Survey(_DeterministicEngine()).update()
    on_gpu = StubEngine()
    on_gpu.device = "gpu:0"
    survey.Survey(on_gpu).update()
    assert _warned(caplog) == []
