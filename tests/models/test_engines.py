"""Engines: which one is opened, what it refuses, and that a film's answer is its own."""

import pickle
import platform
import shutil
import subprocess
import sys
from dataclasses import replace

import numpy as np
import pytest

from xray_seg._util.processor import this_processor
from xray_seg._util.tensorflow import keras, tensorflow
from xray_seg.errors import EngineError
from xray_seg.models.engines import (
    ENGINES,
    PRECISIONS,
    DeferredEngine,
    is_deterministic,
    open_engine,
)
from xray_seg.models.engines.devices import cpu_has_bfloat16, gpu_seems_present
from xray_seg.models.engines.litert import LiteRTEngine
from xray_seg.models.engines.saved_model import SavedModelEngine
from xray_seg.models.model_folder import load_model
from xray_seg.models.network import build_network
from xray_seg.serving.export import export

SIZE = 32


@pytest.fixture(autouse=True)
def no_gpu(monkeypatch):
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "-1")


@pytest.fixture(scope="module")
def model(tmp_path_factory):
    keras()
    network = build_network("inverted-net", SIZE, seed=2)
    return load_model(export(network, tmp_path_factory.mktemp("models") / "m", "m", {}))


@pytest.fixture(scope="module")
def grids():
    return np.random.default_rng(3).random((6, SIZE, SIZE), np.float32)


@pytest.fixture(scope="module")
def litert(model):
    return LiteRTEngine(model, "auto", "auto", 2)


@pytest.fixture(scope="module")
def saved_model(model):
    return SavedModelEngine(model, "float32", "cpu", 2)


@pytest.fixture(params=["litert", "saved_model"])
def engine(request):
    return request.getfixturevalue(request.param)


def test_answers_are_probabilities_of_four_classes(engine, grids):
    found = engine.predict(grids)
    assert found.shape == (6, SIZE, SIZE, 4)
    assert found.dtype == np.float32
    assert found.min() >= 0
    np.testing.assert_allclose(found.sum(axis=-1), 1, atol=1e-5)
    assert engine.size == SIZE
    assert engine.batch_size >= 1
    assert engine.device == "cpu"


def test_litert_answers_the_same_bytes_in_a_batch_of_any_size(litert, grids):
    alone = np.concatenate([litert.predict(grid[None]) for grid in grids])
    for count in (6, 2, 5, 1):
        np.testing.assert_array_equal(litert.predict(grids[:count]), alone[:count])


def test_litert_answers_the_same_bytes_with_any_number_of_threads(model, litert, grids):
    single = LiteRTEngine(model, "int8", "cpu", 1)
    np.testing.assert_array_equal(single.predict(grids), litert.predict(grids))


def test_a_deterministic_engine_answers_the_same_bytes_for_any_batch_and_threads(model, grids):
    engines = [LiteRTEngine(model, "int8", "cpu", n, deterministic=True) for n in (1, 2, 3, 20)]
    alone = np.concatenate([engines[0].predict(grid[None]) for grid in grids])
    for engine in engines:
        for count in (6, 1, 2):
            np.testing.assert_array_equal(engine.predict(grids[:count]), alone[:count])


def test_a_deterministic_engine_answers_as_the_default_one_but_for_rounding(model, litert, grids):
    found = open_engine(model, deterministic=True).predict(grids)
    np.testing.assert_allclose(found, litert.predict(grids), atol=0.02)


def test_a_deterministic_engine_stays_so_in_other_processes(model, grids):
    engine = open_engine(model, deterministic=True)
    expected = engine.predict(grids)
    kind = engine.name, engine.precision, engine.device, engine.batch_size
    for other in (
        pickle.loads(pickle.dumps(engine)),
        DeferredEngine(model, *kind, threads=1, deterministic=True).open(),
    ):
        assert is_deterministic(other)
        np.testing.assert_array_equal(other.predict(grids), expected)
    assert not is_deterministic(open_engine(model, device="cpu"))


@pytest.mark.parametrize(
    "options",
    [{"engine": "saved-model"}, {"precision": "float32"}, {"device": "gpu"}, {"device": "gpu:1"}],
)
def test_a_deterministic_engine_is_int8_on_the_cpu(model, options):
    (name, value) = next(iter(options.items()))
    with pytest.raises(EngineError, match=f"--deterministic needs --{name} .*, not {value}"):
        open_engine(model, **options, deterministic=True)


#: Prints a digest of an engine's answers: model folder, grids, and whether it is deterministic.
_DIGEST = """
import hashlib, sys
import numpy as np
from xray_seg.models.engines import open_engine
from xray_seg.models.model_folder import load_model
engine = open_engine(load_model(sys.argv[1]), "litert", threads=1, deterministic=sys.argv[3] == "1")
print(hashlib.sha256(engine.predict(np.load(sys.argv[2])).tobytes()).hexdigest())
"""


def _digest(model, grids, deterministic, *emulator):
    command = [*emulator, sys.executable, "-c", _DIGEST, model.folder, grids, str(deterministic)]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    return done.stdout.split()[-1]


@pytest.mark.slow
@pytest.mark.skipif(
    not shutil.which("qemu-x86_64") or platform.machine() != "x86_64", reason="needs qemu-user"
)
def test_a_deterministic_engine_answers_the_same_bytes_on_other_processors(model, grids, tmp_path):
    """On emulated ones, of which the second has neither AVX nor FMA; XNNPACK does not."""
    path = tmp_path / "grids.npy"
    np.save(path, grids[:2])
    expected = _digest(model, path, 1)
    for processor in ("Haswell", "Nehalem"):
        assert _digest(model, path, 1, "qemu-x86_64", "-cpu", processor) == expected
    if this_processor().instruction_set != "avx2":
        others = _digest(model, path, 0, "qemu-x86_64", "-cpu", "Haswell")
        assert others != _digest(model, path, 0), "the default engine might replace it"


@pytest.mark.parametrize("precision", ["float32", "bfloat16", "float16"])
def test_a_saved_model_answers_the_same_bytes_in_a_batch_of_any_size(model, precision, grids):
    engine = SavedModelEngine(model, precision, "cpu", 2)
    alone = np.concatenate([engine.predict(grid[None]) for grid in grids])
    for count in (6, 2, 5):
        np.testing.assert_array_equal(engine.predict(grids[:count]), alone[:count])


def test_a_batch_that_memory_does_not_hold_is_halved_once_and_for_all(model, grids):
    engine = SavedModelEngine(model, "float32", "cpu", 2)
    expected = engine.predict(grids)
    engine._most = None  # as on a GPU
    serve, tried = engine._serve, []

    def small(images):
        tried.append(len(images))
        if len(images) > 2:
            raise tensorflow().errors.ResourceExhaustedError(None, None, "out of memory")
        return serve(images=images)

    engine._serve = small
    np.testing.assert_allclose(engine.predict(grids), expected, atol=1e-5)
    assert tried == [6, 3, 1, 1, 1, 1, 1, 1]
    tried.clear()
    engine.predict(grids[:3])
    assert tried == [1, 1, 1]


def test_one_image_that_memory_does_not_hold_is_an_error(model, grids):
    engine = SavedModelEngine(model, "float32", "cpu", 2)

    def full(images):
        raise tensorflow().errors.ResourceExhaustedError(None, None, "out of memory")

    engine._serve = full
    with pytest.raises(tensorflow().errors.ResourceExhaustedError):
        engine.predict(grids[:3])


def test_an_answer_is_not_changed_by_the_next_one(engine, grids):
    first = engine.predict(grids[:2])
    kept = first.copy()
    engine.predict(grids[2:4])
    np.testing.assert_array_equal(first, kept)


def test_grids_may_be_a_view_with_strides(engine, grids):
    turned = grids.transpose(0, 2, 1)
    expected = engine.predict(np.ascontiguousarray(turned))
    np.testing.assert_array_equal(engine.predict(turned), expected)


def test_both_engines_are_of_one_network(litert, saved_model, grids):
    one, other = litert.predict(grids), saved_model.predict(grids)
    assert 0 < np.abs(one - other).mean() < 0.02


def test_without_a_gpu_the_best_engine_is_litert_in_int8(model):
    engine = open_engine(model)
    assert (engine.name, engine.precision, engine.device) == ("litert", "int8", "cpu")
    assert open_engine(model, precision="int8").name == "litert"
    assert open_engine(model, device="cpu").name == "litert"


def test_litert_comes_up_without_tensorflow(model):
    code = (
        "import sys\n"
        "from xray_seg.models.engines import open_engine\n"
        "from xray_seg.models.model_folder import load_model\n"
        f"print(open_engine(load_model({str(model.folder)!r})).name)\n"
        "print([name for name in sys.modules if name.split('.')[0] in ('tensorflow', 'keras')])\n"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.split("\n")[:2] == ["litert", "[]"]
    assert done.stderr == ""


@pytest.mark.parametrize("precision", ["float32", "bfloat16", "float16"])
def test_a_float_precision_is_the_saved_models(model, precision):
    engine = open_engine(model, precision=precision, device="cpu")
    assert (engine.name, engine.precision, engine.device) == ("saved-model", precision, "cpu")


def test_a_saved_model_on_a_cpu_takes_the_precision_that_it_multiplies_itself(model):
    expected = "bfloat16" if cpu_has_bfloat16() else "float32"
    assert open_engine(model, "saved-model", device="cpu").precision == expected


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"engine": "onnx"}, f"engine 'onnx' .* {', '.join(ENGINES)}"),
        ({"precision": "int4"}, f"precision 'int4' .* {', '.join(PRECISIONS)}"),
        ({"engine": "litert", "precision": "float32"}, "litert computes in int8, not float32"),
        ({"engine": "litert", "device": "gpu"}, "litert runs on the CPU, not on gpu"),
        ({"engine": "saved-model", "precision": "int8"}, "int8 needs --engine litert"),
        ({"precision": "int8", "device": "gpu:0"}, "litert runs on the CPU, not on gpu:0"),
        ({"device": "tpu"}, "tpu"),
        ({"device": "gpu:"}, "give auto, cpu, gpu or gpu:N"),
        ({"device": "gpux"}, "give auto, cpu, gpu or gpu:N"),
        ({"device": "gpu:one"}, "give auto, cpu, gpu or gpu:N"),
        ({"engine": "saved-model", "device": "cpu:1"}, "give auto, cpu, gpu or gpu:N"),
        ({"engine": "saved-model", "device": "gpu:99"}, "gpu:99: TensorFlow sees"),
    ],
)
def test_what_does_not_exist_or_fit_is_refused_with_what_does(model, options, message):
    with pytest.raises(EngineError, match=message):
        open_engine(model, **options)


def test_no_gpu_seems_present_where_all_are_hidden(monkeypatch):
    for hidden in ("-1", "", " "):
        monkeypatch.setenv("CUDA_VISIBLE_DEVICES", hidden)
        assert not gpu_seems_present()


def test_a_flatbuffer_that_is_none_is_refused_by_path(model, tmp_path):
    (tmp_path / "dynamic_int8.tflite").write_bytes(b"no flatbuffer at all")
    with pytest.raises(EngineError, match=r"dynamic_int8\.tflite: LiteRT cannot load it"):
        open_engine(replace(model, folder=tmp_path), "litert")


def test_a_saved_model_without_the_signature_is_refused(model, tmp_path):
    tf = tensorflow()
    tf.saved_model.save(tf.Module(), str(tmp_path / "saved_model"))
    changed = replace(model, folder=tmp_path)
    with pytest.raises(EngineError, match="no signature float32"):
        open_engine(changed, "saved-model", precision="float32", device="cpu")


def test_weights_of_others_are_loaded_with_a_warning_that_they_are_a_program(model, caplog):
    SavedModelEngine(model, "float32", "cpu", 2)
    (record,) = caplog.records
    assert record.levelname == "WARNING"
    assert str(model.folder) in record.getMessage()
    assert "a SavedModel is a program" in record.getMessage()
    caplog.clear()
    LiteRTEngine(model, "auto", "auto", 2)
    SavedModelEngine(load_model("inverted-net-128"), "float32", "cpu", 2)
    assert caplog.records == []


def test_the_warning_is_on_standard_error(model):
    code = (
        "import sys, xray_seg\n"
        "xray_seg.Segmenter(sys.argv[1], engine='saved-model', precision='float32', device='cpu')"
    )
    done = subprocess.run(
        [sys.executable, "-c", code, model.folder], capture_output=True, text=True, check=True
    )
    assert "a SavedModel is a program" in done.stderr
    assert done.stdout == ""
