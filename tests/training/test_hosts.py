"""Training on two hosts, as two processes, gives the losses and weights of one; failures."""

import csv
import os
import signal
import socket
import subprocess
import sys
from contextlib import contextmanager, suppress
from dataclasses import replace
from importlib.metadata import version
from types import SimpleNamespace

import numpy as np
import pytest

from helpers.tiny import TINY_CONFIG, write_cases
from xray_seg.data.arrays import Arrays
from xray_seg.data.splits import split_cases
from xray_seg.errors import DatasetError, TrainingError
from xray_seg.training import hosts
from xray_seg.training.devices import fit_on_devices
from xray_seg.training.hosts import SINGLE_HOST, Hosts, check_same, run_on_all, run_on_first
from xray_seg.training.loader import epoch_batches

KERAS = tuple(int(part) for part in version("keras").split(".")[:3])

# One level of an InvertedNet, with augmentation, dropout, normalisation and patience.
TRAIN = """
import sys
from xray_seg.data.splits import Split
from xray_seg.data.cases import find_cases
from xray_seg.training.devices import fit_on_devices
from xray_seg.training.hosts import Hosts
from xray_seg.models.network import FILTERS
from xray_seg.training.config import TrainingConfig

FILTERS["tiny"] = (4,)
if __name__ == "__main__":
    folder, out, index, count, coordinator, *resume = sys.argv[1:]
    cases = find_cases(f"{folder}/images", f"{folder}/scr")
    split = Split(tuple(cases[:8]), tuple(cases[8:]), 0)
    settings = dict(epochs=6, batch_size=4, phantoms=0, learning_rate=2e-3, patience=6)
    config = TrainingConfig("tiny", 16, precision="float32", **settings)
    hosts = Hosts(int(index), int(count), coordinator)
    show = lambda row: print(f"epoch {row['epoch']:.0f}", flush=True)
    fit_on_devices(out, split, config, 1, on_epoch=show, resume=bool(resume), hosts=hosts)
"""


def free_address():
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return f"127.0.0.1:{probe.getsockname()[1]}"


@pytest.fixture(scope="module")
def place(tmp_path_factory):
    folder = tmp_path_factory.mktemp("hosts")
    write_cases(folder, 12)
    (folder / "train.py").write_text(TRAIN)
    return folder


@contextmanager
def started(place, run, count, *resume):
    """Start a process per host; kill what is left of them at the end."""
    quick = "--xla_backend_optimization_level=0 --xla_llvm_disable_expensive_passes=true"
    environment = {**os.environ, "XLA_FLAGS": quick, "CUDA_VISIBLE_DEVICES": ""}
    command, address = [sys.executable, place / "train.py", place, place / run], free_address()
    processes = [
        subprocess.Popen(
            [*command, str(index), str(count), address, *resume],
            env=environment,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            start_new_session=True,
        )
        for index in range(1, count + 1)
    ]
    try:
        yield processes
    finally:
        for process in processes:
            _kill(process)
            process.communicate()


def _kill(process):
    """Kill a process and its children."""
    with suppress(ProcessLookupError):  # all have ended
        os.killpg(process.pid, signal.SIGKILL)


def finished(processes):
    """Return the lines printed by each process, after it ended with status 0."""
    printed = []
    for process in processes:
        out, err = process.communicate(timeout=120)
        assert process.returncode == 0, err
        printed.append(out.splitlines())
    return printed


@pytest.fixture(scope="module")
def alone(place):
    """The run folder of a single host with one device."""
    with started(place, "alone", 1) as processes:
        finished(processes)
    return place / "alone"


def history(run):
    with (run / "history.csv").open() as file:
        return list(csv.DictReader(file))


def weights(run):
    import keras

    model = keras.saving.load_model(run / "weights.keras", compile=False)
    return np.concatenate([variable.numpy().ravel() for variable in model.weights[:-1]])


def assert_same_run(run, expected):
    rows, others = history(run), history(expected)
    assert len(rows) == len(others) == 6
    for key in ("loss", "val_loss", "accuracy", "val_accuracy"):
        wanted = [float(row[key]) for row in others]
        assert [float(row[key]) for row in rows] == pytest.approx(wanted, rel=1e-4), key
    np.testing.assert_allclose(weights(run), weights(expected), rtol=1e-3, atol=1e-4)


late = pytest.mark.skipif(KERAS < (3, 15, 1), reason="the extra `devices` asks for a later Keras")


@late
def test_two_hosts_give_the_run_of_one_also_after_one_died_and_both_resumed(place, alone):
    with started(place, "both", 2) as (first, second):
        assert first.stdout.readline() == "epoch 1\n"
        _kill(second)
        _, err = first.communicate(timeout=120)
        assert first.returncode == 1
        assert "host 1 of 2 stopped" in err
        assert "go on with --resume on all of them" in err
    assert not (place / "both" / "weights.keras").exists()
    with started(place, "both", 2, "resume") as processes:
        first, second = finished(processes)
    assert first[-1] == "epoch 6"
    assert "epoch 1" not in first
    assert second == []
    assert_same_run(place / "both", alone)


def test_hosts_that_do_not_connect_are_an_error_after_the_wait(tmp_path):
    split = split_cases(write_cases(tmp_path, 4))
    waiting = Hosts(1, 2, free_address(), wait=1)
    with pytest.raises(TrainingError, match="not all of 2 hosts met there within 1 s"):
        fit_on_devices(tmp_path / "run", split, TINY_CONFIG, 1, hosts=waiting)
    assert not (tmp_path / "run").exists()


def test_a_port_in_use_is_an_error(tmp_path):
    split = split_cases(write_cases(tmp_path, 4))
    with socket.socket() as other:
        other.bind(("", 0))
        other.listen()
        there = f"127.0.0.1:{other.getsockname()[1]}"
        with pytest.raises(TrainingError, match=f"{there}: hosts cannot meet there"):
            fit_on_devices(tmp_path / "run", split, TINY_CONFIG, 1, hosts=Hosts(1, 2, there))


def test_a_batch_that_hosts_cannot_share_is_refused(tmp_path):
    split = split_cases(write_cases(tmp_path, 4))
    three = Hosts(1, 3, "127.0.0.1:1")
    with pytest.raises(TrainingError, match=r"a batch of 2 .* by 1 devices on each of 3 hosts"):
        fit_on_devices(tmp_path / "run", split, TINY_CONFIG, 1, hosts=three)


@pytest.mark.parametrize(
    ("wrong", "said"),
    [
        ((0, 2, "a:1"), "host 0 is none of 1 to 2"),
        ((3, 2, "a:1"), "host 3 is none of 1 to 2"),
        ((1, 2), "'': give the first host's ADDRESS:PORT"),
        ((1, 2, "a"), "'a': give the first host's ADDRESS:PORT"),
        ((1, 2, "a:70000"), "ADDRESS:PORT"),
        ((1, 2, ":80"), "ADDRESS:PORT"),
    ],
)
def test_invalid_hosts_are_refused(wrong, said):
    with pytest.raises(ValueError, match=said):
        Hosts(*wrong)


def test_the_hosts_shares_make_up_the_batch():
    random = np.random.default_rng(0)
    images = random.random((5, 32, 32), np.float32)
    fractions = random.integers(0, 255, (5, 32, 32, 4), np.uint8)
    cases, config = Arrays(images, fractions), replace(TINY_CONFIG, batch_size=4, steps=3)

    def batches(host):
        return list(epoch_batches(cases, cases, config, 1, hosts=host))

    shares = [batches(Hosts(index, 2, "a:1")) for index in (1, 2)]
    for whole, *parts in zip(batches(SINGLE_HOST), *shares, strict=True):
        for array, *pieces in zip(whole, *parts, strict=True):
            assert {len(piece) for piece in pieces} == {2}
            np.testing.assert_array_equal(np.concatenate(pieces), array)


@pytest.fixture
def other(monkeypatch):
    """Scripted messages of a second host, and whether this one has disconnected."""
    other = SimpleNamespace(says=[], left=False)
    monkeypatch.setattr(hosts, "exchange", lambda _, value: [value, other.says.pop(0)])
    monkeypatch.setattr(hosts, "leave", lambda _: setattr(other, "left", True))
    return other


PAIR = Hosts(1, 2, "a:1")


def _fail():
    raise DatasetError("no masks")


def test_an_error_on_one_host_ends_all(other):
    other.says = [None, "its disk is full", None]
    assert run_on_all(PAIR, lambda: 7) == 7
    assert not other.left
    with pytest.raises(TrainingError, match="host 2 of 2: its disk is full"):
        run_on_all(PAIR, lambda: 7)
    assert other.left
    with pytest.raises(DatasetError, match="no masks"):
        run_on_all(PAIR, _fail)


def test_all_hosts_get_the_result_of_the_first(other):
    other.says = [None, None]
    assert run_on_first(PAIR, lambda: 7) == 7


def test_differences_between_hosts_are_named(other):
    facts = {"seed": 1, "split": ["a", "b"]}
    other.says = [{name: hosts._digest(value) for name, value in facts.items()}] * 2
    check_same(PAIR, facts, "give the same")
    with pytest.raises(TrainingError, match="host 2 differs from the first in seed; give the same"):
        check_same(PAIR, facts | {"seed": 2}, "give the same")
    assert other.left


def test_a_single_host_exchanges_nothing():
    assert hosts.exchange(SINGLE_HOST, {"loss": 0.1}) == [{"loss": 0.1}]
    hosts.join(SINGLE_HOST)
    hosts.leave(SINGLE_HOST)
