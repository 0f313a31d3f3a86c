"""Training on two virtual devices gives the losses of one."""

import json
import subprocess
import sys
from importlib.metadata import version

import numpy as np
import pytest

from helpers.tiny import TINY_CONFIG, write_cases
from xray_seg.data.splits import split_cases
from xray_seg.errors import TrainingError
from xray_seg.training.devices import fit_on_devices

KERAS = tuple(int(part) for part in version("keras").split(".")[:3])

# A small InvertedNet with augmentation, dropout and normalisation, registered in both processes.
TRAIN = """
import json, sys
from xray_seg.data.splits import Split
from xray_seg.data.cases import find_cases
from xray_seg.training.devices import fit_on_devices
from xray_seg.models.network import FILTERS
from xray_seg.training.config import TrainingConfig

FILTERS["tiny"] = (8, 4)
if __name__ == "__main__":
    folder, out, devices = sys.argv[1:]
    cases = find_cases(f"{folder}/images", f"{folder}/scr")
    split = Split(tuple(cases[:8]), tuple(cases[8:]), 0)  # an odd number to validate on
    settings = dict(epochs=2, batch_size=4, phantoms=0, learning_rate=2e-3)
    config = TrainingConfig("tiny", 16, precision="float32", **settings)
    rows = []
    fit_on_devices(out, split, config, int(devices), on_epoch=rows.append)
    import keras
    model = keras.saving.load_model(f"{out}/weights.keras", compile=False)
    first = [float(abs(v.numpy()).sum()) for v in model.trainable_variables]
    print(json.dumps([rows, first, keras.backend.backend()]))
"""


def trained(folder, out, devices, monkeypatch):
    quick = "--xla_backend_optimization_level=0 --xla_llvm_disable_expensive_passes=true"
    monkeypatch.setenv("XLA_FLAGS", f"--xla_force_host_platform_device_count=2 {quick}")
    script = out.with_suffix(".py")
    script.write_text(TRAIN)
    done = subprocess.run(
        [sys.executable, script, folder, out, str(devices)],
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout.splitlines()[-1])


@pytest.mark.skipif(KERAS < (3, 15, 1), reason="the extra `devices` asks for a later Keras")
def test_two_devices_give_the_losses_of_one(tmp_path, monkeypatch):
    write_cases(tmp_path, 13)
    found = [trained(tmp_path, tmp_path / f"run{n}", n, monkeypatch) for n in (1, 2)]
    (one, weights, backend), (two, other_weights, _) = found
    assert backend == "tensorflow"  # of the parent process
    assert len(one) == len(two) == 2
    for key in ("loss", "val_loss", "accuracy", "val_accuracy"):
        found = [row[key] for row in two]
        assert found == pytest.approx([row[key] for row in one], rel=1e-4), key
    np.testing.assert_allclose(other_weights, weights, rtol=1e-3)


@pytest.fixture
def split(tmp_path):
    return split_cases(write_cases(tmp_path, 4))


def test_a_batch_that_cannot_be_shared_is_refused(split, tmp_path):
    with pytest.raises(TrainingError, match="a batch of 2 cannot be shared evenly by 3 devices"):
        fit_on_devices(tmp_path / "run", split, TINY_CONFIG, 3)


def test_more_devices_than_there_are_are_refused(split, tmp_path, monkeypatch):
    monkeypatch.delenv("XLA_FLAGS", raising=False)
    with pytest.raises(TrainingError, match="--devices 2: JAX has 1 here"):
        fit_on_devices(tmp_path / "run", split, TINY_CONFIG, 2)
