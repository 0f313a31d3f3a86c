"""Films in, label maps out, in the graph alone: the same maps as the library's, to the pixel."""

import json
import shutil
import subprocess
import sys
from pathlib import Path

import imagecodecs
import numpy as np
import pytest
import scipy.ndimage

from xray_seg import Radiograph, Segmenter, read
from xray_seg._util import tensorflow
from xray_seg.data.phantom import make_phantom
from xray_seg.errors import WeightsError
from xray_seg.kernels import area_mean
from xray_seg.models.model_folder import load_model, read_variables
from xray_seg.postprocessing.cleanup import clean
from xray_seg.preprocessing.preprocessor import Preprocessor
from xray_seg.serving.export import renew
from xray_seg.serving.postprocessing_graph import clean_graph
from xray_seg.serving.preprocessing_graph import (
    area_mean_graph,
    decode_jsrt,
    decode_png,
    fit_graph,
)
from xray_seg.serving.signatures import FILMS

SHIPPED = Path(__file__).parents[2] / "weights" / "inverted-net-128"
SERVER = """
import sys, tensorflow as tf
served = tf.saved_model.load(sys.argv[1]).signatures[sys.argv[2]]
films = [tf.io.read_file(path) for path in sys.argv[3:]]
maps = served(films_bytes=tf.stack(films))["labels_bytes"]
for path, coded in zip(sys.argv[3:], maps):
    tf.io.write_file(path + ".labels.png", coded)
print([name for name in sys.modules if name.split(".")[0] in ("xray_seg", "numba")])
"""


@pytest.fixture(scope="module", autouse=True)
def no_gpu():
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("CUDA_VISIBLE_DEVICES", "-1")
        yield


@pytest.fixture(scope="module")
def model(tmp_path_factory):
    """Trained weights, with signatures of this very code."""
    folder = tmp_path_factory.mktemp("models") / "renewed"
    shutil.copytree(SHIPPED, folder)
    renew(folder)
    return folder


@pytest.fixture(scope="module")
def segmenter(model):
    return Segmenter(model, "saved-model", "float32", "cpu")


def in_a_clean_process(model, kind, paths):
    """Label maps by a process that imports TensorFlow and nothing of ours."""
    command = [sys.executable, "-I", "-c", SERVER, model / "saved_model", kind, *paths]
    done = subprocess.run(
        list(map(str, command)), capture_output=True, text=True, cwd="/", check=False
    )
    assert done.returncode == 0, done.stderr
    assert done.stdout.splitlines()[-1] == "[]"
    return [imagecodecs.imread(f"{path}.labels.png") for path in paths]


def jsrt_film(seed):
    film = np.kron(make_phantom(seed, 512).radiograph, np.ones((4, 4)))
    return ((1 - film) * 4095).round().astype(">u2")


def test_jsrt_bytes_become_the_librarys_label_map(model, segmenter, tmp_path):
    paths = [tmp_path / f"{seed}.IMG" for seed in (1, 2)]
    for seed, path in enumerate(paths):
        path.write_bytes(jsrt_film(seed).tobytes())
    for path, found in zip(paths, in_a_clean_process(model, "jsrt", paths), strict=True):
        expected = segmenter(read(path)).labels
        assert len(np.unique(expected)) == 4
        np.testing.assert_array_equal(found, expected)


def test_real_films_too(model, segmenter, jsrt, tmp_path):
    served = tensorflow.tensorflow().saved_model.load(str(model / "saved_model")).signatures["jsrt"]
    for path in sorted((jsrt / "images").glob("JPC*"))[::100]:
        small = read(path).pixels
        sides = 2048 // small.shape[0], 2048 // small.shape[1]
        film = np.kron(small.astype(np.uint16), np.ones(sides, np.uint16)).astype(">u2")
        (tmp_path / "film.IMG").write_bytes(np.clip(film, 0, 4095).astype(">u2").tobytes())
        coded = served(films_bytes=[(tmp_path / "film.IMG").read_bytes()])["labels_bytes"]
        found = imagecodecs.png_decode(coded.numpy()[0])
        np.testing.assert_array_equal(found, segmenter(read(tmp_path / "film.IMG")).labels)


def pictures():
    """Films as PNG by what is odd about them."""
    film = make_phantom(5, 300).radiograph[:, 20:260]
    eight = (film * 255).round().astype(np.uint8)
    sixteen = (film * 65535).round().astype(np.uint16)
    tinted = np.stack([eight, eight // 2, eight // 3], -1)
    opaque = np.full(eight.shape, 255, np.uint8)
    return {
        "grey of 8 bits": eight,
        "grey of 16 bits": sixteen,
        "inverted": 255 - eight,
        "wide": sixteen[40:210],
        "grey as colours": np.stack([eight] * 3, -1),
        "colours": tinted,
        "colours of 16 bits": tinted.astype(np.uint16) * 200,
        "grey with alpha": np.stack([eight, opaque], -1),
        "colours with alpha": np.concatenate([tinted, opaque[..., None]], -1),
        "small": eight[::3, ::3],
    }


def test_png_bytes_become_the_librarys_label_map(model, segmenter, tmp_path):
    """All in one batch, of several sizes; a pixel in a thousand may fall to the other side."""
    paths = []
    for name, pixels in pictures().items():
        paths.append(tmp_path / f"{name}.png")
        paths[-1].write_bytes(imagecodecs.png_encode(np.ascontiguousarray(pixels)))
    served = tensorflow.tensorflow().saved_model.load(str(model / "saved_model")).signatures["png"]
    maps = served(films_bytes=[path.read_bytes() for path in paths])["labels_bytes"].numpy()
    for path, coded in zip(paths, maps, strict=True):
        found, expected = imagecodecs.png_decode(coded), segmenter(read(path)).labels
        assert found.shape == expected.shape
        assert len(np.unique(expected)) > 2, path
        assert (found != expected).mean() < 0.001, path


@pytest.mark.parametrize("name", pictures())
def test_png_is_decoded_and_fitted_as_the_readers_do(name, tmp_path):
    tf = tensorflow.tensorflow()
    (tmp_path / "film.png").write_bytes(
        imagecodecs.png_encode(np.ascontiguousarray(pictures()[name]))
    )
    film = read(tmp_path / "film.png")
    decode = tf.function(decode_png, input_signature=[tf.TensorSpec((), tf.string)])
    pixels = decode((tmp_path / "film.png").read_bytes())
    np.testing.assert_array_equal(pixels, film.pixels)
    grid, place = fit_graph(pixels, 64, None)
    expected = Preprocessor(64)(film)
    box = expected.box
    assert place.numpy().tolist() == [box.top, box.left, box.height, box.width, *film.shape]
    np.testing.assert_allclose(grid, expected.grid, atol=1e-6)
    assert bool(expected.radiograph.inverted) == (name == "inverted")


def test_a_jsrt_film_is_fitted_to_the_bit():
    film = jsrt_film(3)
    film[100, 100:300] = 65535  # as in six of the real ones
    pixels = decode_jsrt(film.tobytes())
    np.testing.assert_array_equal(pixels, film)
    for size in (128, 256):
        expected = Preprocessor(size)(Radiograph(film, True)).grid
        np.testing.assert_array_equal(fit_graph(pixels, size, True)[0], expected)


def test_a_film_without_contrast_becomes_nothing():
    pixels = tensorflow.tensorflow().constant(7, shape=(40, 30), dtype="int64")
    for inverted in (True, False, None):
        assert not np.any(fit_graph(pixels, 16, inverted)[0])


@pytest.mark.parametrize("shape", [(64, 64), (37, 91), (5, 3), (200, 33)])
def test_area_means_are_the_kernels(shape):
    pixels = np.random.default_rng(1).integers(0, 65536, shape).astype(np.uint16)
    found = area_mean_graph(tensorflow.tensorflow().constant(pixels, "int64"), 16, 24)
    np.testing.assert_allclose(found, area_mean(pixels, (16, 24)), rtol=1e-5)


def test_cleaning_is_the_librarys_on_any_map():
    """Noise of many grains, from single pixels to blots, with specks and holes of all kinds."""
    tf = tensorflow.tensorflow()
    graph = tf.function(clean_graph, input_signature=[tf.TensorSpec((None, None), tf.uint8)])
    random = np.random.default_rng(2)
    changed = 0
    for trial in range(150):
        shape = random.integers(1, 48, 2)
        grain = random.uniform(0, 3)
        planes = [scipy.ndimage.gaussian_filter(random.normal(size=shape), grain) for _ in range(4)]
        labels = np.argmax(planes, 0).astype(np.uint8) if trial % 20 else np.full(shape, 2, "u1")
        expected = labels.copy()
        clean(expected)
        np.testing.assert_array_equal(graph(labels), expected)
        changed += np.count_nonzero(expected != labels)
    assert changed > 10_000


def test_bytes_of_another_kind_are_refused_with_the_reason(model):
    tf = tensorflow.tensorflow()
    signatures = tf.saved_model.load(str(model / "saved_model")).signatures
    for kind, data, message in (
        ("jsrt", b"short", "not the length of a JSRT film"),
        ("jsrt", b"\xff" * (2048 * 2048 * 2), "not the 12 bits of a JSRT film"),
        ("png", b"no picture", "PNG"),
    ):
        with pytest.raises(tf.errors.InvalidArgumentError, match=message):
            signatures[kind](films_bytes=tf.constant([data]))


def test_tensorflows_own_tool_runs_the_signatures(model, tmp_path):
    film = imagecodecs.png_encode(np.ascontiguousarray(pictures()["grey of 8 bits"]))
    np.save(tmp_path / "films.npy", np.array([film], object))
    tool = [sys.executable, "-m", "tensorflow.python.tools.saved_model_cli"]
    where = ["--dir", model / "saved_model", "--tag_set", "serve", "--signature_def"]
    inputs = f"films_bytes={tmp_path / 'films.npy'}"
    command = [*tool, "run", *where, "png", "--inputs", inputs, "--outdir", tmp_path]
    subprocess.run(command, capture_output=True, check=True)
    (coded,) = np.load(tmp_path / "labels_bytes.npy", allow_pickle=True)
    assert imagecodecs.png_decode(coded).shape == (300, 240)


def test_renewed_weights_are_the_same_weights(model):
    before, after = load_model(SHIPPED), load_model(model)
    for old, new in zip(read_variables(before), read_variables(after), strict=True):
        np.testing.assert_array_equal(old, new)
    flatbuffer = "dynamic_int8.tflite"
    assert before.card["files"][flatbuffer] == after.card["files"][flatbuffer]
    assert {**before.card, "files": 0} == {**after.card, "files": 0}
    signatures = tensorflow.tensorflow().saved_model.load(str(model / "saved_model")).signatures
    assert set(signatures) == {"float32", "bfloat16", "float16", *FILMS}


def test_renewing_an_altered_folder_is_refused(tmp_path):
    folder = tmp_path / "model"
    shutil.copytree(SHIPPED, folder)
    card = json.loads((folder / "card.json").read_text())
    card["files"]["dynamic_int8.tflite"] = "0"
    (folder / "card.json").write_text(json.dumps(card))
    with pytest.raises(WeightsError, match="altered"):
        renew(folder)
