"""The network, its losses and the training loop run on every Keras backend that is installed."""

import json
import os
import subprocess
import sys
from importlib.util import find_spec

import numpy as np
import pytest

from xray_seg.data.phantom import write_phantoms

TRAIN = """
import json, sys
import keras
import numpy as np
from xray_seg.data.cases import find_cases
from xray_seg.data.splits import split_cases
from xray_seg.models.losses import LOSSES
from xray_seg.models.network import build_network
from xray_seg.training.config import TrainingConfig
from xray_seg.training.trainer import fit

images, masks, out = sys.argv[1:]
rows = []
split = split_cases(find_cases(images, masks))
settings = dict(size=16, epochs=1, phantoms=0, learning_rate=2e-3, precision="float32")
fit(out, split, TrainingConfig(**settings), on_epoch=rows.append)
fit(out, split, TrainingConfig(**settings), on_epoch=rows.append, resume=True)

random = np.random.default_rng(0)
truth, found = (random.dirichlet([1] * 4, (2, 5, 5)).astype("float32") for _ in range(2))
truth, found = map(keras.ops.convert_to_tensor, (truth, found))
losses = {name: float(loss(truth, found, keras.ops)) for name, loss in LOSSES.items()}
network = build_network("inverted-net", 16)
for index, weight in enumerate(network.trainable_weights):
    shape = tuple(weight.shape)
    weight.assign(0.1 * np.cos(np.arange(np.prod(shape)) + index).reshape(shape))
grid = np.linspace(0, 1, 256, dtype="float32").reshape(1, 16, 16, 1)
probabilities = keras.ops.convert_to_numpy(network(grid, training=False))
print(json.dumps({
    "backend": keras.backend.backend(), "rows": rows, "losses": losses,
    "probabilities": probabilities.tolist(),
}))
"""


@pytest.fixture(scope="module")
def phantoms(tmp_path_factory):
    folder = tmp_path_factory.mktemp("phantoms")
    write_phantoms(folder, 4)
    return folder


def _train(backend, phantoms, out):
    arguments = [str(phantoms / "images"), str(phantoms / "scr"), str(out)]
    environment = {**os.environ, "KERAS_BACKEND": backend, "TF_CPP_MIN_LOG_LEVEL": "3"}
    done = subprocess.run(
        [sys.executable, "-c", TRAIN, *arguments],
        env=environment,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout.splitlines()[-1])


@pytest.fixture(scope="module")
def reference(phantoms, tmp_path_factory):
    return _train("tensorflow", phantoms, tmp_path_factory.mktemp("tensorflow"))


@pytest.mark.parametrize("backend", ["jax", "torch"])
def test_another_backend_trains_and_computes_the_same(backend, phantoms, reference, tmp_path):
    if find_spec(backend) is None:
        pytest.skip(f"{backend} is not installed")
    found = _train(backend, phantoms, tmp_path)
    assert found["backend"] == backend
    (row,) = found["rows"]
    assert set(row) == set(reference["rows"][0])
    assert all(np.isfinite(value) for value in row.values())
    assert found["losses"] == pytest.approx(reference["losses"], rel=1e-5)
    np.testing.assert_allclose(found["probabilities"], reference["probabilities"], atol=1e-5)
