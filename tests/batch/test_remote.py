"""Inputs named by URL: in a folder's order, without a local copy, done anew if changed."""

import csv
import io
import subprocess
import sys

import fsspec
import imagecodecs
import numpy as np
import pytest
import s3fs

from helpers.batches import segmenter
from helpers.dicom import make
from helpers.s3 import bucket_of
from xray_seg import read
from xray_seg.batch.inputs import find_inputs
from xray_seg.batch.options import BatchOptions
from xray_seg.batch.run import run_batch
from xray_seg.data.phantom import make_phantom
from xray_seg.errors import NotARadiograph, ReadError

NAMES = ("b.png", "a/z.png", "a.png", "a/deep/y.png", "a/.hidden.png", ".trash/x.png", "c d.png")


def picture(seed):
    return imagecodecs.png_encode((make_phantom(seed, 64).radiograph * 255).astype(np.uint8))


@pytest.fixture
def store():
    made = fsspec.filesystem("memory")
    made.rm("/", recursive=True) if made.ls("/") else None
    for number, name in enumerate(NAMES):
        made.pipe(f"/films/{name}", picture(number))
    yield made
    made.rm("/films", recursive=True)


def found(*names):
    return [(str(item.path), item.key, item.problem) for item in find_inputs(names)]


def test_a_remote_folder_is_listed_as_a_local_one(store, tmp_path):
    for number, name in enumerate(NAMES):
        path = tmp_path / "films" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(picture(number))
    local = [(path.replace(str(tmp_path), "memory://"), *rest) for path, *rest in
             found(str(tmp_path / "films"))]  # fmt: skip
    assert found("memory:///films") == found("memory:///films/") == local
    assert [key for _, key, _ in local] == ["a", "b", "c d", "a/z", "a/deep/y"]


def test_a_remote_file_and_a_pattern_are_found(store):
    assert found("memory:///films/b.png") == [("memory:///films/b.png", "b", None)]
    assert [key for _, key, _ in found("memory:///films/*.png")] == ["a", "b", "c d"]
    assert [key for _, key, _ in found("memory:///films/*/*.png")] == ["a/z"]
    assert [key for _, key, _ in found("memory:///films/**/*.png")] == ["a", "b", "c d", "a/z",
                                                                       "a/deep/y"]  # fmt: skip


def test_output_folders_in_a_store_are_skipped(store):
    for folder in ("a/masks", "a/.hidden", ""):
        for name in (".xrayseg/lock", "labels/x.tif", "results.csv"):
            store.pipe(f"/films/{folder}/{name}".replace("//", "/"), b"x")
    keys = [key for _, key, _ in found("memory:///films")]
    assert keys == ["a", "b", "c d", "a/z", "a/deep/y"]
    assert [key for _, key, _ in found("memory:///films/labels")] == ["x"]
    ((_, _, problem),) = found("memory:///films/a/masks")
    assert problem == "memory:///films/a/masks: holds no files"


def test_a_remote_file_can_be_sent_to_another_process_without_fsspec():
    code = (
        "import pickle, sys; from xray_seg._util.remote import RemoteFile, content_version\n"
        "import xray_seg.batch.inputs\n"
        "made = RemoteFile('s3://bucket/a key#1?.png', '7 etag')\n"
        "sent = pickle.loads(pickle.dumps(made))\n"
        "assert sent == made and hash(sent) == hash(made) and content_version(sent) == '7 etag'\n"
        "assert str(sent.absolute()) == 's3://bucket/a key#1?.png', sent\n"
        "assert not {'fsspec', 'upath'} & sys.modules.keys()\n"
    )
    subprocess.run([sys.executable, "-c", code], check=True)


@pytest.mark.parametrize(
    ("url", "problem"),
    [
        ("memory:///films/none.png", "no such file or folder"),
        ("memory:///films/*.tif", "no file matches this pattern"),
        ("nonsense://bucket/films", "cannot be listed: ValueError: Protocol not known"),
    ],
)
def test_what_cannot_be_had_is_named(store, url, problem):
    ((path, _, found_problem),) = found(url)
    assert path == url
    assert found_problem.startswith(f"{url}: {problem}")


def test_a_batch_of_remote_films_is_that_of_local_ones(store, tmp_path):
    store.pipe("/films/bad.png", b"no film")
    local = tmp_path / "films"
    store.get("/films", str(local), recursive=True)
    summaries = [
        run_batch([name], tmp_path / out, segmenter=segmenter(), options=BatchOptions())
        for name, out in (("memory:///films", "far"), (str(local), "near"))
    ]
    assert [(s.done, s.failed) for s in summaries] == [(5, 1), (5, 1)]
    near, far = (_files(tmp_path / out) for out in ("near", "far"))
    assert near == far
    assert len(near) == 10
    with (tmp_path / "far" / "results.csv").open(newline="") as file:
        rows = list(csv.DictReader(file))
    assert rows[1]["input"] == "memory:///films/b.png"
    assert rows[2]["error"].startswith("memory:///films/bad.png: is a text file")


@pytest.fixture
def bucket(store, tmp_path, monkeypatch):
    """The films in an S3 bucket of this machine; the folder behind it."""
    folder = tmp_path / "bucket"
    store.get("/films", str(folder / "deep"), recursive=True)
    with bucket_of(folder, "films") as environment:
        for name, value in environment.items():
            monkeypatch.setenv(name, value)
        s3fs.S3FileSystem.clear_instance_cache()
        yield folder
    s3fs.S3FileSystem.clear_instance_cache()


def test_a_bucket_is_listed_and_segmented_as_a_local_folder(bucket, tmp_path):
    local = [(path.replace(str(bucket), "s3://films"), *rest) for path, *rest in
             found(str(bucket / "deep"))]  # fmt: skip
    assert found("s3://films/deep") == found("s3://films/deep/") == local
    assert [key for _, key, _ in local] == ["a", "b", "c d", "a/z", "a/deep/y"]
    assert [key for _, key, _ in found("s3://films/deep/**/*.png")] == [key for _, key, _ in local]
    ((_, _, problem),) = found("s3://films/deep/none.png")
    assert problem == "s3://films/deep/none.png: no such file or folder"
    ((_, _, problem),) = found("s3://nowhere/deep")
    assert problem.startswith("s3://nowhere/deep: ")
    counts = []
    for name, out in (("s3://films/deep", "far"), (str(bucket / "deep"), "near")):
        made = run_batch([name], tmp_path / out, segmenter=segmenter(), options=BatchOptions())
        counts.append((made.done, made.failed))
    assert counts == [(5, 0), (5, 0)]
    near, far = (_files(tmp_path / out) for out in ("near", "far"))
    assert near == far
    assert len(near) == 10


def test_only_a_changed_object_of_a_bucket_is_done_again(bucket, tmp_path):
    def counts():
        s3fs.S3FileSystem.clear_instance_cache()  # as in another process, which has no listing yet
        made = run_batch(
            ["s3://films/deep"], tmp_path / "out", segmenter=segmenter(), options=BatchOptions()
        )
        return made.done, made.kept

    assert counts() == (5, 0)
    assert counts() == (0, 5)
    (bucket / "deep" / "b.png").write_bytes(picture(9))
    assert counts() == (1, 4)


def _files(out):
    return {
        path.relative_to(out).as_posix(): path.read_bytes()
        for kind in ("labels", "overlay")
        for path in (out / kind).rglob("*.*")
    }


def test_only_a_changed_remote_film_is_done_again(store, tmp_path):
    def counts():
        summary = run_batch(
            ["memory:///films"], tmp_path, segmenter=segmenter(), options=BatchOptions()
        )
        return summary.done, summary.kept, summary.failed

    assert counts() == (5, 0, 0)
    assert counts() == (0, 5, 0)
    store.pipe("/films/b.png", picture(9))
    assert counts() == (1, 4, 0)


@pytest.mark.parametrize("form", [bytes, bytearray, memoryview, io.BytesIO])
def test_bytes_are_read_as_their_file(tmp_path, form):
    contents = {
        "film.png": picture(1),
        "film.tif": _tiff(),
        "film.img": np.zeros((2048, 2048), ">u2").tobytes(),
    }
    for name, content in contents.items():
        (tmp_path / name).write_bytes(content)
        expected, film = read(tmp_path / name), read(form(content), name=name)
        np.testing.assert_array_equal(film.pixels, expected.pixels)
        assert (film.format, film.inverted, film.spacing) == (
            expected.format,
            expected.inverted,
            expected.spacing,
        )
        assert film.source == name


def _tiff():
    import tifffile

    file = io.BytesIO()
    tifffile.imwrite(file, np.arange(64, dtype=np.uint16).reshape(8, 8))
    return file.getvalue()


def test_dicom_bytes_are_read_as_their_file(tmp_path):
    make(tmp_path / "film.dcm", np.arange(64, dtype=np.uint16).reshape(8, 8))
    content = (tmp_path / "film.dcm").read_bytes()
    np.testing.assert_array_equal(read(content).pixels, read(tmp_path / "film.dcm").pixels)


def test_bad_bytes_are_named_as_asked():
    with pytest.raises(NotARadiograph, match=r"^s3://bucket/a\.txt: is a text file"):
        read(b"plain words, and no film at all", name="s3://bucket/a.txt")
    with pytest.raises(ReadError, match=r"^bytes: damaged"):
        read(picture(1)[:200])
    with pytest.raises(NotARadiograph, match="empty"):
        read(b"")
