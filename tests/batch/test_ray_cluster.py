"""A batch on a Ray cluster of two nodes is the batch on one machine, whatever dies on the way."""

import csv
import os
import shutil
import subprocess
import sys
import time

import imagecodecs
import numpy as np
import pytest

from helpers.place import stub_segmenter
from helpers.s3 import bucket_of
from xray_seg.batch.executors import ray_cluster, threads
from xray_seg.batch.executors.ray_cluster import RayExecutor, staged, whole
from xray_seg.batch.executors.ray_cluster import nodes as sharing
from xray_seg.batch.executors.ray_cluster.tasks import RayJob
from xray_seg.batch.inputs import Input
from xray_seg.batch.job import BatchJob
from xray_seg.batch.journal import Record
from xray_seg.batch.options import BatchOptions
from xray_seg.batch.run import run_batch
from xray_seg.batch.run_record import RunRecord
from xray_seg.batch.stages import Result, Task
from xray_seg.cli import main
from xray_seg.data.phantom import make_phantom
from xray_seg.errors import ClusterError

pytestmark = [
    pytest.mark.ray,
    pytest.mark.filterwarnings("ignore"),  # raised within Ray and its dependencies
]
SIZE = 32


class Bands:
    """An engine that needs no weights: classes by brightness."""

    name, precision, device, size, batch_size = "bands", "exact", "cpu", SIZE, 3

    def predict(self, grids):
        classes = np.minimum((grids * 4).astype(int), 3)
        return np.where(classes[..., None] == np.arange(4), 0.97, 0.01).astype(np.float32)


SEGMENTER = stub_segmenter(Bands())


@pytest.fixture(scope="module")
def store(tmp_path_factory):
    """The folder behind an S3 bucket of this machine, which workers find by the environment."""
    folder = tmp_path_factory.mktemp("bucket")
    with bucket_of(folder, "films") as environment, pytest.MonkeyPatch.context() as patch:
        for name, value in environment.items():
            patch.setenv(name, value)
        yield folder


@pytest.fixture(scope="module")
def nodes(store):
    """Two nodes of two cores each, on this machine, and this process as their driver."""
    import ray
    from ray.cluster_utils import Cluster

    ray.cloudpickle.register_pickle_by_value(sys.modules[__name__])
    small = {"num_cpus": 2, "object_store_memory": 200 * 2**20}
    noticing = {"health_check_period_ms": 500, "health_check_failure_threshold": 2}
    # Workers beyond one per core would end after a second, and start anew in the next test.
    noticing["idle_worker_killing_time_threshold_ms"] = 600_000
    made = Cluster(initialize_head=True, head_node_args={**small, "_system_config": noticing})
    made.add_node(**small)
    made.more = lambda: made.add_node(**small)
    with sharing.connected(made.address):
        yield made
    made.shutdown()


@pytest.fixture(scope="module")
def films(tmp_path_factory):
    folder = tmp_path_factory.mktemp("films")
    for number in range(24):
        film = (make_phantom(number, 64).radiograph * 255).astype(np.uint8)
        path = folder / f"ward {number % 2}" / f"f{number:02d}.png"
        path.parent.mkdir(exist_ok=True)
        path.write_bytes(imagecodecs.png_encode(film))
    (folder / "ward 0" / "bad.png").write_text("no film")
    return folder


@pytest.fixture(scope="module")
def alone(films, tmp_path_factory):
    """What one machine makes of them."""
    out = tmp_path_factory.mktemp("alone")
    run_batch([str(films)], out, segmenter=SEGMENTER, options=BatchOptions())
    return out


def on_nodes(names, out, tell=lambda record: None, **options):
    """The counts, and the keys that were told of."""
    told = []

    def note(summary, record):
        if record is not None:
            told.append(record.key)
            tell(record)

    summary = run_batch(
        names,
        out,
        segmenter=SEGMENTER,
        options=BatchOptions(**options),
        executor=RayExecutor(),
        on_progress=note,
    )
    assert len(told) == len(set(told)) == summary.total
    return summary.done, summary.kept, summary.failed


@pytest.fixture(params=["together", "apart"])
def way(request, monkeypatch):
    """Both ways of sharing the work out; apart is for GPUs, but needs none."""
    if request.param == "apart":
        plan = sharing.Plan(2, 1, 0.5, 0, 4, 8, True)
        monkeypatch.setattr(ray_cluster, "plan", lambda *given: plan)
    return request.param


def files(out):
    return {
        path.relative_to(out).as_posix(): path.read_bytes()
        for kind in ("labels", "overlay", "organs")
        for path in (out / kind).rglob("*.*")
    }


def rows(out):
    with (out / "results.csv").open(newline="") as file:
        return list(csv.DictReader(file))


def test_a_cluster_leaves_what_one_machine_leaves(nodes, films, alone, tmp_path, way):
    assert on_nodes([films], tmp_path) == (24, 0, 1)
    assert (tmp_path / "results.csv").read_bytes() == (alone / "results.csv").read_bytes()
    assert files(tmp_path) == files(alone)
    assert len(files(alone)) == 48
    here, there = (RunRecord.read(folder / "run.json").processors for folder in (alone, tmp_path))
    assert len(here) == 1
    assert there == here
    assert on_nodes([films], tmp_path) == (0, 24, 1)


def test_films_of_an_object_store_need_no_local_copy(nodes, films, alone, tmp_path, store, way):
    shutil.copytree(films, store / "deep", dirs_exist_ok=True)
    assert on_nodes(["s3://films/deep"], tmp_path) == (24, 0, 1)
    assert files(tmp_path) == files(alone)
    for found, expected in zip(rows(tmp_path), rows(alone), strict=True):
        assert found["input"] == expected["input"].replace(str(films), "s3://films/deep")
        assert found | {"input": "", "error": ""} == expected | {"input": "", "error": ""}
    assert on_nodes(["s3://films/deep/*/*.png"], tmp_path) == (0, 24, 1)


def test_a_film_that_ends_its_worker_costs_only_itself(
    nodes, films, alone, tmp_path, monkeypatch, way
):
    monkeypatch.setattr(ray_cluster, "_RETRIES", 0)

    module = {"together": whole, "apart": staged}[way]
    stage = {"together": "all_stages", "apart": "read"}[way]
    original = getattr(module, stage)

    def in_worker(block, work):
        # Where it was replaced, the original travels with globals of its own.
        names = vars(threads) if way == "together" else original.__globals__
        before = names["prepare"]
        names["prepare"] = deadly(before)
        try:
            made = original(block, work)
            return (each for each in list(made)) if way == "together" else made
        finally:
            names["prepare"] = before

    def deadly(prepare):
        def may_die(job, task):
            return os._exit(1) if task.item.key.endswith("f07") else prepare(job, task)

        return may_die

    monkeypatch.setattr(module, stage, in_worker)
    assert on_nodes([films], tmp_path) == (23, 0, 2)
    (lost,) = (row for row in rows(tmp_path) if row["input"].endswith("f07.png"))
    assert "its worker died 2 times" in lost["error"]
    expected = {name: data for name, data in files(alone).items() if "f07" not in name}
    assert files(tmp_path) == expected
    monkeypatch.undo()
    assert on_nodes([films], tmp_path) == (1, 23, 1)


def test_an_engine_that_cannot_be_opened_is_named(nodes, films, tmp_path, way):
    class Missing(Bands):
        def __reduce__(self):
            return _raise_missing, ()

    with pytest.raises(ClusterError, match="no such weights"):
        run_batch([films], tmp_path, segmenter=stub_segmenter(Missing()), executor=RayExecutor())


def _raise_missing():
    raise FileNotFoundError("no such weights")


def test_the_command_with_the_shipped_weights(nodes, films, tmp_path):
    for out, how in (("out", ["--cluster", "auto"]), ("alone", [])):
        where = [str(films / "ward 0"), "--out", str(tmp_path / out), "-q", "--device", "cpu"]
        with pytest.raises(SystemExit) as stop:
            main(["batch", *where, *how])
        assert stop.value.code == 1  # one is no film
    assert files(tmp_path / "out") == files(tmp_path / "alone")
    assert rows(tmp_path / "out") == rows(tmp_path / "alone")


@pytest.mark.parametrize(("error", "code"), [("KeyboardInterrupt", 1), ("ImportError", 3)])
def test_a_worker_interrupted_while_it_imports_ends_and_others_tell_why(error, code):
    script = f"""
from xray_seg.batch.executors.ray_cluster import staged, tasks
def interrupted():
    raise {error}
tasks.load_kernels = interrupted
try:
    staged.read({{"task": []}}, None)
except ImportError:
    raise SystemExit(3)
"""
    assert subprocess.run([sys.executable, "-c", script], check=False).returncode == code


def test_a_node_that_dies_half_way_costs_nothing(nodes, films, alone, tmp_path, monkeypatch, way):
    monkeypatch.setattr(sharing, "_BLOCK", 1)
    doomed = nodes.more()
    told = []

    def tell(record):
        told.append(record)
        if len(told) == 8:
            nodes.remove_node(doomed, allow_graceful=False)

    assert on_nodes([films], tmp_path, tell, save=("labels",)) == (24, 0, 1)
    assert (tmp_path / "results.csv").read_bytes() == (alone / "results.csv").read_bytes()
    assert files(tmp_path) == {
        name: data for name, data in files(alone).items() if name.startswith("labels/")
    }


def results_of(keys):
    return [Result(Record(key, "", {})) for key in keys]


def tasks_of(count):
    return [Task(Input(None, f"f{number:04d}"), "") for number in range(count)]


@pytest.mark.parametrize("count", [1, 16, 40])
def test_results_come_in_the_order_of_the_inputs(count):
    keys = [f"f{number:02d}" for number in range(count)]
    finished = results_of(reversed(keys))
    groups = list(whole._in_turn(keys, iter(finished)))
    assert [result.record.key for group in groups for result in group] == keys
    assert len(groups) == -(-count // 16)
    assert list(whole._in_turn(keys, iter(finished[:-1]))) == []  # the first never comes


@pytest.fixture
def work():
    job = BatchJob.of([], None, SEGMENTER, BatchOptions())
    return RayJob(job.for_worker() if job.out else job, b"", sharing.plan([{"CPU": 1}], False), 0)


class FakeThreads:
    """An executor that calls a function instead."""

    def __init__(self, function):
        self.function = function

    def __call__(self):
        return self

    def run(self, job, pending, ledger):
        self.function(pending, ledger)


def test_stages_that_cannot_go_on_end_their_block(monkeypatch, work):
    def failing(pending, ledger):
        raise OSError("the disk is full")

    monkeypatch.setattr(whole, "ThreadExecutor", FakeThreads(failing))
    with pytest.raises(OSError, match="the disk is full"):
        list(whole._run(tasks_of(1), Bands(), work, whole._QueueLedger()))


def test_a_block_that_nobody_waits_for_stops_after_the_inputs_at_hand(monkeypatch, work):
    taken = []

    def run_stages(pending, ledger):
        for task in pending:
            taken.append(task.item.key)
            ledger.record(results_of([task.item.key])[0])
            time.sleep(0.01)

    monkeypatch.setattr(whole, "ThreadExecutor", FakeThreads(run_stages))
    results = whole._run(tasks_of(1000), Bands(), work, whole._QueueLedger())
    assert len(next(results)) == 16
    results.close()
    assert 16 <= len(taken) < 1000


@pytest.mark.parametrize(
    ("nodes_", "on_gpu", "expected"),
    [
        ([{"CPU": 2}], False, (2, 1, 0)),
        ([{"CPU": 1}], False, (1, 1, 0)),
        ([{"CPU": 16}], False, (16, 1, 0)),
        ([{"CPU": 16}, {"CPU": 32}, {}], False, (48, 1, 0)),
        ([{"CPU": 2}, {"CPU": 3}, {"CPU": 9}], False, (14, 1, 0)),
        ([{"CPU": 8, "GPU": 2}, {"CPU": 64}], True, (2, 1, 1)),
    ],
)
def test_cores_and_gpus_are_shared_out(nodes_, on_gpu, expected):
    found = sharing.plan(nodes_, on_gpu)
    assert (found.engines, found.threads, found.gpus) == expected
    assert found.apart == on_gpu
    if not on_gpu:  # wherever there is a core, a worker has room
        assert all(node["CPU"] >= found.cores for node in nodes_ if node)
    assert found.blocks >= 8


def test_a_cluster_without_what_is_needed_is_refused():
    with pytest.raises(ClusterError, match="no GPU"):
        sharing.plan([{"CPU": 8}], True)
    with pytest.raises(ClusterError, match="no node of the cluster has a core"):
        sharing.plan([{"CPU": 0.5}, {"GPU": 1}], False)
