"""Wrong usage and unwritable output folders: exit statuses and messages of `xrayseg`."""

import importlib
import io
import sys
from pathlib import Path

import imagecodecs
import numpy as np
import pytest

import xray_seg
from xray_seg.cli import COMMANDS, main
from xray_seg.data.phantom import make_phantom


@pytest.fixture(autouse=True)
def radiograph(tmp_path, monkeypatch):
    """Run each test in its own folder, with one radiograph in it."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("XRAYSEG_WEIGHTS", raising=False)
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "")
    pixels = (make_phantom(1, 64).radiograph * 255).astype(np.uint8)
    Path("radiograph.png").write_bytes(imagecodecs.png_encode(pixels))
    return Path("radiograph.png")


def _spelled(value):
    return value if isinstance(value, str) else " ".join(value)


@pytest.mark.parametrize("name", COMMANDS)
@pytest.mark.parametrize("option", ["--help", "-h"])
def test_every_command_has_help(xrayseg, name, option):
    status, out, err = xrayseg(name, option)
    assert (status, err) == (0, "")
    usage, _, first = out.splitlines()[:3]
    assert usage.startswith(f"Usage: xrayseg {name} ")
    assert first.strip()
    assert "--help" in out


def test_help_names_every_command(xrayseg):
    _, out, _ = xrayseg("--help")
    listed = out.split("Commands:\n")[1].splitlines()
    assert [line.split()[0] for line in listed] == list(COMMANDS)
    assert {"batch", "train", "evaluate", "phantom", "info"} <= COMMANDS.keys()
    assert "Not a medical device" in out


def test_the_options_of_batch_are_those_that_programs_rely_on():
    command = importlib.import_module("xray_seg.cli.batch").command
    options = {name for option in command.params for name in (*option.opts, *option.secondary_opts)}
    assert options >= {
        *("--out", "-o", "--quiet", "-q", "--verbose", "-v", "--json", "--overwrite", "--shard"),
        *("--weights", "--engine", "--precision", "--device", "--batch-size", "--workers"),
        *("--save", "--format", "--raw-shape", "--spacing"),
        *("--invert", "--no-invert", "--auto-invert"),
    }


@pytest.mark.parametrize("option", ["--version", "-V"])
def test_the_version_is_the_packages(xrayseg, option):
    status, out, _ = xrayseg(option)
    assert status == 0
    assert out.split()[-1] == xray_seg.__version__


@pytest.mark.parametrize(
    ("args", "hint"),
    [
        ([], "Usage: xrayseg"),
        (["bath"], "bath"),
        (["batch"], "Usage: xrayseg batch"),
        (["batch", "radiograph.png"], "--out"),
        (["batch", "-o", "masks"], "INPUT"),
        (["batch", "radiograph.png", "-o", "masks", "--sve", "labels"], "--sve"),
        (["batch", "radiograph.png", "-o", "masks", "--save", "labels,svg"], "organs, overlay"),
        (["batch", "radiograph.png", "-o", "masks", "--save", ","], "organs, overlay"),
        (["batch", "radiograph.png", "-o", "masks", "--format", "jpg"], "tiff"),
        (["batch", "radiograph.png", "-o", "masks", "--engine", "onnx"], "litert"),
        (["batch", "radiograph.png", "-o", "masks", "--precision", "int4"], "int8"),
        (["batch", "radiograph.png", "-o", "masks", "--batch-size", "0"], "--batch-size"),
        (["batch", "radiograph.png", "-o", "masks", "--workers", "many"], "--workers"),
        (["batch", "radiograph.png", "-o", "masks", "--spacing", "0"], "--spacing"),
        (["batch", "radiograph.png", "-o", "masks", "--spacing", "-1"], "--spacing"),
        (["batch", "radiograph.png", "-o", "masks", "--raw-shape", "2048"], "2048x2048"),
        (["batch", "radiograph.png", "-o", "masks", "--raw-shape", "0x5"], "2048x2048"),
        (["batch", "radiograph.png", "-o", "masks", "--raw-shape", "²x5"], "²"),
        (["batch", "radiograph.png", "-o", "masks", "--raw-dtype", "f4"], ">u2"),
        (["batch", "radiograph.png", "-o", "masks", "--shard", "3/2"], "I/N"),
        (["batch", "radiograph.png", "-o", "masks", "--shard", "0/2"], "I/N"),
        (["batch", "radiograph.png", "-o", "masks", "--shard", "2"], "I/N"),
        (["batch", "radiograph.png", "-o", "masks", "--invert", "--auto-invert"], "--auto-invert"),
        (["phantom"], "--out"),
        (["phantom", "-o", "sample", "--count", "0"], "--count"),
        (["info", "--yaml"], "--yaml"),
    ],
    ids=_spelled,
)
def test_wrong_usage_is_status_2_with_a_helpful_line(xrayseg, args, hint):
    status, out, err = xrayseg(*args)
    assert (status, out) == (2, "")
    assert hint in err
    assert "Usage: xrayseg" in err
    assert "Traceback" not in err
    assert [path.name for path in Path().iterdir()] == ["radiograph.png"]


def test_an_empty_list_on_standard_input_is_wrong_usage(xrayseg, monkeypatch):
    monkeypatch.setattr(sys, "stdin", io.StringIO("\n  \n"))
    status, _, err = xrayseg("batch", "-", "-o", "masks")
    assert status == 2
    assert "standard input names no files" in err


_NO_WEIGHTS = ["--weights", "nowhere"]


@pytest.mark.parametrize(
    ("options", "hint"),
    [
        (_NO_WEIGHTS, "nowhere"),
        (["--engine", "litert", "--precision", "float16"], "saved-model"),
        (["--engine", "litert", "--device", "gpu"], "gpu"),
    ],
    ids=_spelled,
)
def test_unavailable_weights_engines_and_devices_are_one_helpful_line(xrayseg, options, hint):
    status, out, err = xrayseg("batch", "radiograph.png", "-o", "masks", *options)
    assert status != 0
    assert out == ""
    assert hint in err
    assert len(err.splitlines()) == 1
    assert not Path("masks").exists()


@pytest.mark.parametrize(
    "options",
    [
        ["--device", "tpu"],
        ["--device", "gpu:x"],
        ["--engine", "litert", "--precision", "float16"],
        ["--engine", "saved-model", "--precision", "int8", "--device", "cpu"],
        _NO_WEIGHTS,
    ],
    ids=_spelled,
)
def test_unknown_or_contradictory_engine_options_are_wrong_usage(xrayseg, options):
    assert xrayseg("batch", "radiograph.png", "-o", "masks", *options)[0] == 2


@pytest.mark.parametrize("value", ["nan", "inf", "1e308", "0", "-1", "0.0009", "50.1", "x"])
@pytest.mark.parametrize(
    "command",
    [
        ("batch", "radiograph.png", "-o", "masks"),
        ("measure", "radiograph.png"),
        ("train", "--images", ".", "--masks", ".", "-o", "run"),
        ("evaluate", "--images", ".", "--masks", "."),
    ],
    ids=lambda command: command[0],
)
def test_a_spacing_is_one_that_a_radiograph_can_have(xrayseg, command, value):
    status, out, err = xrayseg(*command, "--spacing", value)
    assert (status, out) == (2, "")
    assert "Invalid value for '--spacing'" in err
    assert "Traceback" not in err


@pytest.mark.parametrize("value", ["0.001", "50"])
def test_the_least_and_the_most_spacing_are_accepted(xrayseg, value):
    assert "--spacing" not in xrayseg("measure", "nothing.png", "--spacing", value)[2]


def test_the_weights_of_the_environment_are_used(xrayseg, monkeypatch):
    monkeypatch.setenv("XRAYSEG_WEIGHTS", "from/the/environment")
    status, _, err = xrayseg("batch", "radiograph.png", "-o", "masks")
    assert status != 0
    assert "from/the/environment" in err


@pytest.mark.parametrize("out", ["radiograph.png", "radiograph.png/below"])
def test_an_output_folder_that_cannot_be_created_is_one_helpful_line(xrayseg, out):
    status, _, err = xrayseg("batch", "radiograph.png", "-o", out)
    assert status == 1
    assert err.startswith(f"xrayseg: {out}: cannot be written")
    assert len(err.splitlines()) == 1


def test_a_radiograph_whose_masks_cannot_be_written_is_named_on_standard_error(xrayseg):
    Path("masks").mkdir()
    Path("masks/labels").write_text("in the way")
    status, _, err = xrayseg("batch", "radiograph.png", "-o", "masks")
    assert status == 1
    assert "radiograph.png" in err


def test_the_last_line_names_the_output_folder_without_markup(xrayseg):
    status, out, _ = xrayseg("batch", "radiograph.png", "-o", "masks [new]")
    assert status == 0
    assert "masks [new]" in out


def test_the_last_line_is_not_wrapped(xrayseg):
    folder = "masks of all the radiographs of ward four in a folder with a long name " * 3
    _, out, _ = xrayseg("batch", "radiograph.png", "-o", folder.strip())
    assert any(f"{folder.strip()}/results.csv" in line for line in out.splitlines())


def test_a_list_separated_by_nulls_ends_without_a_traceback(xrayseg, monkeypatch):
    monkeypatch.setattr(sys, "stdin", io.StringIO("radiograph.png\0other.png\0"))
    status, _, err = xrayseg("batch", "-", "-o", "masks")
    assert status in (1, 2)
    assert "radiograph.png" in err


def test_phantoms_have_the_layout_of_jsrt_and_scr(xrayseg):
    status, out, _ = xrayseg("phantom", "--out", "sample", "--count", "2", "--seed", "3")
    assert status == 0
    assert "sample/images" in out
    radiographs = sorted(Path("sample/images").iterdir())
    assert [radiograph.name for radiograph in radiographs] == ["PHANTOM001.IMG", "PHANTOM002.IMG"]
    assert {radiograph.stat().st_size for radiograph in radiographs} == {2048 * 2048 * 2}
    values = np.fromfile(radiographs[0], ">u2")
    assert 0 < values.min() < values.max() <= 4095
    for fold, name in ((1, "PHANTOM001"), (2, "PHANTOM002")):
        masks = sorted(Path(f"sample/scr/fold{fold}/masks").rglob("*.gif"))
        parts = ["heart", "left clavicle", "left lung", "right clavicle", "right lung"]
        assert [(mask.parent.name, mask.stem) for mask in masks] == [(part, name) for part in parts]


def test_progress_does_not_count_a_failed_input_as_done(tmp_path, capsys):
    with pytest.raises(SystemExit) as stop:
        main(["batch", str(tmp_path / "missing.png"), "--out", str(tmp_path / "out")])
    assert stop.value.code == 1
    shown = capsys.readouterr().err
    assert "0/1 done, 1 failed" in shown
    assert "1/1" not in shown
