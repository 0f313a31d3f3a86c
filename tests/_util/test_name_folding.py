"""Output folders that do not tell names apart which differ in case or normalisation only."""

import unicodedata
from pathlib import Path

import pytest

from helpers.place import Place
from xray_seg._util import name_folding as module
from xray_seg._util.name_folding import name_folding
from xray_seg.batch import run
from xray_seg.batch.inputs import find_inputs

COMPOSED, DECOMPOSED = "caf\u00e9", "cafe\u0301"


@pytest.fixture
def looked_up(monkeypatch):
    """A folder that finds files by folded names, as the given function folds them."""

    def use(folded):
        def exists(path):
            names = (other.name for other in path.parent.iterdir())
            return folded(path.name) in map(folded, names)

        monkeypatch.setattr(Path, "exists", exists)

    return use


def test_a_folder_that_tells_names_apart(tmp_path):
    fold = name_folding(tmp_path)
    for name in ("A", "a", COMPOSED, DECOMPOSED):
        assert fold(name) == name
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize(
    ("folded", "same", "different"),
    [
        (str.upper, ("Ward/A", "ward/a"), (COMPOSED, DECOMPOSED)),
        (
            lambda name: unicodedata.normalize("NFD", name),
            (COMPOSED, DECOMPOSED),
            ("Ward/A", "ward/a"),
        ),
    ],
    ids=["case", "normalisation"],
)
def test_a_folder_that_does_not(tmp_path, looked_up, folded, same, different):
    looked_up(folded)
    fold = name_folding(tmp_path)
    assert fold(same[0]) == fold(same[1])
    assert fold(different[0]) != fold(different[1])
    assert not list(tmp_path.iterdir())


def test_a_file_system_without_accents_is_probed_for_case(tmp_path, monkeypatch):
    touch = Path.touch

    def ascii_only(path):
        if not path.name.isascii():
            raise OSError(22, "Invalid argument")
        touch(path)

    monkeypatch.setattr(Path, "touch", ascii_only)
    assert name_folding(tmp_path)("A") == "A"


def test_names_that_the_output_folder_takes_for_the_same(tmp_path):
    for name in ("A.png", "a.jpg", "b.png", "B.png", "ward/c.png", "Ward/c.png", "d.png"):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_bytes(b"")
    found = find_inputs([str(tmp_path)], fold=str.casefold)
    keys = [item.key for item in found if item.problem is None]
    assert sorted(keys) == ["A.png", "B.png", "Ward/c.png", "a.jpg", "d"]
    assert len({key.casefold() for key in keys}) == len(keys)
    problems = [item.problem for item in found if item.problem]
    assert len(problems) == 2
    assert all("its masks would be named like those of" in problem for problem in problems)


def test_no_row_is_ok_whose_masks_another_radiograph_replaced(tmp_path, monkeypatch):
    monkeypatch.setattr(run, "name_folding", lambda folder: str.casefold)
    place = Place(tmp_path)
    place.add("A.png", "a.png", "Other.png")
    summary, rows = place.run()
    assert (summary.done, summary.failed) == (2, 1)
    assert [name for name, (status, _) in rows.items() if status == "failed"] == ["a.png"]
    assert sorted(place.files()) == [
        *("labels/A.png.tif", "labels/Other.tif", "overlay/A.png.jpg", "overlay/Other.jpg"),
    ]


def test_the_probe_is_removed_by_later_runs_if_it_is_killed(tmp_path, monkeypatch):
    from xray_seg._util.files import sweep

    monkeypatch.setattr(module.Path, "unlink", lambda path, missing_ok=False: None)
    name_folding(tmp_path)
    monkeypatch.undo()
    assert sweep(tmp_path, ()) == 2
