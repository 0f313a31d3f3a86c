"""A whole training run by the library: cases, stages, result and resuming."""

from dataclasses import replace

import pytest

from helpers.tiny import TINY_CONFIG, tiny_network, write_cases
from xray_seg.data.splits import fold_cases, split_cases
from xray_seg.errors import TrainingError
from xray_seg.models.model_folder import load_model
from xray_seg.training import run
from xray_seg.training.config import TRAINING_CONFIGS
from xray_seg.training.hosts import Hosts
from xray_seg.training.run import TrainingResult, train
from xray_seg.training.run_record import read_history, read_record

CONFIG = replace(TINY_CONFIG, epochs=2, validation_share=0.34, test_share=0.17)


@pytest.fixture(scope="module", autouse=True)
def registered_network():
    with tiny_network():
        yield


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    folder = tmp_path_factory.mktemp("data")
    write_cases(folder, 6)
    return folder


@pytest.fixture(scope="module")
def trained(folder, tmp_path_factory):
    """A run of two epochs: (result, states reported)."""
    states, out = [], tmp_path_factory.mktemp("runs") / "own"
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("CUDA_VISIBLE_DEVICES", "-1")
        result = train(
            folder / "images", folder / "scr", out, config=CONFIG, on_progress=states.append
        )
    return result, states


@pytest.fixture
def fitted(monkeypatch):
    """Replace training and publication; keep what they are called with."""
    calls = {}

    def record(name):
        return lambda *args, **options: calls.update({name: (args, options)})

    for name in ("fit", "fit_on_devices", "publish"):
        monkeypatch.setattr(run, name, record(name))
    monkeypatch.setattr(run, "read_record", lambda folder: {"recipe": {"precision": "float32"}})
    return calls


def test_the_result_describes_the_published_run(trained, folder):
    result, _ = trained
    cases = write_cases(folder, 6)
    assert result.split == split_cases(cases, seed=0, validation=0.34, test=0.17)
    assert result.config == CONFIG
    assert result.seen_before == ()
    model = load_model(result.model)
    assert (model.name, model.size) == ("own", 16)
    assert model.card["validation"]["organs"] == result.metrics["organs"]
    scored = {case["name"] for case in result.metrics["cases"]}
    assert scored == {case.name for case in result.split.validation}
    assert (result.run / "table.md").is_file()


def test_progress_covers_start_epochs_and_scored_cases(trained):
    result, states = trained
    seen = [(state.stage, state.done, state.total) for state in states]
    assert seen == [
        # The start; of each epoch its only step, and its end.
        *(("training", done, 2) for done in (0, 1, 1, 2, 2)),
        *(("scoring", done, 2) for done in (0, 1, 2)),
    ]
    rows = [state.row for state in states if state.row]
    assert rows == read_history(result.run)
    assert all(state.split == result.split for state in states)


def test_a_run_is_not_overwritten_and_resumed_with_its_own_precision(trained, folder):
    result, _ = trained
    data = folder / "images", folder / "scr", result.run
    with pytest.raises(TrainingError, match="holds a run already"):
        train(*data, config=CONFIG)
    again = train(*data, config=replace(CONFIG, precision="auto"), resume=True)
    assert again.config.precision == read_record(result.run)["recipe"]["precision"] == "float32"
    assert again.metrics["organs"] == result.metrics["organs"]


def test_a_fold_replaces_the_shares(folder, tmp_path, fitted):
    train(folder / "images", folder / "scr", tmp_path, config=CONFIG, fold=(2, 3))
    (_, split, _), _ = fitted["fit"]
    assert split == fold_cases(write_cases(folder, 6), 2, 3, seed=0)


def test_the_studys_configuration_holds_out_test_cases(folder, tmp_path, fitted):
    config = replace(TRAINING_CONFIGS["paper"], seed=3)
    train(folder / "images", folder / "scr", tmp_path, config=config)
    (_, split, used), _ = fitted["fit"]
    assert split.seed == 3
    assert used.precision == "float32"


@pytest.mark.parametrize(
    ("options", "devices"),
    [({"devices": 2}, 2), ({"hosts": Hosts(1, 2, "a:1")}, 1)],
)
def test_devices_and_hosts_train_in_a_child_process(folder, tmp_path, fitted, options, devices):
    out = tmp_path / "shared"
    result = train(folder / "images", folder / "scr", out, config=CONFIG, name="pair", **options)
    assert fitted["fit_on_devices"][1]["devices"] == devices
    assert fitted["publish"][0][2] == "pair"
    assert isinstance(result, TrainingResult)
    assert "fit" not in fitted


def test_only_the_first_host_publishes_and_reports(folder, tmp_path, fitted):
    states = []
    result = train(
        folder / "images",
        folder / "scr",
        tmp_path,
        config=CONFIG,
        hosts=Hosts(2, 2, "a:1"),
        on_progress=states.append,
    )
    assert result is None
    assert states == []
    assert "publish" not in fitted


def test_a_second_training_in_the_same_folder_is_refused(trained, folder, tmp_path, monkeypatch):
    from xray_seg._util.folder_lock import lock_file

    out = trained[0].run
    before = read_history(out)
    with lock_file(out / run.LOCK_FILE) as is_held:
        assert is_held
        with pytest.raises(TrainingError, match="another training writes here"):
            train(folder / "images", folder / "scr", out, config=CONFIG, resume=True)
    assert read_history(out) == before
