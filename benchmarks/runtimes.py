"""Compare this package's engines with other runtimes of the same network, on the CPU."""

from __future__ import annotations

import os
import tempfile
from collections.abc import Callable, Iterator
from contextlib import redirect_stdout
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from xray_seg._util.concurrency import available_cores
from xray_seg._util.tensorflow import keras, stderr_held_back, tensorflow
from xray_seg.bench import Measurement, take_turns
from xray_seg.bench.inference import ENGINE_PRECISIONS
from xray_seg.data.phantom import make_phantom
from xray_seg.models.engines import open_engine
from xray_seg.models.model_folder import Model, read_variables
from xray_seg.models.network import build_network, weights_of
from xray_seg.preprocessing.preprocessor import Preprocessor
from xray_seg.radiograph import Radiograph

Grids = npt.NDArray[np.float32]
Predict = Callable[[Grids], Any]

#: Batches that calibrate OpenVINO's int8.
_SAMPLES = 8
#: Name of the runtime that the others are compared with.
REFERENCE = "Keras model, float32"


def compare_inference(model: Model, batch: int, repeats: int) -> list[tuple[Measurement, float]]:
    """Time the runtimes in turns, on the same grids.

    Returns:
        The measurement of each, and its mean absolute difference in probability from the float32
        Keras model.
    """
    grids = _grids(model.size, batch)
    with tempfile.TemporaryDirectory() as folder:
        runtimes = dict(_runtimes(model, Path(folder), batch))
        expected = runtimes[REFERENCE](grids)
        differences = {
            name: float(np.abs(np.asarray(predict(grids)) - expected).mean())
            for name, predict in runtimes.items()
        }
        calls = {name: partial(predict, grids) for name, predict in runtimes.items()}
        times = take_turns(calls, repeats, warm_up=2)
    return [(Measurement(name, each, batch), differences[name]) for name, each in times.items()]


def _grids(size: int, count: int, first: int = 0) -> Grids:
    """(count, size, size) float32 grids of phantoms, as engines get them."""
    seeds = range(first, first + count)
    radiographs = [Radiograph(make_phantom(seed, 512).radiograph) for seed in seeds]
    return np.stack([Preprocessor(size)(each).grid for each in radiographs])


def _runtimes(model: Model, folder: Path, batch: int) -> Iterator[tuple[str, Predict]]:
    """Name and predict function of each runtime."""
    for engine, precision in ENGINE_PRECISIONS:
        opened = open_engine(model, engine, precision=precision, device="cpu")
        yield f"xray-seg {engine}, {precision}", opened.predict
    network = trained_network(model)
    yield REFERENCE, lambda grids: np.asarray(network(grids[..., None]))
    yield "Keras' own SavedModel, float32", _plain_saved_model(network, folder / "plain")
    onnx_file = folder / "network.onnx"
    with stderr_held_back():
        network.predict(np.zeros((1, model.size, model.size, 1), np.float32), verbose=0)
        network.export(str(onnx_file), format="onnx", verbose=False)
    yield "ONNX Runtime, float32", _onnx_runtime(onnx_file)
    yield "ONNX Runtime, dynamic int8", _onnx_runtime(_quantised(onnx_file))
    shape = (batch, model.size, model.size, 1)
    yield "OpenVINO, float32", _openvino(onnx_file, shape, "f32")
    yield "OpenVINO, bfloat16", _openvino(onnx_file, shape, "bf16")
    yield "OpenVINO, calibrated int8 (NNCF)", _openvino_int8(onnx_file, shape, model.size)


def trained_network(model: Model, size: int | None = None) -> Any:
    """Build the Keras network of a model folder, with its weights.

    Args:
        model: the model folder.
        size: side of the grid; None for the model's own.
    """
    keras()
    network = build_network(model.card["network"], size or model.size)
    for variable, value in zip(weights_of(network), read_variables(model), strict=True):
        variable.assign(value)
    return network


def _plain_saved_model(network: Any, folder: Path) -> Predict:
    """The SavedModel that Keras exports: the graph that was trained, not rewritten."""
    tf = tensorflow()
    with stderr_held_back():
        network.export(str(folder), verbose=False)
        loaded = tf.saved_model.load(str(folder))
    serve = loaded.signatures["serving_default"]

    def predict(grids: Grids) -> Any:
        (answer,) = serve(tf.constant(grids[..., None])).values()
        return np.asarray(answer)

    predict.loaded = loaded  # type: ignore[attr-defined] # keeps its variables alive
    return predict


def _onnx_runtime(path: Path) -> Predict:
    import onnxruntime

    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = available_cores()
    session = onnxruntime.InferenceSession(str(path), options, ["CPUExecutionProvider"])
    name = session.get_inputs()[0].name
    return lambda grids: session.run(None, {name: grids[..., None]})[0]


def _quantised(path: Path) -> Path:
    from onnxruntime.quantization import QuantType, quantize_dynamic

    target = path.with_name("int8.onnx")
    with stderr_held_back():
        quantize_dynamic(path, target, weight_type=QuantType.QUInt8)
    return target


def _openvino(path: Path, shape: tuple[int, ...], precision: str) -> Predict:
    import openvino

    core = openvino.Core()
    found = core.read_model(path)
    found.reshape(list(shape))
    return _compiled(core, found, {"INFERENCE_PRECISION_HINT": precision})


def _openvino_int8(path: Path, shape: tuple[int, ...], size: int) -> Predict:
    import logging

    import nncf
    import openvino

    logging.getLogger("nncf").setLevel(logging.ERROR)
    core = openvino.Core()
    found = core.read_model(path)
    found.reshape(list(shape))
    samples = _calibration(size, shape[0])
    with stderr_held_back(), Path(os.devnull).open("w") as nowhere, redirect_stdout(nowhere):
        found = nncf.quantize(found, nncf.Dataset(samples), subset_size=len(samples))
    return _compiled(core, found, {})


def _calibration(size: int, batch: int) -> list[Grids]:
    """Batches of other phantoms than those that are timed."""
    grids = _grids(size, _SAMPLES * batch, 100)[..., None]
    return [grids[start : start + batch] for start in range(0, len(grids), batch)]


def _compiled(core: Any, found: Any, options: dict[str, str]) -> Predict:
    options |= {"PERFORMANCE_HINT": "THROUGHPUT", "INFERENCE_NUM_THREADS": str(available_cores())}
    options |= {"NUM_STREAMS": "1"}
    ready = core.compile_model(found, "CPU", options)
    return lambda grids: ready(grids[..., None])[0]
