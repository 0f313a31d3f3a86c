"""Stages of a plan: what each starts from, and how an interrupted plan goes on."""

import json
import shutil

import pytest

from helpers.tiny import TINY_CONFIG, copied_exports, tiny_network, write_cases
from xray_seg.errors import TrainingError
from xray_seg.models.model_folder import load_model
from xray_seg.segmenter import Segmenter
from xray_seg.serving.export import export
from xray_seg.training import stages
from xray_seg.training.build import build_model
from xray_seg.training.plan import read_plan
from xray_seg.training.stages import train_plan

PLAN = """
name = "ours"

[settings]
network = "tiny"
size = 16
epochs = 2
batch-size = 2
phantoms = 0
precision = "float32"
learning-rate = 0.01

[[datasets]]
name = "full"
images = "full/images"
masks = "full/scr"

[[datasets]]
name = "partial"
images = "partial/images"
masks = "partial/scr"
organs = ["lungs"]
lungs-include = ["clavicles"]
validation = 0.3

[[stages]]
name = "teacher"
datasets = ["full"]

[[stages]]
name = "student"
init = "teacher"
labels-from = "teacher"
"""


@pytest.fixture(scope="module", autouse=True)
def network(tmp_path_factory):
    """The network ``tiny``, whose predictions are too poor to fill in labels."""
    with tiny_network(), pytest.MonkeyPatch.context() as patch:
        model = tmp_path_factory.mktemp("models") / "tiny"
        export(build_model(TINY_CONFIG, 1), model, "tiny", {})
        patch.setattr("xray_seg.training.trainer.fill_in_labels", lambda cases, model: cases)
        with copied_exports(model):
            yield


@pytest.fixture(scope="module")
def data(tmp_path_factory):
    folder = tmp_path_factory.mktemp("data")
    write_cases(folder / "full", 5)
    write_cases(folder / "partial", 4)
    for path in [*(folder / "partial").rglob("SMALL*")]:
        path.rename(path.with_name(path.name.replace("SMALL", "PART")))
    (folder / "plan.toml").write_text(PLAN)
    return folder


@pytest.fixture(scope="module")
def trained(data, tmp_path_factory):
    out = tmp_path_factory.mktemp("run") / "out"
    names = []
    result = train_plan(
        read_plan(data / "plan.toml"), out, on_stage=lambda stage: names.append(stage.name)
    )
    assert names == ["teacher", "student"]
    return out, result


def record(run):
    return json.loads((run / "run.json").read_text())


def test_the_last_stage_gives_the_model_of_the_plans_name(trained):
    out, result = trained
    model = load_model(result.model)
    assert result.model == out / "student/model"
    assert model.name == "ours"
    assert load_model(out / "teacher/model").name == "ours-teacher"
    assert Segmenter(result.model).engine.size == 16


def test_a_stage_starts_from_the_weights_that_it_names(trained):
    out, _ = trained
    teacher = load_model(out / "teacher/model")
    student = record(out / "student")
    assert student["init_sha256"] == student["labels_from_sha256"] == teacher.sha256
    assert record(out / "teacher")["labels_from_sha256"] is None


def test_the_card_holds_the_plan_and_no_paths(trained, data):
    out, result = trained
    card = load_model(result.model).card
    assert card["plan"] == PLAN
    assert card["recipe"]["init"] == "teacher"
    assert [each["name"] for each in card["datasets"]] == ["full", "partial"]
    assert str(out) not in json.dumps(card)
    assert str(data) not in json.dumps(card)


def test_finished_stages_are_kept_when_a_plan_is_resumed(trained, data, monkeypatch):
    out, _ = trained
    before = (out / "student/weights.keras").read_bytes()
    monkeypatch.setattr(stages, "train_split", None)  # not called
    result = train_plan(read_plan(data / "plan.toml"), out, resume=True)
    assert result.model == out / "student/model"
    assert (out / "student/weights.keras").read_bytes() == before


def test_an_interrupted_plan_ends_with_the_same_history(trained, data, tmp_path):
    class Stopped(Exception):
        pass

    def stop(progress):
        if progress.row.get("epoch") == 1 and len(progress.split.train) > 5:
            raise Stopped

    plan = read_plan(data / "plan.toml")
    shutil.copytree(trained[0] / "teacher", tmp_path / "out/teacher")
    with pytest.raises(Stopped):
        train_plan(plan, tmp_path / "out", resume=True, on_progress=stop)
    assert not (tmp_path / "out/student/model").exists()
    train_plan(plan, tmp_path / "out", resume=True)

    def scores(run):
        timed = ("seconds", "images_per_s", "waited")
        rows = (run / "student/history.csv").read_text().splitlines()
        columns = rows[0].split(",")
        kept = [index for index, name in enumerate(columns) if name not in timed]
        return [[row.split(",")[index] for index in kept] for row in rows]

    assert len(scores(trained[0])) == 3
    assert scores(tmp_path / "out") == scores(trained[0])


def test_a_stage_without_scores_is_not_finished(trained, data, tmp_path, monkeypatch):
    """A model is exported before it is scored; a kill may come between."""
    shutil.copytree(trained[0], tmp_path / "out")
    (tmp_path / "out/student/model/README.md").unlink()
    begun = []
    monkeypatch.setattr(stages, "train_split", lambda split, run, **options: begun.append(run.name))
    train_plan(read_plan(data / "plan.toml"), tmp_path / "out", resume=True)
    assert begun == ["student"]


def test_a_run_is_not_overwritten(trained, data):
    with pytest.raises(TrainingError, match="holds a run already; give --resume"):
        train_plan(read_plan(data / "plan.toml"), trained[0])


def test_a_finished_stage_with_other_settings_is_refused(trained, data, tmp_path):
    (tmp_path / "plan.toml").write_text(PLAN.replace("0.01", "0.02"))
    plan = read_plan(tmp_path / "plan.toml", root=data)
    with pytest.raises(TrainingError, match=r"learning_rate \(0.01 before\)"):
        train_plan(plan, trained[0], resume=True)
