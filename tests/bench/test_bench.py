"""Measurements and ``xrayseg bench``; no test asserts a time."""

import json

import pytest
from click.testing import CliRunner

from xray_seg.bench import Measurement, take_turns
from xray_seg.cli import cli


def test_rates_are_those_of_the_median():
    measured = Measurement("x", (3.0, 1.0, 2.0), images=4, bytes=10**9)
    assert measured.median == 2.0
    assert measured.images_per_s == 2.0
    assert measured.gb_per_s == pytest.approx(0.5)
    assert measured.spread == pytest.approx(0.25)
    assert Measurement("x", (1.0,)).gb_per_s is None


def test_calls_take_turns_after_a_warm_up():
    order = []
    found = take_turns({"a": lambda: order.append("a"), "b": lambda: order.append("b")}, 3, 2)
    assert "".join(order) == "aabb" + "ab" * 3
    assert [len(times) for times in found.values()] == [3, 3]


@pytest.mark.parametrize("option", ["--images", "--films"])
def test_the_number_of_images_has_two_names(option):
    done = CliRunner().invoke(cli, ["bench", "pipeline", option, "0"])
    assert done.exit_code == 2
    assert "0 is not in the range" in done.output


@pytest.mark.slow
def test_the_command_reports_each_kernel_and_each_pipeline(tmp_path):
    arguments = ["bench", "kernels", "pipeline", "--repeats", "2", "--films", "3", "--json"]
    done = CliRunner().invoke(cli, [*arguments, "--plot", str(tmp_path / "bars.png")])
    assert done.exit_code == 0, done.output
    found = json.loads(done.output)
    assert all(each["median_s"] > 0 and each["repeats"] == 2 for each in found["kernels"])
    assert found["kernels"][0]["gb_per_s"] > 0
    assert [each["engine_share"] < 1 for each in found["pipeline"]] == [True] * 3
    assert (tmp_path / "bars.png").read_bytes().startswith(b"\x89PNG")


def test_an_unknown_part_is_wrong_usage():
    assert CliRunner().invoke(cli, ["bench", "everything"]).exit_code == 2
