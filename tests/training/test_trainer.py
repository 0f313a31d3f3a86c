"""Training runs on a tiny network: what they leave, how they go on, what they start from."""

import csv
import json
import shutil
from dataclasses import replace

import numpy as np
import pytest

from helpers.tiny import TINY_RECIPE, tiny_network, write_cases
from xray_seg._util import tensorflow
from xray_seg.data.arrays import load_arrays
from xray_seg.data.cases import fingerprint
from xray_seg.data.splits import split_cases
from xray_seg.errors import TrainingError, WeightsError
from xray_seg.models.losses import soft_dice_cross_entropy
from xray_seg.models.model_folder import load_model
from xray_seg.models.network import weights_of
from xray_seg.serving.export import export
from xray_seg.training import run_folder, trainer
from xray_seg.training.config import RECIPES
from xray_seg.training.loader import FINER, validation_batch
from xray_seg.training.run_folder import (
    best_epoch,
    keep_epoch,
    open_run,
    read_history,
    read_record,
)
from xray_seg.training.trainer import build, choose_policy, train

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
    """A run of three epochs: (folder, model, rows told)."""
    folder, rows = tmp_path_factory.mktemp("runs") / "new" / "whole", []
    return folder, train(folder, split, TINY_RECIPE, rows.append), rows


@pytest.fixture(scope="module")
def stopped(split, tmp_path_factory):
    """The same run, whose second epoch meets films that are no numbers: (folder, the error)."""
    folder = tmp_path_factory.mktemp("runs") / "stopped"

    def poisoned(real, phantoms, recipe, epoch, hosts):
        for step, (images, targets) in enumerate(epochs(real, phantoms, recipe, epoch, hosts)):
            yield images * (np.nan if (epoch, step) == (1, 1) else 1), targets

    epochs = trainer.epoch_batches
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(trainer, "epoch_batches", poisoned)
        with pytest.raises(TrainingError) as told:
            train(folder, split, TINY_RECIPE)
    return folder, str(told.value)


@pytest.fixture(scope="module")
def exported(whole, tmp_path_factory):
    """The whole run's model as a model folder."""
    return export(whole[1], tmp_path_factory.mktemp("models") / "tiny", "tiny", {})


def equal(weights, others):
    return all(np.array_equal(*pair) for pair in zip(weights, others, strict=True))


def without_times(rows):
    return [{key: value for key, value in row.items() if key not in TIMES} for row in rows]


def contents(folder):
    return {path: path.read_bytes() for path in folder.rglob("*") if path.is_file()}


def validation_scores(model, split):
    """The scores of a model on the validation cases, by numpy."""
    cases = load_arrays(split.validation, TINY_RECIPE.size * FINER)
    images, truth = validation_batch(cases, TINY_RECIPE)
    found = np.asarray(model(images, training=False))
    own, true = found.argmax(axis=-1), truth.argmax(axis=-1)
    scores = {"accuracy": (own == true).mean()}
    scores["loss"] = soft_dice_cross_entropy(truth, found, np)
    for label, name in ((1, "clavicles"), (2, "heart"), (3, "lungs")):
        union = ((own == label) | (true == label)).sum()
        scores[f"jaccard_{name}"] = ((own == label) & (true == label)).sum() / max(union, 1)
    return scores


def test_history_has_a_row_per_epoch_with_scores_and_times(whole):
    folder, _, told = whole
    rows = read_history(folder)
    assert rows == told
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


def test_the_record_says_what_the_run_was_made_from(whole, split):
    record = read_record(whole[0])
    assert record["recipe"]["network"] == "tiny"
    assert record["recipe"]["learning_rate"] == TINY_RECIPE.learning_rate
    assert record["split"]["train"] == [case.name for case in split.train]
    assert record["split"]["validation"] == [case.name for case in split.validation]
    assert record["data_sha256"] == fingerprint((*split.train, *split.validation))
    assert record["init_sha256"] is None


def test_the_weights_on_disk_are_those_of_the_model_that_is_returned(whole):
    folder, model, _ = whole
    kept = tensorflow.keras().saving.load_model(folder / "weights.keras", compile=False)
    assert equal(kept.get_weights(), model.get_weights())
    assert not [path for path in folder.rglob("*") if path.name.startswith(".")]


def test_a_loss_that_is_no_number_ends_the_run_and_keeps_the_last_whole_epoch(stopped, whole):
    folder, message = stopped
    assert message.startswith("epoch 2: the loss is no longer a number")
    assert not (folder / "weights.keras").exists()
    kept = tensorflow.keras().saving.load_model(folder / "checkpoint.keras", compile=False)
    assert all(np.isfinite(weights).all() for weights in kept.get_weights())
    rows = without_times(read_history(folder))
    assert rows == [pytest.approx(without_times(whole[2])[0], rel=1e-4)]


@pytest.mark.slow
def test_a_stopped_run_that_is_resumed_gives_what_it_would_have_given(
    stopped, whole, split, tmp_path
):
    folder = tmp_path / "resumed"
    shutil.copytree(stopped[0], folder)
    with (folder / "history.csv").open("a", newline="") as file:
        # As if it had been killed between this row and its checkpoint.
        csv.writer(file).writerow([2.0] + [0.5] * (len(whole[2][0]) - 1))
    told = []
    model = train(folder, split, TINY_RECIPE, told.append, resume=True)
    assert [row["epoch"] for row in told] == [2, 3]
    for one, other in zip(
        without_times(read_history(folder)), without_times(whole[2]), strict=True
    ):
        assert one == pytest.approx(other, rel=1e-4, abs=1e-6)
    for one, other in zip(model.get_weights(), whole[1].get_weights(), strict=True):
        np.testing.assert_allclose(one, other, rtol=1e-4, atol=1e-5)


@pytest.mark.slow
def test_a_run_stopped_twice_gives_what_it_would_have_given(whole, split, tmp_path, monkeypatch):
    """Once when an epoch is told, once between an epoch's row and its whole checkpoint."""

    def stop(row):
        raise KeyboardInterrupt

    def save_half(model, path):
        path.write_bytes(b"half a checkpoint")
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        train(tmp_path, split, TINY_RECIPE, stop)
    assert [row["epoch"] for row in read_history(tmp_path)] == [1]
    before = (tmp_path / "checkpoint.keras").read_bytes()
    with monkeypatch.context() as patch:
        patch.setattr(tensorflow.keras().Model, "save", save_half)
        with pytest.raises(KeyboardInterrupt):
            train(tmp_path, split, TINY_RECIPE, resume=True)
    assert [row["epoch"] for row in read_history(tmp_path)] == [1, 2]
    assert (tmp_path / "checkpoint.keras").read_bytes() == before
    assert not [path for path in tmp_path.rglob("*") if path.name.startswith(".")]
    told = []
    model = train(tmp_path, split, TINY_RECIPE, told.append, resume=True)
    assert [row["epoch"] for row in told] == [2, 3]
    pairs = zip(without_times(read_history(tmp_path)), without_times(whole[2]), strict=True)
    for one, other in pairs:
        assert one == pytest.approx(other, rel=1e-4, abs=1e-6)
    for one, other in zip(model.get_weights(), whole[1].get_weights(), strict=True):
        np.testing.assert_allclose(one, other, rtol=1e-4, atol=1e-5)


def test_a_finished_run_that_is_resumed_stays_as_it_is(whole, split, tmp_path):
    folder, model, rows = tmp_path / "again", whole[1], whole[2]
    shutil.copytree(whole[0], folder)
    again = train(folder, split, TINY_RECIPE, resume=True)
    assert read_history(folder) == rows
    assert equal(again.get_weights(), model.get_weights())


def test_a_run_is_not_written_over(whole, split):
    before = contents(whole[0])
    with pytest.raises(TrainingError, match="holds a run already; give --resume"):
        train(whole[0], split, TINY_RECIPE)
    assert contents(whole[0]) == before


@pytest.mark.parametrize(
    "change", [{"learning_rate": 0.02}, {"seed": 1}, {"epochs": 9}, {"size": 32}]
)
def test_a_run_is_not_resumed_with_another_recipe(whole, split, change):
    before = contents(whole[0])
    (name,) = change
    before_it = f"{name} .{getattr(TINY_RECIPE, name)} before. differ from the run's"
    with pytest.raises(TrainingError, match=before_it):
        train(whole[0], split, replace(TINY_RECIPE, **change), resume=True)
    assert contents(whole[0]) == before


def test_a_run_is_not_resumed_with_other_cases(whole, split):
    other = replace(split, train=split.train[:-1])
    with pytest.raises(TrainingError, match="split and data_sha256 differ"):
        train(whole[0], other, TINY_RECIPE, resume=True)


def test_a_run_is_not_resumed_with_a_changed_film(whole, split, tmp_path):
    image = tmp_path / "film.png"
    image.write_bytes(split.train[0].image.read_bytes() + b"\0")
    other = replace(split, train=(replace(split.train[0], image=image), *split.train[1:]))
    with pytest.raises(TrainingError, match="cannot be resumed: data_sha256 differ"):
        train(whole[0], other, TINY_RECIPE, resume=True)


def test_a_folder_without_a_checkpoint_is_begun_anew(tmp_path):
    (tmp_path / "history.csv").write_text("epoch\n1\n")
    (tmp_path / "run.json").write_text("{}")
    assert open_run(tmp_path, {"recipe": 1}, resume=True) is False
    assert read_history(tmp_path) == []
    assert read_record(tmp_path) == {"recipe": 1}


@pytest.mark.parametrize("text", [None, "", "{", "7"])
def test_a_folder_without_a_record_is_told(tmp_path, text):
    if text is not None:
        (tmp_path / "run.json").write_text(text)
    with pytest.raises(TrainingError, match=r"run\.json: is not a run's record"):
        read_record(tmp_path)


def test_a_full_disk_is_told_and_the_epoch_before_is_kept(whole, tmp_path, monkeypatch):
    def full(model, path):
        raise OSError(28, "No space left on device")

    shutil.copytree(whole[0], tmp_path / "run")
    checkpoint = (tmp_path / "run" / "checkpoint.keras").read_bytes()
    monkeypatch.setattr(run_folder, "save_model", full)
    with pytest.raises(TrainingError, match=r"epoch 4 cannot be kept .*No space left.*--resume"):
        keep_epoch(tmp_path / "run", whole[1], {**whole[2][0], "epoch": 4.0}, keep_best=False)
    assert (tmp_path / "run" / "checkpoint.keras").read_bytes() == checkpoint


def test_a_full_disk_at_the_very_end_is_told(whole, split, tmp_path, monkeypatch):
    def full(model, path):
        raise OSError(28, "No space left on device")

    shutil.copytree(whole[0], tmp_path / "run")
    checkpoint = (tmp_path / "run" / "checkpoint.keras").read_bytes()
    monkeypatch.setattr(tensorflow.keras().Model, "save", full)
    with pytest.raises(TrainingError, match="No space left"):
        train(tmp_path / "run", split, TINY_RECIPE, resume=True)
    assert (tmp_path / "run" / "checkpoint.keras").read_bytes() == checkpoint


def test_a_run_folder_that_cannot_be_made_is_told(split, tmp_path):
    (tmp_path / "file").touch()
    with pytest.raises(TrainingError, match="file"):
        train(tmp_path / "file" / "run", split, TINY_RECIPE)


def test_the_best_epoch_is_the_first_of_the_highest_accuracy():
    def rows(*accuracies):
        return [{"epoch": n, "val_accuracy": value} for n, value in enumerate(accuracies, 1)]

    assert best_epoch(rows(0.1, 0.7, 0.3, 0.7)) == 2
    assert best_epoch(rows(0.5)) == 1
    assert best_epoch([]) == 0


@pytest.mark.slow
def test_patience_ends_a_run_and_gives_the_best_epochs_weights(split, tmp_path, monkeypatch):
    accuracies, seen = iter([0.1, 0.5, 0.3, 0.5, 0.9]), []

    def scripted(model, *arguments, **options):
        seen.append([weights.copy() for weights in model.get_weights()])
        return {"accuracy": next(accuracies)}

    monkeypatch.setattr(tensorflow.keras().Model, "evaluate", scripted)
    model = train(tmp_path, split, replace(TINY_RECIPE, epochs=8, patience=2))
    assert [row["val_accuracy"] for row in read_history(tmp_path)] == [0.1, 0.5, 0.3, 0.5]
    assert equal(model.get_weights(), seen[1])
    assert not equal(seen[1], seen[3])


@pytest.mark.slow
def test_a_run_is_finished_early_and_goes_on_later(whole, stopped, split, tmp_path):
    folder = shutil.copytree(stopped[0], tmp_path / "run")
    early = train(folder, split, TINY_RECIPE, finish=True)
    rows = read_history(folder)
    assert len(rows) == 1
    assert validation_scores(early, split)["loss"] == pytest.approx(rows[0]["val_loss"], rel=1e-4)
    kept = tensorflow.keras().saving.load_model(folder / run_folder.WEIGHTS_FILE, compile=False)
    assert equal(kept.get_weights(), early.get_weights())
    later = train(folder, split, TINY_RECIPE, resume=True)
    assert equal(later.get_weights(), whole[1].get_weights())


@pytest.mark.slow
def test_of_a_run_finished_early_the_best_epoch_counts(split, tmp_path, monkeypatch):
    recipe = replace(TINY_RECIPE, epochs=3, patience=9)
    accuracies = iter([0.5, 0.3, 0.1])

    def scripted(model, *arguments, **options):
        return {"accuracy": next(accuracies)}

    def stop_after_two(row):
        if row["epoch"] == 2:
            raise KeyboardInterrupt

    monkeypatch.setattr(tensorflow.keras().Model, "evaluate", scripted)
    with pytest.raises(KeyboardInterrupt):
        train(tmp_path, split, recipe, stop_after_two)
    best = tensorflow.keras().saving.load_model(tmp_path / run_folder.BEST_FILE, compile=False)
    assert equal(train(tmp_path, split, recipe, finish=True).get_weights(), best.get_weights())


def test_without_a_whole_epoch_there_is_nothing_to_finish(split, tmp_path):
    with pytest.raises(TrainingError, match="no whole epoch"):
        train(tmp_path, split, TINY_RECIPE, finish=True)
    assert not list(tmp_path.iterdir())


def test_a_run_starts_from_the_weights_given(whole, exported, split):
    recipe = replace(TINY_RECIPE, init=str(exported), seed=8)
    started, fresh = build(recipe, 2), build(replace(recipe, init=None), 2)
    expected = whole[2][-1]["val_loss"]
    assert validation_scores(started, split)["loss"] == pytest.approx(expected, rel=1e-4)
    kept = [
        np.array_equal(one, other)
        for one, other in zip(started.weights, whole[1].weights, strict=True)
        if "seed" not in one.path
    ]
    assert all(kept)
    assert not equal(fresh.get_weights(), started.get_weights())
    assert trainer._record(split, recipe)["init_sha256"] == load_model(exported).sha256


@pytest.mark.parametrize("dropout", [0.0, 0.3])
def test_a_run_with_other_dropout_starts_from_the_same_weights_and_drops_as_asked(
    exported, dropout
):
    recipe = replace(TINY_RECIPE, init=str(exported), dropout=dropout)
    changed, before = build(recipe, 2), build(replace(recipe, dropout=None), 2)
    for one, other in zip(weights_of(changed), weights_of(before), strict=True):
        np.testing.assert_array_equal(one, other)
    rates = {layer.rate for layer in changed.layers if hasattr(layer, "rate")}
    assert rates == {dropout}


def test_weights_of_another_network_and_weights_that_are_not_there_are_refused(exported):
    with pytest.raises(WeightsError, match="variables do not fit inverted-net"):
        build(replace(TINY_RECIPE, network="inverted-net", init=str(exported)), 2)
    with pytest.raises(WeightsError, match="nowhere"):
        build(replace(TINY_RECIPE, init="nowhere"), 2)


def test_the_rate_rises_to_its_peak_and_falls_to_nothing():
    """Two epochs of 5 steps up, eight down along half a cosine."""
    recipe = replace(TINY_RECIPE, epochs=10, warmup_epochs=2.0, learning_rate=0.4)
    optimizer = build(recipe, 5).optimizer
    rates = []
    for step in (0, 5, 10, 30, 50):
        optimizer.iterations.assign(step)
        rates.append(float(optimizer.learning_rate))
    assert rates == pytest.approx([0, 0.2, 0.4, 0.2, 0], abs=1e-6)


def test_the_studys_recipe_is_the_studys():
    recipe = RECIPES["paper"]
    assert (recipe.network, recipe.size, recipe.loss) == ("inverted-net", 128, "pixel-dice")
    assert (recipe.batch_size, recipe.steps, recipe.epochs) == (32, 10, 1000)
    assert (recipe.patience, recipe.augmentation, recipe.phantoms) == (100, "study", 0)
    optimizer = build(replace(recipe, network="tiny", size=16), 10).optimizer
    assert type(optimizer).__name__ == "Adadelta"
    assert float(optimizer.learning_rate) == 1.0
    assert optimizer.rho == 0.95


def test_precisions_are_keras_policies():
    assert choose_policy("float32") == "float32"
    assert choose_policy("bfloat16") == "mixed_bfloat16"
    assert choose_policy("auto") in {"float32", "mixed_bfloat16"}


def test_a_record_is_text_that_json_reads(whole):
    assert json.loads((whole[0] / "run.json").read_text("utf-8")) == read_record(whole[0])


def test_a_finished_run_without_its_checkpoint_is_not_written_over(whole, split, tmp_path):
    shutil.copytree(whole[0], tmp_path / "run")
    (tmp_path / "run" / "checkpoint.keras").unlink()
    before = contents(tmp_path / "run")
    for resume in (False, True):
        with pytest.raises(TrainingError, match="holds a finished run"):
            train(tmp_path / "run", split, TINY_RECIPE, resume=resume)
    assert contents(tmp_path / "run") == before


@pytest.mark.slow
def test_what_the_first_weights_have_seen_is_recorded(whole, split, tmp_path):
    """Trained on what is to validate: said in the record, and so in the card."""
    from xray_seg.serving.export import export

    facts = {"split": {"train": [case.name for case in (*split.train, *split.validation)]}}
    folder = export(whole[1], tmp_path / "before", "before", facts)
    recipe = replace(TINY_RECIPE, epochs=1, init=str(folder))
    train(tmp_path / "run", split, recipe)
    record = read_record(tmp_path / "run")
    held_out = [case.name for case in split.validation]
    assert record["held_out_but_trained_before"] == held_out
    assert set(held_out) < set(record["trained_before"])


def test_short_epochs_leave_all_their_scalars(whole):
    assert len(list((whole[0] / "tensorboard").iterdir())) == len(whole[2])
