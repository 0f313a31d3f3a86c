"""The training plans of this repository can be read."""

from pathlib import Path

import pytest

from xray_seg.training.plan import read_plan

ROOT = Path(__file__).parents[2]
PLANS = [*(ROOT / "benchmarks").glob("*.toml"), *(ROOT / "weights").glob("*/training.toml")]


@pytest.mark.parametrize("path", PLANS, ids=lambda path: path.stem)
def test_a_plan_of_the_repository_can_be_read(path):
    plan = read_plan(path)
    assert plan.name
    assert all(dataset.source for stage in plan.stages for dataset in stage.datasets)
