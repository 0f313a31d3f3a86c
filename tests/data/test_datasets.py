"""Data sets in TOML files: settings, paths, splits and mistakes."""

from pathlib import Path

import pytest

from helpers.tiny import write_cases, write_png
from xray_seg.data.datasets import read_datasets, split_datasets
from xray_seg.errors import DatasetError

TWO = """
[[datasets]]
name = "a"
images = "a/images"
masks = "a/scr"

[[datasets]]
name = "b"
images = "b/images"
polarity = "inverted"
repeat = 0.5
"""


def write(folder, text):
    (folder / "sets.toml").write_text(text)
    return folder / "sets.toml"


@pytest.fixture
def folder(tmp_path):
    write_cases(tmp_path / "a", 4)
    for path in sorted((tmp_path / "a/images").iterdir()):
        (tmp_path / "b/images").mkdir(parents=True, exist_ok=True)
        (tmp_path / "b/images" / f"other-{path.name}").write_bytes(path.read_bytes())
    return tmp_path


def test_paths_start_at_the_files_folder_or_at_a_root(tmp_path):
    file = write(tmp_path, TWO)
    assert read_datasets(file)[0].images == tmp_path / "a/images"
    assert read_datasets(file, root="/data")[0].masks == Path("/data/a/scr")


def test_cases_carry_the_settings_of_their_data_set(folder):
    split = split_datasets(read_datasets(write(folder, TWO)), seed=0)
    assert len(split.validation) == 1
    assert split.validation[0].dataset == "a"
    others = [case for case in split.train if case.dataset == "b"]
    assert len(others) == 4  # without masks none is held out
    assert {(case.inverted, case.repeat, case.annotation.organs) for case in others} == {
        (True, 0.5, ())
    }
    assert {case.repeat for case in split.train if case.dataset == "a"} == {1.0}


def test_each_data_set_is_split_by_its_own_share(folder):
    text = TWO + 'masks = "a/scr"\norgans = ["lungs"]\nvalidation = 0.5\n'
    for path in sorted((folder / "a/scr").rglob("*.gif")):
        path.with_name(f"other-{path.name}").write_bytes(path.read_bytes())
    split = split_datasets(read_datasets(write(folder, text)), seed=0)
    held_out = [case.dataset for case in split.validation]
    assert (held_out.count("a"), held_out.count("b")) == (1, 2)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "lists no data sets"),
        ("datasets = 3", "lists no data sets"),
        ("[[datasets]]\nname = 'a'", "'a': images is missing"),
        (TWO.replace('"b"', '"a"'), "two data sets have the name 'a'"),
        (TWO + "colour = 3", "'b': unknown setting 'colour'"),
        (TWO + "organs = ['spine']", "'b': no organ 'spine'"),
        (TWO + "organs = ['lungs']", "'b': organs needs masks"),
        (TWO + "masks = 'm'\norgans = []", "'b': organs is empty"),
        (TWO + "organs = 'lungs'", "'b': organs must be list"),
        (TWO + "lungs-include = ['lungs']", "'b': lungs-include lists other organs"),
        (TWO.replace("0.5", "0"), "'b': repeat must be above 0"),
        (TWO.replace("0.5", "true"), "'b': repeat must be int or float"),
        (TWO.replace("inverted", "upside"), "'b': polarity must be auto, normal, inverted"),
        (TWO + "validation = 0.7\ntest = 0.3", "'b': validation and test"),
        (TWO + "masks = 'm'\nvalidation = 0\ntest = 0.3", "'b': test needs validation cases"),
        ("[[datasets", "cannot be read"),
    ],
)
def test_mistakes_are_named_with_file_and_data_set(tmp_path, text, message):
    with pytest.raises(DatasetError, match=message) as caught:
        read_datasets(write(tmp_path, text))
    assert "sets.toml" in str(caught.value)


def test_a_missing_file_is_reported(tmp_path):
    with pytest.raises(DatasetError, match="no-such"):
        read_datasets(tmp_path / "no-such.toml")


def test_cases_of_the_same_name_are_refused(folder):
    write_png(folder / "b/images/SMALL001.png", __import__("numpy").zeros((8, 8), "u1"))
    with pytest.raises(DatasetError, match=r"SMALL001\.png share a name"):
        split_datasets(read_datasets(write(folder, TWO)), seed=0)


def test_some_case_must_be_held_out(folder):
    with pytest.raises(DatasetError, match="no case is held out"):
        split_datasets(read_datasets(write(folder, TWO))[1:], seed=0)


def test_a_data_set_that_is_too_small_is_named(tmp_path):
    write_cases(tmp_path / "a", 1)
    (dataset, _) = read_datasets(write(tmp_path, TWO))
    with pytest.raises(DatasetError, match=r"data set .a.: 1 cases are too few.*validation = 0"):
        dataset.split(seed=0)
