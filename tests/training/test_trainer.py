"""Training runs of a tiny network: their files, resuming, finishing and initial weights."""

import csv
import json
import shutil
from dataclasses import replace

import numpy as np
import pytest

from helpers.tiny import TINY_CONFIG, tiny_network, write_cases
from xray_seg._util import tensorflow
from xray_seg.data.arrays import load_arrays
from xray_seg.data.cases import fingerprint
from xray_seg.data.splits import split_cases
from xray_seg.errors import TrainingError, WeightsError
from xray_seg.models.losses import soft_dice_cross_entropy
from xray_seg.models.model_folder import load_model
from xray_seg.models.network import weights_of
from xray_seg.serving.export import export
from xray_seg.training import checkpoints, trainer
from xray_seg.training.build import build_model
from xray_seg.training.checkpoints import save_epoch
from xray_seg.training.config import TRAINING_CONFIGS
from xray_seg.training.loader import OVERSAMPLING, validation_batch
from xray_seg.training.precision import choose_policy
from xray_seg.training.run_record import (
    BEST_FILE,
    WEIGHTS_FILE,
    best_epoch,
    read_history,
    read_record,
    start_run,
)
from xray_seg.training.trainer import fit, make_record

TIMES = {"seconds", "images_per_s", "waited"}
SCORES = {"loss", "accuracy", "jaccard_clavicles", "jaccard_heart", "jaccard_lungs"}


@pytest.fixture(scope="module", autouse=True)
def known_network():
    with tiny_network():
        yield


@pytest.fixture(scope="module")
def split(tmp_path_factory):
    """Four cases to train on, two to validate on: two steps an epoch."""
    return split_cases(write_cases(tmp_path_factory.mktemp("cases"), 6), validation=0.34)


@pytest.fixture(scope="module")
def whole(split, tmp_path_factory):
    """A run of three epochs: (folder, model, rows reported)."""
    folder, rows = tmp_path_factory.mktemp("runs") / "new" / "whole", []
    return folder, fit(folder, split, TINY_CONFIG, on_epoch=rows.append), rows


@pytest.fixture(scope="module")
def stopped(split, tmp_path_factory):
    """The same run, stopped by NaN images in its second epoch: (folder, message)."""
    folder = tmp_path_factory.mktemp("runs") / "stopped"

    def poisoned(real, phantoms, config, epoch, *, hosts):
        for step, (images, targets) in enumerate(
            epochs(real, phantoms, config, epoch, hosts=hosts)
        ):
            yield images * (np.nan if (epoch, step) == (1, 1) else 1), targets

    epochs = trainer.epoch_batches
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(trainer, "epoch_batches", poisoned)
        with pytest.raises(TrainingError) as error:
            fit(folder, split, TINY_CONFIG)
    return folder, str(error.value)


@pytest.fixture(scope="module")
def exported(whole, tmp_path_factory):
    """The model folder of the whole run."""
    return export(whole[1], tmp_path_factory.mktemp("models") / "tiny", "tiny", {})


def equal(weights, others):
    return all(np.array_equal(*pair) for pair in zip(weights, others, strict=True))


def without_times(rows):
    return [{key: value for key, value in row.items() if key not in TIMES} for row in rows]


def contents(folder):
    return {path: path.read_bytes() for path in folder.rglob("*") if path.is_file()}


def validation_scores(model, split):
    """Scores of a model on the validation cases, computed with numpy."""
    cases = load_arrays(split.validation, TINY_CONFIG.size * OVERSAMPLING)
    images, truth = validation_batch(cases)
    found = np.asarray(model(images, training=False))
    own, true = found.argmax(axis=-1), truth.argmax(axis=-1)
    scores = {"accuracy": (own == true).mean()}
    scores["loss"] = soft_dice_cross_entropy(truth, found, np)
    for label, name in ((1, "clavicles"), (2, "heart"), (3, "lungs")):
        union = ((own == label) | (true == label)).sum()
        scores[f"jaccard_{name}"] = ((own == label) & (true == label)).sum() / max(union, 1)
    return scores


def test_history_has_a_row_per_epoch_with_scores_and_times(whole):
    folder, _, reported = whole
    rows = read_history(folder)
    assert rows == reported
    assert [row["epoch"] for row in rows] == [1, 2, 3]
    for row in rows:
        assert set(row) == {"epoch", *TIMES, *SCORES, *(f"val_{name}" for name in SCORES)}
        assert np.isfinite(list(row.values())).all()
        assert row["images_per_s"] * row["seconds"] == pytest.approx(4)
        assert 0 <= row["waited"] <= 1


def test_the_last_rows_scores_are_those_of_the_model_that_is_returned(whole, split):
    _, model, rows = whole
    for name, value in validation_scores(model, split).items():
        assert rows[-1][f"val_{name}"] == pytest.approx(value, rel=1e-3, abs=1e-5), name


def test_the_network_learns(whole):
    _, _, rows = whole
    assert rows[-1]["loss"] < 0.9 * rows[0]["loss"]


def test_the_record_holds_settings_split_and_data(whole, split):
    record = read_record(whole[0])
    assert record["recipe"]["network"] == "tiny"
    assert record["recipe"]["learning_rate"] == TINY_CONFIG.learning_rate
    assert record["split"]["train"] == [case.name for case in split.train]
    assert record["split"]["validation"] == [case.name for case in split.validation]
    assert record["data_sha256"] == fingerprint((*split.train, *split.validation))
    assert record["init_sha256"] is None


def test_the_weights_on_disk_are_those_of_the_model_that_is_returned(whole):
    folder, model, _ = whole
    kept = tensorflow.keras().saving.load_model(folder / "weights.keras", compile=False)
    assert equal(kept.get_weights(), model.get_weights())
    assert not [path for path in folder.rglob("*") if path.name.startswith(".")]


def test_a_nan_loss_ends_the_run_and_keeps_the_last_whole_epoch(stopped, whole):
    folder, message = stopped
    assert message.startswith("epoch 2: the loss is no longer a number")
    assert not (folder / "weights.keras").exists()
    kept = tensorflow.keras().saving.load_model(folder / "checkpoint.keras", compile=False)
    assert all(np.isfinite(weights).all() for weights in kept.get_weights())
    rows = without_times(read_history(folder))
    assert rows == [pytest.approx(without_times(whole[2])[0], rel=1e-4)]


def test_a_stopped_and_resumed_run_equals_an_uninterrupted_one(stopped, whole, split, tmp_path):
    folder = tmp_path / "resumed"
    shutil.copytree(stopped[0], folder)
    with (folder / "history.csv").open("a", newline="") as file:
        # As if it had been killed between this row and its checkpoint.
        csv.writer(file).writerow([2.0] + [0.5] * (len(whole[2][0]) - 1))
    rows = []
    model = fit(folder, split, TINY_CONFIG, on_epoch=rows.append, resume=True)
    assert [row["epoch"] for row in rows] == [2, 3]
    for one, other in zip(
        without_times(read_history(folder)), without_times(whole[2]), strict=True
    ):
        assert one == pytest.approx(other, rel=1e-4, abs=1e-6)
    for one, other in zip(model.get_weights(), whole[1].get_weights(), strict=True):
        np.testing.assert_allclose(one, other, rtol=1e-4, atol=1e-5)


def test_a_run_stopped_twice_equals_an_uninterrupted_one(whole, split, tmp_path, monkeypatch):
    """Once while an epoch is reported, once between its row and its complete checkpoint."""

    def stop(row):
        raise KeyboardInterrupt

    def save_half(model, path):
        path.write_bytes(b"half a checkpoint")
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        fit(tmp_path, split, TINY_CONFIG, on_epoch=stop)
    assert [row["epoch"] for row in read_history(tmp_path)] == [1]
    before = (tmp_path / "checkpoint.keras").read_bytes()
    with monkeypatch.context() as patch:
        patch.setattr(tensorflow.keras().Model, "save", save_half)
        with pytest.raises(KeyboardInterrupt):
            fit(tmp_path, split, TINY_CONFIG, resume=True)
    assert [row["epoch"] for row in read_history(tmp_path)] == [1, 2]
    assert (tmp_path / "checkpoint.keras").read_bytes() == before
    assert not [path for path in tmp_path.rglob("*") if path.name.startswith(".")]
    rows = []
    model = fit(tmp_path, split, TINY_CONFIG, on_epoch=rows.append, resume=True)
    assert [row["epoch"] for row in rows] == [2, 3]
    pairs = zip(without_times(read_history(tmp_path)), without_times(whole[2]), strict=True)
    for one, other in pairs:
        assert one == pytest.approx(other, rel=1e-4, abs=1e-6)
    for one, other in zip(model.get_weights(), whole[1].get_weights(), strict=True):
        np.testing.assert_allclose(one, other, rtol=1e-4, atol=1e-5)


def test_a_finished_run_that_is_resumed_stays_as_it_is(whole, split, tmp_path):
    folder, model, rows = tmp_path / "again", whole[1], whole[2]
    shutil.copytree(whole[0], folder)
    again = fit(folder, split, TINY_CONFIG, resume=True)
    assert read_history(folder) == rows
    assert equal(again.get_weights(), model.get_weights())


def test_a_run_is_not_overwritten(whole, split):
    before = contents(whole[0])
    with pytest.raises(TrainingError, match="holds a run already; give --resume"):
        fit(whole[0], split, TINY_CONFIG)
    assert contents(whole[0]) == before


@pytest.mark.parametrize(
    "change", [{"learning_rate": 0.02}, {"seed": 1}, {"epochs": 9}, {"size": 32}]
)
def test_a_run_is_not_resumed_with_another_configuration(whole, split, change):
    before = contents(whole[0])
    (name,) = change
    before_it = f"{name} .{getattr(TINY_CONFIG, name)} before. differ from the run's"
    with pytest.raises(TrainingError, match=before_it):
        fit(whole[0], split, replace(TINY_CONFIG, **change), resume=True)
    assert contents(whole[0]) == before


def test_a_run_is_not_resumed_with_other_cases(whole, split):
    other = replace(split, train=split.train[:-1])
    with pytest.raises(TrainingError, match="split and data_sha256 differ"):
        fit(whole[0], other, TINY_CONFIG, resume=True)


def test_a_run_is_not_resumed_with_a_changed_image(whole, split, tmp_path):
    image = tmp_path / "image.png"
    image.write_bytes(split.train[0].image.read_bytes() + b"\0")
    other = replace(split, train=(replace(split.train[0], image=image), *split.train[1:]))
    with pytest.raises(TrainingError, match="cannot be resumed: data_sha256 differ"):
        fit(whole[0], other, TINY_CONFIG, resume=True)


def test_a_folder_without_a_checkpoint_starts_a_new_run(tmp_path):
    (tmp_path / "history.csv").write_text("epoch\n1\n")
    (tmp_path / "run.json").write_text("{}")
    assert start_run(tmp_path, {"recipe": {"size": 1}}, resume=True) is False
    assert read_history(tmp_path) == []
    assert read_record(tmp_path) == {"recipe": {"size": 1}}


@pytest.mark.parametrize("text", [None, "", "{", "7"])
def test_a_folder_without_a_record_is_an_error(tmp_path, text):
    if text is not None:
        (tmp_path / "run.json").write_text(text)
    with pytest.raises(TrainingError, match=r"run\.json: is not a run's record"):
        read_record(tmp_path)


def test_a_full_disk_is_an_error_and_keeps_the_epoch_before(whole, tmp_path, monkeypatch):
    def full(model, path):
        raise OSError(28, "No space left on device")

    shutil.copytree(whole[0], tmp_path / "run")
    checkpoint = (tmp_path / "run" / "checkpoint.keras").read_bytes()
    monkeypatch.setattr(checkpoints, "save_model", full)
    with pytest.raises(TrainingError, match=r"epoch 4 cannot be saved .*No space left.*--resume"):
        save_epoch(tmp_path / "run", whole[1], {**whole[2][0], "epoch": 4.0})
    assert (tmp_path / "run" / "checkpoint.keras").read_bytes() == checkpoint


def test_a_full_disk_at_the_end_is_an_error(whole, split, tmp_path, monkeypatch):
    def full(model, path):
        raise OSError(28, "No space left on device")

    shutil.copytree(whole[0], tmp_path / "run")
    checkpoint = (tmp_path / "run" / "checkpoint.keras").read_bytes()
    monkeypatch.setattr(tensorflow.keras().Model, "save", full)
    with pytest.raises(TrainingError, match="No space left"):
        fit(tmp_path / "run", split, TINY_CONFIG, resume=True)
    assert (tmp_path / "run" / "checkpoint.keras").read_bytes() == checkpoint


def test_a_run_folder_that_cannot_be_created_is_an_error(split, tmp_path):
    (tmp_path / "file").touch()
    with pytest.raises(TrainingError, match="file"):
        fit(tmp_path / "file" / "run", split, TINY_CONFIG)


def test_the_best_epoch_is_the_first_of_the_highest_accuracy():
    def rows(*accuracies):
        return [{"epoch": n, "val_accuracy": value} for n, value in enumerate(accuracies, 1)]

    assert best_epoch(rows(0.1, 0.7, 0.3, 0.7)) == 2
    assert best_epoch(rows(0.5)) == 1
    assert best_epoch([]) == 0


def test_patience_ends_a_run_and_returns_the_best_epochs_weights(split, tmp_path, monkeypatch):
    accuracies, seen = iter([0.1, 0.5, 0.3, 0.5, 0.9]), []

    def scripted(model, *arguments, **options):
        seen.append([weights.copy() for weights in model.get_weights()])
        return {"accuracy": next(accuracies)}

    monkeypatch.setattr(tensorflow.keras().Model, "evaluate", scripted)
    model = fit(tmp_path, split, replace(TINY_CONFIG, epochs=8, patience=2))
    assert [row["val_accuracy"] for row in read_history(tmp_path)] == [0.1, 0.5, 0.3, 0.5]
    assert equal(model.get_weights(), seen[1])
    assert not equal(seen[1], seen[3])


def test_a_run_is_finished_early_and_resumed_later(whole, stopped, split, tmp_path):
    folder = shutil.copytree(stopped[0], tmp_path / "run")
    early = fit(folder, split, TINY_CONFIG, finish=True)
    rows = read_history(folder)
    assert len(rows) == 1
    assert validation_scores(early, split)["loss"] == pytest.approx(rows[0]["val_loss"], rel=1e-4)
    kept = tensorflow.keras().saving.load_model(folder / WEIGHTS_FILE, compile=False)
    assert equal(kept.get_weights(), early.get_weights())
    later = fit(folder, split, TINY_CONFIG, resume=True)
    assert equal(later.get_weights(), whole[1].get_weights())


def test_a_run_finished_early_returns_the_best_epoch(split, tmp_path, monkeypatch):
    config = replace(TINY_CONFIG, epochs=3, patience=9)
    accuracies = iter([0.5, 0.3, 0.1])

    def scripted(model, *arguments, **options):
        return {"accuracy": next(accuracies)}

    def stop_after_two(row):
        if row["epoch"] == 2:
            raise KeyboardInterrupt

    monkeypatch.setattr(tensorflow.keras().Model, "evaluate", scripted)
    with pytest.raises(KeyboardInterrupt):
        fit(tmp_path, split, config, on_epoch=stop_after_two)
    best = tensorflow.keras().saving.load_model(tmp_path / BEST_FILE, compile=False)
    assert equal(fit(tmp_path, split, config, finish=True).get_weights(), best.get_weights())


def test_a_run_without_an_epoch_cannot_be_finished(split, tmp_path):
    with pytest.raises(TrainingError, match="no whole epoch"):
        fit(tmp_path, split, TINY_CONFIG, finish=True)
    assert not list(tmp_path.iterdir())


def test_a_run_starts_from_the_weights_given(whole, exported, split):
    config = replace(TINY_CONFIG, init=str(exported), seed=8)
    started, fresh = build_model(config, 2), build_model(replace(config, init=None), 2)
    expected = whole[2][-1]["val_loss"]
    assert validation_scores(started, split)["loss"] == pytest.approx(expected, rel=1e-4)
    kept = [
        np.array_equal(one, other)
        for one, other in zip(started.weights, whole[1].weights, strict=True)
        if "seed" not in one.path
    ]
    assert all(kept)
    assert not equal(fresh.get_weights(), started.get_weights())
    assert make_record(split, config)["init_sha256"] == load_model(exported).sha256


@pytest.mark.parametrize("dropout", [0.0, 0.3])
def test_a_run_with_other_dropout_starts_from_the_same_weights_and_drops_as_asked(
    exported, dropout
):
    config = replace(TINY_CONFIG, init=str(exported), dropout=dropout)
    changed, before = build_model(config, 2), build_model(replace(config, dropout=None), 2)
    for one, other in zip(weights_of(changed), weights_of(before), strict=True):
        np.testing.assert_array_equal(one, other)
    rates = {layer.rate for layer in changed.layers if hasattr(layer, "rate")}
    assert rates == {dropout}


def test_initial_weights_of_another_network_and_missing_ones_are_refused(exported):
    with pytest.raises(WeightsError, match="variables do not fit inverted-net"):
        build_model(replace(TINY_CONFIG, network="inverted-net", init=str(exported)), 2)
    with pytest.raises(WeightsError, match="nowhere"):
        build_model(replace(TINY_CONFIG, init="nowhere"), 2)


def test_the_learning_rate_rises_to_its_peak_and_falls_to_zero():
    """Two epochs of 5 steps up, eight down along half a cosine."""
    config = replace(TINY_CONFIG, epochs=10, warmup_epochs=2.0, learning_rate=0.4)
    optimizer = build_model(config, 5).optimizer
    rates = []
    for step in (0, 5, 10, 30, 50):
        optimizer.iterations.assign(step)
        rates.append(float(optimizer.learning_rate))
    assert rates == pytest.approx([0, 0.2, 0.4, 0.2, 0], abs=1e-6)


def test_the_studys_configuration():
    config = TRAINING_CONFIGS["paper"]
    assert (config.network, config.size, config.loss) == ("inverted-net", 128, "pixel-dice")
    assert (config.batch_size, config.steps, config.epochs) == (32, 10, 1000)
    assert (config.patience, config.augmentation, config.phantoms) == (100, "study", 0)
    optimizer = build_model(replace(config, network="tiny", size=16), 10).optimizer
    assert type(optimizer).__name__ == "Adadelta"
    assert float(optimizer.learning_rate) == 1.0
    assert optimizer.rho == 0.95


def test_precisions_are_keras_policies():
    assert choose_policy(replace(TINY_CONFIG, precision="float32")) == "float32"
    assert choose_policy(replace(TINY_CONFIG, precision="bfloat16")) == "mixed_bfloat16"
    assert choose_policy(replace(TINY_CONFIG, precision="auto")) in {"float32", "mixed_bfloat16"}


def test_a_record_is_text_that_json_reads(whole):
    assert json.loads((whole[0] / "run.json").read_text("utf-8")) == read_record(whole[0])


def test_a_finished_run_without_its_checkpoint_is_not_overwritten(whole, split, tmp_path):
    shutil.copytree(whole[0], tmp_path / "run")
    (tmp_path / "run" / "checkpoint.keras").unlink()
    before = contents(tmp_path / "run")
    for resume in (False, True):
        with pytest.raises(TrainingError, match="holds a finished run"):
            fit(tmp_path / "run", split, TINY_CONFIG, resume=resume)
    assert contents(tmp_path / "run") == before


def test_held_out_cases_that_the_initial_weights_have_seen_are_recorded(whole, split, tmp_path):
    """The record names validation cases that the initial weights were trained on."""
    facts = {"split": {"train": [case.name for case in (*split.train, *split.validation)]}}
    folder = export(whole[1], tmp_path / "before", "before", facts)
    config = replace(TINY_CONFIG, epochs=1, init=str(folder))
    fit(tmp_path / "run", split, config)
    record = read_record(tmp_path / "run")
    held_out = [case.name for case in split.validation]
    assert record["held_out_but_trained_before"] == held_out
    assert set(held_out) < set(record["trained_before"])


def test_short_epochs_keep_all_their_scalars(whole):
    assert len(list((whole[0] / "tensorboard").iterdir())) == len(whole[2])
