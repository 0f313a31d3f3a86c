"""Training plans: their settings, and mistakes in them."""

import pytest

from xray_seg.errors import DatasetError, TrainingError
from xray_seg.training.config import TrainingConfig
from xray_seg.training.plan import read_plan

PLAN = """
name = "ours"
seed = 3

[settings]
network = "inverted-net-fast"
batch-size = 2
epochs = 5

[[datasets]]
name = "a"
images = "a/images"
masks = "a/scr"

[[datasets]]
name = "b"
images = "b/images"
repeat = 0.5

[[stages]]
name = "teacher"
datasets = ["a"]

[[stages]]
name = "student"
init = "teacher"
labels-from = "teacher"
epochs = 7
repeat = { a = 2 }
"""


def read(folder, text, **options):
    (folder / "plan.toml").write_text(text)
    return read_plan(folder / "plan.toml", **options)


def test_a_stage_has_the_common_settings_and_its_own(tmp_path):
    plan = read(tmp_path, PLAN)
    assert (plan.name, plan.text) == ("ours", PLAN)
    common = {"network": "inverted-net-fast", "batch_size": 2, "seed": 3}
    teacher, student = plan.stages
    assert teacher.config == TrainingConfig(epochs=5, **common)
    assert student.config == TrainingConfig(
        epochs=7, init="teacher", labels_from="teacher", **common
    )


def test_a_stage_has_its_data_sets_with_its_repeats(tmp_path):
    teacher, student = read(tmp_path, PLAN, root="/data").stages
    assert [(each.name, each.repeat) for each in teacher.datasets] == [("a", 1.0)]
    assert [(each.name, each.repeat) for each in student.datasets] == [("a", 2.0), ("b", 0.5)]
    assert str(teacher.datasets[0].images) == "/data/a/images"


def test_a_plan_without_stages_has_one(tmp_path):
    (stage,) = read(tmp_path, PLAN.partition("[[stages]]")[0]).stages
    assert [each.name for each in stage.datasets] == ["a", "b"]
    assert stage.config.epochs == 5


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        ("seed = 3", "sed = 3", "unknown setting 'sed'"),
        ("batch-size", "batch_size", "settings: unknown setting 'batch_size'; use .*batch-size"),
        ("epochs = 7", "epochs = 0", "'student': epochs must be above 0"),
        ("epochs = 7", "epochs = 4.5", "'student': epochs must be a whole number"),
        ("epochs = 7", "ema = 'a'", "'student': ema must be a number"),
        ("epochs = 7", "dropout = 2.0", "'student': dropout must be 0 or more and below 1"),
        ("epochs = 7", "size = 100", "'student': size must be a positive multiple of 32"),
        ("inverted-net-fast", "nope", "'teacher': no network 'nope'"),
        ("seed = 3", "seed = -1", "seed must be 0 or more"),
        ("seed = 3", "seed = 'x'", "seed must be a whole number"),
        ('datasets = ["a"]', 'datasets = "a"', "'teacher': datasets must be a list of names"),
        ('datasets = ["a"]', "datasets = []", "'teacher': datasets must be a list of names"),
        (
            "repeat = { a = 2 }",
            "repeat = 2",
            "'student': datasets must be a list .* repeat a table",
        ),
        ('datasets = ["a"]', 'init = "student"', "'teacher': init must name an earlier stage"),
        ('labels-from = "teacher"', 'labels-from = "student"', "labels-from must name an earlier"),
        ('"student"\n', '".."\n', "fit for a folder"),
        ("epochs = 7", "speed = 0", "'student': unknown setting 'speed'"),
        ("epochs = 7", "seed = 1", "'student': unknown setting 'seed'"),
        ('"student"', '"teacher"', "'teacher': the name must be unique"),
        ('"student"', '"../student"', "fit for a folder"),
        ('name = "student"', "", "each of the stages needs a name"),
        ('datasets = ["a"]', 'datasets = ["c"]', "'teacher': no data set 'c'; use a, b"),
        ("{ a = 2 }", "{ c = 2 }", "'student': no data set 'c'"),
        ("{ a = 2 }", "{ a = 0 }", "'student': repeat of a must be above 0"),
        ('name = "ours"', 'name = "ours', "cannot be read"),
    ],
)
def test_mistakes_are_named(tmp_path, old, new, message):
    with pytest.raises(TrainingError, match=message) as caught:
        read(tmp_path, PLAN.replace(old, new))
    assert "plan.toml" in str(caught.value)


def test_a_plan_needs_data_sets(tmp_path):
    with pytest.raises(DatasetError, match="lists no data sets"):
        read(tmp_path, "[[stages]]\nname = 'a'\n")
