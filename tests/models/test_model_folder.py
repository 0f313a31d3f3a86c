"""Model folders: selection by name, folder or environment, and verification of their files."""

import hashlib
import json
import shutil

import numpy as np
import pytest

from xray_seg.errors import WeightsError
from xray_seg.models.model_folder import (
    CARD_FILE,
    DEFAULT_WEIGHTS,
    WEIGHTS_VARIABLE,
    load_model,
    read_variables,
    shipped_models,
    write_card,
)

LABELS = {"background": 0, "clavicles": 1, "heart": 2, "lungs": 3}


@pytest.fixture(autouse=True)
def nothing_in_the_environment(monkeypatch):
    monkeypatch.delenv(WEIGHTS_VARIABLE, raising=False)


@pytest.fixture
def folder(tmp_path):
    """A model folder with two small files, one in a subfolder."""
    folder = tmp_path / "model"
    (folder / "saved_model").mkdir(parents=True)
    (folder / "one.bin").write_bytes(b"one")
    (folder / "saved_model" / "two.bin").write_bytes(b"two")
    write_card(folder, {"name": "own", "size": 64, "licence": "frei für alle"})
    return folder


def change_card(folder, **changes):
    path = folder / CARD_FILE
    path.write_text(json.dumps({**json.loads(path.read_text("utf-8")), **changes}))


def test_shipped_weights_are_complete_and_state_labels_and_licence():
    assert DEFAULT_WEIGHTS in shipped_models()
    for name in shipped_models():
        model = load_model(name)
        assert model.name == name
        assert model.size % 16 == 0
        assert model.card["labels"] == LABELS
        assert "research and education" in model.card["licence"]
        assert "JSRT" in model.card["licence"]


def test_the_shipped_weights_at_128_have_973320_parameters():
    variables = read_variables(load_model("inverted-net-128"))
    assert sum(value.size for value in variables) == 973_320
    assert all(np.isfinite(value).all() for value in variables)


def test_without_a_name_the_default_is_loaded():
    assert load_model().name == DEFAULT_WEIGHTS
    assert load_model("").name == DEFAULT_WEIGHTS


def test_the_environment_selects_weights_and_an_argument_overrides_it(folder, monkeypatch):
    monkeypatch.setenv(WEIGHTS_VARIABLE, str(folder))
    assert WEIGHTS_VARIABLE == "XRAYSEG_WEIGHTS"
    assert load_model().name == "own"
    assert load_model(DEFAULT_WEIGHTS).name == DEFAULT_WEIGHTS
    monkeypatch.setenv(WEIGHTS_VARIABLE, "")
    assert load_model().name == DEFAULT_WEIGHTS


def test_an_unknown_name_is_reported_with_the_known_ones(tmp_path, monkeypatch):
    with pytest.raises(WeightsError, match=f"nonsense: neither .*{DEFAULT_WEIGHTS}"):
        load_model("nonsense")
    with pytest.raises(WeightsError, match=r"model folder with a card\.json"):
        load_model(tmp_path)
    monkeypatch.setenv(WEIGHTS_VARIABLE, "elsewhere")
    with pytest.raises(WeightsError, match="elsewhere"):
        load_model()


def test_a_card_lists_the_sha256_of_every_other_file(folder):
    card = load_model(folder).card
    assert card["files"] == {
        "one.bin": hashlib.sha256(b"one").hexdigest(),
        "saved_model/two.bin": hashlib.sha256(b"two").hexdigest(),
    }
    assert card["licence"] == "frei für alle"
    assert card["labels"] == LABELS
    assert load_model(str(folder)).size == 64


@pytest.mark.parametrize("file", ["one.bin", "saved_model/two.bin"])
def test_an_altered_file_is_refused_by_name(folder, file):
    (folder / file).write_bytes(b"tw0")
    with pytest.raises(WeightsError, match=f"{file}: altered.*restore"):
        load_model(folder)


@pytest.mark.parametrize("file", ["one.bin", "saved_model/two.bin"])
def test_a_missing_file_is_refused_by_name(folder, file):
    (folder / file).unlink()
    with pytest.raises(WeightsError, match=f"{file}: missing"):
        load_model(folder)


def test_an_added_file_is_refused_by_name(folder):
    (folder / "saved_model" / "three.bin").write_bytes(b"")
    with pytest.raises(WeightsError, match=r"three\.bin: not listed"):
        load_model(folder)


def test_cached_bytecode_is_ignored(folder):
    (folder / "__pycache__").mkdir()
    (folder / "__pycache__" / "x.pyc").write_bytes(b"x")
    assert load_model(folder).name == "own"


def test_a_flipped_bit_of_shipped_weights_is_refused(tmp_path):
    copy = tmp_path / "copy"
    shutil.copytree(load_model().folder, copy, ignore=shutil.ignore_patterns("__pycache__"))
    assert load_model(copy).sha256 == load_model().sha256
    largest = max(
        (path for path in copy.rglob("*") if path.is_file()), key=lambda p: p.stat().st_size
    )
    with largest.open("rb+") as file:
        file.seek(largest.stat().st_size // 2)
        byte = file.read(1)[0]
        file.seek(-1, 1)
        file.write(bytes([byte ^ 1]))
    with pytest.raises(WeightsError, match=f"{largest.name}: altered"):
        load_model(copy)


def test_the_digest_depends_on_all_files_and_on_nothing_else(folder):
    before = load_model(folder).sha256
    change_card(folder, licence="another")
    moved = folder.rename(folder.with_name("moved"))
    assert load_model(moved).sha256 == before
    (moved / "one.bin").write_bytes(b"other")
    write_card(moved, {"name": "own", "size": 64})
    assert load_model(moved).sha256 != before


@pytest.mark.parametrize("missing", ["files", "size", "labels", "name"])
def test_a_card_without_a_required_entry_is_refused(folder, missing):
    path = folder / CARD_FILE
    card = json.loads(path.read_text("utf-8"))
    del card[missing]
    path.write_text(json.dumps(card))
    with pytest.raises(WeightsError, match=f"is not a model card .*{missing}"):
        load_model(folder)


@pytest.mark.parametrize("text", ["", "not json", "[]", "7", "\udcff"])
def test_an_invalid_card_is_refused(folder, text):
    (folder / CARD_FILE).write_bytes(text.encode("utf-8", "surrogateescape"))
    with pytest.raises(WeightsError, match=r"card\.json: is not a model card"):
        load_model(folder)


@pytest.mark.parametrize("size", ["large", None, 0, -8])
def test_a_card_with_an_invalid_grid_size_is_refused(folder, size):
    change_card(folder, size=size)
    with pytest.raises(WeightsError, match="is not a model card"):
        load_model(folder)


@pytest.mark.parametrize("files", [None, ["one.bin"]])
def test_a_card_with_an_invalid_list_of_files_is_refused(folder, files):
    change_card(folder, files=files)
    with pytest.raises(WeightsError, match="is not a model card"):
        load_model(folder)


@pytest.mark.parametrize(
    "changes",
    [
        {"name": ["a", "list"]},
        {"name": 7},
        {"size": 1e400},
        {"size": True},
        {"size": 10**9},
        {"files": {"one.bin": 7}},
        {"labels": []},
        {"network": ["inverted-net"]},
        {"split": []},
        {"split": {"train": 7}},
        {"split": {"test": [["case"]]}},
        {"trained_before": "case"},
        {"trained_before": [None]},
    ],
    ids=str,
)
def test_a_card_with_an_entry_of_another_type_is_refused(folder, changes):
    change_card(folder, **changes)
    with pytest.raises(WeightsError, match=r"card\.json: is not a model card \("):
        load_model(folder)


def test_a_deeply_nested_card_is_refused(folder):
    (folder / CARD_FILE).write_text('{"name":' * 10**5)
    with pytest.raises(WeightsError, match="nested too deeply"):
        load_model(folder)


def test_variables_that_cannot_be_read_are_refused(folder):
    variables = folder / "saved_model" / "variables"
    variables.mkdir(parents=True)
    for name in ("variables.index", "variables.data-00000-of-00001"):
        (variables / name).write_bytes(b"no variables")
    write_card(folder, {"name": "own", "size": 64})
    with pytest.raises(WeightsError, match="cannot be read as variables"):
        read_variables(load_model(folder))


def test_weights_of_other_labels_are_refused(folder):
    change_card(folder, labels={**LABELS, "spine": 4})
    with pytest.raises(WeightsError, match="is for labels"):
        load_model(folder)


def test_a_path_selects_a_folder_with_the_name_of_shipped_weights(folder, monkeypatch):
    place = folder.parent / DEFAULT_WEIGHTS
    folder.rename(place)
    monkeypatch.chdir(place.parent)
    assert load_model(f"./{DEFAULT_WEIGHTS}").name == "own"
    assert load_model(DEFAULT_WEIGHTS).name == DEFAULT_WEIGHTS
