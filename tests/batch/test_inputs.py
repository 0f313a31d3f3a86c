"""From names to files: nothing lost, nothing twice, every file under a name of its own."""

import os
import tempfile
from pathlib import Path

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from xray_seg.batch.inputs import Input, find_files, find_inputs, shard_inputs
from xray_seg.batch.options import Shard


def _touch(folder, *names):
    for name in names:
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.touch()


def _keys(inputs):
    return [item.key for item in inputs]


def test_a_folder_is_read_at_any_depth_in_a_stable_order(tmp_path):
    _touch(tmp_path, "b.png", "a.IMG", "ward/x.tif", "ward/deep/er/y.jpg", "notes.txt")
    found = find_inputs([str(tmp_path)])
    assert _keys(found) == ["a", "b", "notes", "ward/x", "ward/deep/er/y"]
    assert [item.path.relative_to(tmp_path).name for item in found][:2] == ["a.IMG", "b.png"]
    assert not any(item.problem for item in found)


def test_hidden_files_and_litter_are_passed_over(tmp_path):
    _touch(tmp_path, ".DS_Store", "Thumbs.db", "desktop.ini", ".git/x.png", "x.png", "sub/.y.png")
    assert _keys(find_inputs([str(tmp_path)])) == ["x"]


@pytest.mark.parametrize(
    ("name", "key"),
    [
        ("film.png", "film"),
        ("film.IMG", "film"),
        ("film.v2.png", "film.v2"),
        ("1.2.840.113.7", "1.2.840.113.7"),
        ("1.2.840.113.7.dcm", "1.2.840.113.7"),
        ("no suffix", "no suffix"),
        ("Thorax ä 胸.png", "Thorax ä 胸"),
        ("two\nlines.png", "two\nlines"),
    ],
)
def test_a_key_is_the_name_without_suffix(tmp_path, name, key):
    _touch(tmp_path, name)
    assert _keys(find_inputs([str(tmp_path)])) == [key]
    assert _keys(find_inputs([str(tmp_path / name)])) == [key]


def test_names_keep_their_order(tmp_path):
    _touch(tmp_path, "z.png", "m/a.png", "b.png")
    names = [str(tmp_path / name) for name in ("z.png", "m", "b.png")]
    assert _keys(find_inputs(names)) == ["z", "a", "b"]


def test_a_pattern_names_files_from_its_first_wildcard_on(tmp_path):
    _touch(tmp_path, "2023/may/a.png", "2023/june/b.png", "2023/june/c.tif", "2024/d.png")
    assert _keys(find_inputs([f"{tmp_path}/2023/*/*.png"])) == ["june/b", "may/a"]
    assert _keys(find_inputs([f"{tmp_path}/**/*.png"])) == ["2023/june/b", "2023/may/a", "2024/d"]
    assert _keys(find_inputs([f"{tmp_path}/202?"])) == [
        "2023/june/b",
        "2023/june/c",
        "2023/may/a",
        "2024/d",
    ]


def test_a_relative_pattern_works(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    _touch(tmp_path, "a.png", "b.png")
    assert _keys(find_inputs(["*.png"])) == ["a", "b"]


def test_a_file_named_like_a_pattern_is_that_file(tmp_path):
    _touch(tmp_path, "x[1].png", "x1.png")
    (found,) = find_inputs([str(tmp_path / "x[1].png")])
    assert found == Input(tmp_path / "x[1].png", "x[1]")


def test_what_is_not_there_is_listed_with_its_reason(tmp_path):
    missing, pattern = str(tmp_path / "gone.png"), str(tmp_path / "*.xyz")
    first, second = find_inputs([missing, pattern])
    assert missing in first.problem
    assert "no such file" in first.problem
    assert pattern in second.problem
    assert "no file matches" in second.problem


def test_a_broken_link_is_listed_and_a_loop_of_links_ends(tmp_path):
    _touch(tmp_path, "sub/x.png")
    (tmp_path / "sub" / "loop").symlink_to(tmp_path)
    (tmp_path / "broken.png").symlink_to(tmp_path / "gone.png")
    assert _keys(find_inputs([str(tmp_path)])) == ["broken", "sub/x"]
    assert _keys(find_inputs([str(tmp_path / "broken.png")])) == ["broken"]


def test_a_folder_named_like_an_image_is_named_and_its_files_are_read(tmp_path):
    _touch(tmp_path, "x.png/inner.png", "plain.folder/y.png")
    found = {item.path: item for item in find_inputs([str(tmp_path)])}
    assert str(tmp_path / "x.png") in found.pop(tmp_path / "x.png").problem
    assert {item.key for item in found.values()} == {"x.png/inner", "plain.folder/y"}
    assert not any(item.problem for item in found.values())


def test_a_folder_that_cannot_be_opened_is_listed(tmp_path, monkeypatch):
    _touch(tmp_path, "open/x.png", "shut/y.png")
    scandir = os.scandir

    def guarded(path):
        if Path(path).name == "shut":
            raise PermissionError(13, "Permission denied", str(path))
        return scandir(path)

    monkeypatch.setattr(os, "scandir", guarded)
    good, bad = find_inputs([str(tmp_path)])
    assert (good.key, good.problem) == ("open/x", None)
    assert bad.path == tmp_path / "shut"
    assert "Permission denied" in bad.problem


def test_a_file_named_twice_is_listed_once(tmp_path, monkeypatch):
    _touch(tmp_path, "films/x.png")
    monkeypatch.chdir(tmp_path)
    names = ["films", "films/x.png", "./films/x.png", str(tmp_path / "films" / "x.png"), "films/*"]
    assert _keys(find_inputs(names)) == ["x"]


def test_files_that_differ_in_suffix_alone_keep_it(tmp_path):
    _touch(tmp_path, "x.png", "x.tif", "y.png", "sub/x.png")
    found = find_inputs([str(tmp_path)])
    assert _keys(found) == ["x.png", "x.tif", "y", "sub/x"]
    assert not any(item.problem for item in found)


def test_of_two_files_with_one_name_in_the_output_the_second_names_both(tmp_path):
    _touch(tmp_path, "a/x.png", "b/x.png")
    first, second = find_inputs([str(tmp_path / "a" / "x.png"), str(tmp_path / "b" / "x.png")])
    assert first.problem is None
    assert str(first.path) in second.problem
    assert str(second.path) in second.problem


_NAMES = st.lists(
    st.text("ab.", min_size=1, max_size=3).filter(lambda name: not name.startswith(".")),
    min_size=1,
    max_size=3,
)


@settings(deadline=None, max_examples=60)
@given(st.lists(_NAMES, min_size=1, max_size=12), st.integers(0, 2))
@example([["a.a"], ["a.b"], ["a.a.a"]], 0)
def test_each_file_is_listed_once_and_no_two_share_a_key(trees, named):
    with tempfile.TemporaryDirectory() as place:
        for parts in trees:
            path = Path(place, *parts)
            if not any(parent.is_file() for parent in path.parents) and not path.exists():
                path.parent.mkdir(parents=True, exist_ok=True)
                path.touch()
        files = sorted(path for path in Path(place).rglob("*") if path.is_file())
        found = find_inputs([*map(str, files[:named]), place, f"{place}/*"])
        assert sorted(item.path for item in found) == files
        good = [item.key for item in found if item.problem is None]
        assert len(set(good)) == len(good)


@settings(deadline=None)
@given(st.integers(0, 40), st.integers(1, 12))
def test_shards_are_disjoint_even_and_together_complete(count, parts):
    inputs = [Input(Path(str(number)), str(number)) for number in range(count)]
    shards = [shard_inputs(inputs, Shard(index, parts)) for index in range(1, parts + 1)]
    assert sorted(key for part in shards for key in _keys(part)) == sorted(_keys(inputs))
    assert max(map(len, shards)) - min(map(len, shards)) <= 1


@pytest.mark.parametrize(("index", "count"), [(0, 3), (4, 3), (-1, 3), (1, 0)])
def test_a_shard_that_does_not_exist_is_refused(index, count):
    with pytest.raises(ValueError, match=f"{index}/{count}"):
        shard_inputs([], Shard(index, count))


def test_an_output_folder_within_the_input_is_passed_over(tmp_path):
    _touch(tmp_path, "x.png", "masks/labels/x.tif", "masks/results.csv", "other/masks/y.png")
    assert _keys(find_inputs([str(tmp_path)], tmp_path / "masks")) == ["x", "other/masks/y"]


_OUTPUTS = (".xrayseg/journal.jsonl", "labels/x.tif", "overlay/x.jpg", "results.csv", "run.json")


def _run_folder(folder):
    _touch(folder, *_OUTPUTS)


@pytest.mark.parametrize("out", [None, "films/new", "elsewhere"])
def test_output_folders_of_earlier_runs_are_skipped_at_any_depth(tmp_path, monkeypatch, out):
    monkeypatch.chdir(tmp_path)
    _touch(tmp_path, "films/x.png", "films/ward/y.png", "films/labels/z.png")
    for folder in ("films/masks", "films/ward/deep/masks", "films/new"):
        _run_folder(tmp_path / folder)
    (tmp_path / "films" / "linked").symlink_to(tmp_path / "films" / "ward" / "deep" / "masks")
    out = out and Path(out)
    for name in ("films", "fil*", "films/**/*.*", str(tmp_path / "films")):
        found = find_inputs([name], out)
        assert sorted(item.path.name for item in found) == ["x.png", "y.png", "z.png"], name
        assert not any(item.problem for item in found)


@pytest.mark.parametrize("out", [None, "films", "elsewhere"])
def test_of_a_named_output_folder_only_what_runs_write_is_skipped(tmp_path, monkeypatch, out):
    monkeypatch.chdir(tmp_path)
    _touch(tmp_path, "films/x.png", "films/ward/y.png", "films/ward/labels/z.png")
    _run_folder(tmp_path / "films")
    found = find_inputs(["films"], out and Path(out))
    assert [(item.key, item.problem) for item in found] == [
        ("x", None),
        ("ward/y", None),
        ("ward/labels/z", None),
    ]
    if out != "films":
        assert _keys(find_inputs(["films/**/*.*"], out and Path(out))) == [
            "ward/labels/z",
            "ward/y",
            "x",
        ]


def test_a_named_folder_of_outputs_alone_and_single_outputs_are_not_ignored(tmp_path):
    _run_folder(tmp_path / "masks")
    (found,) = find_inputs([str(tmp_path / "masks")])
    assert "holds no files besides the outputs of a run" in found.problem
    for name in ("masks/labels/x.tif", "masks/labels", "masks/labels/*.tif"):
        assert _keys(find_inputs([str(tmp_path / name)])) == ["x"]


def test_masks_to_measure_are_found_within_output_folders(tmp_path):
    _run_folder(tmp_path / "masks")
    assert "masks/labels/x" in _keys(find_files([str(tmp_path)]))
    assert _keys(find_files([f"{tmp_path}/*/labels"])) == ["masks/labels/x"]


@pytest.mark.parametrize("name", ["*", "masks"])
def test_an_output_folder_that_is_named_itself_is_passed_over(tmp_path, monkeypatch, name):
    # What a shell makes of `xrayseg batch * --out masks` when it is run again.
    monkeypatch.chdir(tmp_path)
    _touch(tmp_path, "x.png", "masks/labels/x.tif", "masks/results.csv", "masks/run.json")
    assert _keys(find_inputs(["x.png", name], Path("masks"))) == ["x"]


def test_a_name_too_long_for_the_file_system_is_listed_with_its_reason():
    (found,) = find_inputs(["a" * 5000])
    assert found.problem


def test_linked_folders_are_entered_once_and_loops_end(tmp_path):
    _touch(tmp_path, "store/p1/a.png", "store/p2/b.png")
    films = tmp_path / "films"
    films.mkdir()
    for name in ("p1", "p2"):
        (films / name).symlink_to(tmp_path / "store" / name)
    (films / "again").symlink_to(tmp_path / "store" / "p1")
    (films / "loop").symlink_to(films)
    assert _keys(find_inputs([str(films)])) == ["again/a", "p2/b"]


def test_a_folder_without_films_is_told(tmp_path):
    (tmp_path / "empty").mkdir()
    (found,) = find_inputs([str(tmp_path / "empty")])
    assert found.problem == f"{tmp_path / 'empty'}: holds no files"


def test_patterns_pass_over_the_output_and_litter(tmp_path):
    _touch(tmp_path, "in/a.tif", "in/masks/labels/a.tif", "in/Thumbs.db", "in/sub/.b.tif")
    out = tmp_path / "in" / "masks"
    assert _keys(find_inputs([str(tmp_path / "in" / "**" / "*")], out)) == ["a"]


def test_a_pattern_with_dots_stays_within_the_output(tmp_path):
    _touch(tmp_path, "real/x.png", "other/a.png")
    (found,) = find_inputs([str(tmp_path / "re*" / ".." / "other" / "a.png")])
    assert ".." not in found.key.split("/")
