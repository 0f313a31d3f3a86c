"""Signatures that map files to label maps, compared with the library."""

import subprocess
import sys

import imagecodecs
import numpy as np
import pytest
import scipy.ndimage

from xray_seg import Radiograph, Segmenter, read
from xray_seg._util import tensorflow
from xray_seg.data.phantom import make_phantom
from xray_seg.kernels import area_mean, upsample_argmax
from xray_seg.models.model_folder import load_model, read_variables
from xray_seg.models.network import build_network, weights_of
from xray_seg.postprocessing.cleanup import clean
from xray_seg.postprocessing.outlines import smooth_heart
from xray_seg.postprocessing.prediction import GridPrediction
from xray_seg.preprocessing.preprocessor import Preprocessor
from xray_seg.serving.export import PRECISIONS, export
from xray_seg.serving.outline_graph import smooth_heart_graph
from xray_seg.serving.postprocessing_graph import clean_graph, restore_graph
from xray_seg.serving.preprocessing_graph import (
    area_mean_graph,
    decode_jsrt,
    decode_png,
    preprocess_graph,
)
from xray_seg.serving.signatures import FILE_SIGNATURES

SERVER = """
import sys, tensorflow as tf
served = tf.saved_model.load(sys.argv[1]).signatures[sys.argv[2]]
files = [tf.io.read_file(path) for path in sys.argv[3:]]
label_maps = served(films_bytes=tf.stack(files))["labels_bytes"]
for path, png in zip(sys.argv[3:], label_maps):
    tf.io.write_file(path + ".labels.png", png)
print([name for name in sys.modules if name.split(".")[0] in ("xray_seg", "numba")])
"""


@pytest.fixture(scope="module", autouse=True)
def no_gpu():
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("CUDA_VISIBLE_DEVICES", "-1")
        yield


@pytest.fixture(scope="module")
def model(tmp_path_factory):
    """Trained weights, exported with the signatures of the present code."""
    shipped = load_model("inverted-net-128")
    tensorflow.keras()
    network = build_network(shipped.card["network"], shipped.size)
    for variable, value in zip(weights_of(network), read_variables(shipped), strict=True):
        variable.assign(value)
    return export(network, tmp_path_factory.mktemp("models") / "exported", "exported", {})


@pytest.fixture(scope="module")
def segmenter(model):
    return Segmenter(model, engine="saved-model", precision="float32", device="cpu")


def serve_in_a_new_process(model, signature, paths):
    """Label maps from a process that imports TensorFlow and not this package."""
    command = [sys.executable, "-I", "-c", SERVER, model / "saved_model", signature, *paths]
    done = subprocess.run(
        list(map(str, command)), capture_output=True, text=True, cwd="/", check=False
    )
    assert done.returncode == 0, done.stderr
    assert done.stdout.splitlines()[-1] == "[]"
    return [imagecodecs.imread(f"{path}.labels.png") for path in paths]


def jsrt_pixels(seed):
    image = np.kron(make_phantom(seed, 512).radiograph, np.ones((4, 4)))
    return ((1 - image) * 4095).round().astype(">u2")


def test_a_jsrt_file_gives_the_label_map_of_the_library(model, segmenter, tmp_path):
    paths = [tmp_path / f"{seed}.IMG" for seed in (1, 2)]
    for seed, path in enumerate(paths):
        path.write_bytes(jsrt_pixels(seed).tobytes())
    for path, found in zip(paths, serve_in_a_new_process(model, "jsrt", paths), strict=True):
        expected = segmenter(read(path)).labels
        assert len(np.unique(expected)) == 4
        np.testing.assert_array_equal(found, expected)


def test_a_real_radiograph_gives_the_label_map_of_the_library(model, segmenter, jsrt, tmp_path):
    served = tensorflow.tensorflow().saved_model.load(str(model / "saved_model")).signatures["jsrt"]
    for path in sorted((jsrt / "images").glob("JPC*"))[::100]:
        small = read(path).pixels
        sides = 2048 // small.shape[0], 2048 // small.shape[1]
        pixels = np.kron(small.astype(np.uint16), np.ones(sides, np.uint16))
        file = tmp_path / "image.IMG"
        file.write_bytes(np.clip(pixels, 0, 4095).astype(">u2").tobytes())
        png = served(films_bytes=[file.read_bytes()])["labels_bytes"]
        found = imagecodecs.png_decode(png.numpy()[0])
        np.testing.assert_array_equal(found, segmenter(read(file)).labels)


def pictures():
    """Pixels of PNG files, by kind."""
    image = make_phantom(5, 300).radiograph[:, 20:260]
    eight = (image * 255).round().astype(np.uint8)
    sixteen = (image * 65535).round().astype(np.uint16)
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


def test_png_files_give_the_label_maps_of_the_library(model, segmenter, tmp_path):
    """In one batch of several sizes; up to one pixel in a thousand may differ."""
    paths = []
    for name, pixels in pictures().items():
        paths.append(tmp_path / f"{name}.png")
        paths[-1].write_bytes(imagecodecs.png_encode(np.ascontiguousarray(pixels)))
    served = tensorflow.tensorflow().saved_model.load(str(model / "saved_model")).signatures["png"]
    pngs = served(films_bytes=[path.read_bytes() for path in paths])["labels_bytes"].numpy()
    for path, png in zip(paths, pngs, strict=True):
        found, expected = imagecodecs.png_decode(png), segmenter(read(path)).labels
        assert found.shape == expected.shape
        assert len(np.unique(expected)) > 2, path
        assert (found != expected).mean() < 0.001, path


@pytest.mark.parametrize("name", pictures())
def test_a_png_is_decoded_and_preprocessed_as_by_the_library(name, tmp_path):
    tf = tensorflow.tensorflow()
    file = tmp_path / "image.png"
    file.write_bytes(imagecodecs.png_encode(np.ascontiguousarray(pictures()[name])))
    radiograph = read(file)
    decode = tf.function(decode_png, input_signature=[tf.TensorSpec((), tf.string)])
    pixels = decode(file.read_bytes())
    np.testing.assert_array_equal(pixels, radiograph.pixels)
    grid, geometry = preprocess_graph(pixels, 64, None)
    expected = Preprocessor(64)(radiograph)
    box = expected.box
    place = [box.top, box.left, box.height, box.width]
    assert geometry.numpy().tolist() == [*place, *radiograph.shape]
    np.testing.assert_allclose(grid, expected.grid, atol=1e-6)
    assert bool(expected.radiograph.inverted) == (name == "inverted")


def test_a_jsrt_file_is_preprocessed_exactly_as_by_the_library():
    stored = jsrt_pixels(3)
    stored[100, 100:300] = 65535  # as in six of the real files
    pixels = decode_jsrt(stored.tobytes())
    np.testing.assert_array_equal(pixels, stored)
    for size in (128, 256):
        expected = Preprocessor(size)(Radiograph(stored, True)).grid
        np.testing.assert_array_equal(preprocess_graph(pixels, size, True)[0], expected)


def test_a_constant_image_becomes_zero():
    pixels = tensorflow.tensorflow().constant(7, shape=(40, 30), dtype="int64")
    for inverted in (True, False, None):
        assert not np.any(preprocess_graph(pixels, 16, inverted)[0])


@pytest.mark.parametrize("shape", [(64, 64), (37, 91), (5, 3), (200, 33)])
def test_area_means_are_those_of_the_kernel(shape):
    pixels = np.random.default_rng(1).integers(0, 65536, shape).astype(np.uint16)
    found = area_mean_graph(tensorflow.tensorflow().constant(pixels, "int64"), 16, 24)
    np.testing.assert_allclose(found, area_mean(pixels, (16, 24)), rtol=1e-5)


@pytest.mark.parametrize("shape", [(64, 64), (301, 200), (37, 91), (9, 400)])
def test_restoration_is_that_of_the_kernel(shape):
    random = np.random.default_rng(4)
    probabilities = random.dirichlet([1] * 4, (48, 48)).astype(np.float32)
    box = Preprocessor(48)(Radiograph(random.random(shape, np.float32))).box
    geometry = [box.top, box.left, box.height, box.width, *shape]
    found = restore_graph(tensorflow.tensorflow().constant(probabilities), geometry)
    np.testing.assert_array_equal(found, upsample_argmax(box.crop(probabilities), shape))


def test_ragged_hearts_are_smoothed_as_in_the_library():
    """Blobs with noise of several scales; a third of the grid lies outside the radiograph."""
    tf = tensorflow.tensorflow()
    spec = tf.TensorSpec((None, None, 4), tf.float32), tf.TensorSpec((6,), tf.int32)
    graph = tf.function(smooth_heart_graph, input_signature=spec, autograph=False)
    random = np.random.default_rng(3)
    y, x = np.mgrid[:48, :72] - np.array([24, 30])[:, None, None]
    changed = 0
    for _ in range(30):
        noise = random.normal(size=(48, 72, 4))
        planes = scipy.ndimage.gaussian_filter(noise, (*[random.uniform(0.5, 4)] * 2, 0))
        planes *= random.uniform(0, 4) / planes.std()
        planes[..., 2] += np.clip((random.uniform(6, 20) - np.hypot(y, x)) / 4, -3, 3)
        inside = np.exp(planes).astype(np.float32)
        inside /= inside.sum(axis=2, keepdims=True)
        grid = np.full((72, 72, 4), 0.25, np.float32)
        grid[12:60] = inside
        found = graph(grid, [12, 0, 48, 72, 96, 144]).numpy()[12:60]
        expected = smooth_heart(GridPrediction(inside))
        np.testing.assert_array_equal(found, expected)
        changed += expected is not inside
    assert 5 < changed < 30


def test_cleanup_is_that_of_the_library_on_any_label_map():
    """Noise of many scales, with specks and holes from single pixels upwards."""
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


def test_data_of_another_format_are_refused_with_the_reason(model):
    tf = tensorflow.tensorflow()
    signatures = tf.saved_model.load(str(model / "saved_model")).signatures
    for signature, data, message in (
        ("jsrt", b"short", "not the 8388608 bytes of a JSRT file"),
        ("jsrt", b"\xff" * (2048 * 2048 * 2), "not the 12-bit values of a JSRT file"),
        ("png", b"no picture", "PNG"),
    ):
        with pytest.raises(tf.errors.InvalidArgumentError, match=message):
            signatures[signature](films_bytes=tf.constant([data]))


def test_saved_model_cli_runs_the_signatures(model, tmp_path):
    file = imagecodecs.png_encode(np.ascontiguousarray(pictures()["grey of 8 bits"]))
    np.save(tmp_path / "files.npy", np.array([file], object))
    tool = [sys.executable, "-m", "tensorflow.python.tools.saved_model_cli"]
    where = ["--dir", model / "saved_model", "--tag_set", "serve", "--signature_def"]
    inputs = f"films_bytes={tmp_path / 'files.npy'}"
    command = [*tool, "run", *where, "png", "--inputs", inputs, "--outdir", tmp_path]
    subprocess.run(command, capture_output=True, check=True)
    (png,) = np.load(tmp_path / "labels_bytes.npy", allow_pickle=True)
    assert imagecodecs.png_decode(png).shape == (300, 240)


def test_an_export_of_shipped_weights_keeps_them_and_has_all_signatures(model):
    shipped, exported = load_model("inverted-net-128"), load_model(model)
    for old, new in zip(read_variables(shipped), read_variables(exported), strict=True):
        np.testing.assert_array_equal(old, new)
    signatures = tensorflow.tensorflow().saved_model.load(str(model / "saved_model")).signatures
    assert set(signatures) == {*PRECISIONS, *FILE_SIGNATURES}
