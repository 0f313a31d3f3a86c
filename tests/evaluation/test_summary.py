"""Means, intervals, order and strata of scores, on cases made by hand."""

import numpy as np
import pytest

from xray_seg.data.clinical import Patient
from xray_seg.evaluation.scoring import CaseScores
from xray_seg.evaluation.summary import PUBLISHED, is_jsrt, strata, summarise
from xray_seg.labels import ORGANS


def _case(name, dice, distance=1.0):
    overlaps = {"dice": dice, "jaccard": dice / (2 - dice)}
    scores = overlaps | dict.fromkeys(("assd_mm", "hd95_mm", "assd_px", "hd95_px"), distance)
    return CaseScores(name, {organ.name: dict(scores) for organ in ORGANS}, dice, 1 - dice)


def _partial(name, dataset="", **dice):
    """A case with a Dice of some organs; the others are unknown."""
    organs = _case(name, 0.5).organs
    for organ, scores in organs.items():
        scores.update({"dice": dice[organ]} if organ in dice else dict.fromkeys(scores))
    return CaseScores(name, organs, 0.9, None, dataset)


def test_mean_sd_and_min_are_those_of_the_cases():
    found = summarise([_case("a", 0.9), _case("b", 0.7), _case("c", 0.8)])["organs"]["heart"]
    assert found["dice"]["mean"] == pytest.approx(0.8)
    assert found["dice"]["sd"] == pytest.approx(0.1)
    assert found["dice"]["min"] == 0.7


def test_the_worst_case_comes_first():
    metrics = summarise([_case("a", 0.9), _case("b", 0.7), _case("c", 0.8)])
    assert [case["name"] for case in metrics["cases"]] == ["b", "c", "a"]


def test_an_undefined_distance_is_left_out_of_the_mean():
    found = summarise([_case("a", 0.9, None), _case("b", 0.7, 3.0)])["organs"]["lungs"]
    assert found["assd_mm"]["mean"] == 3.0
    assert found["assd_mm"]["undefined"] == 1
    assert found["dice"]["undefined"] == 0
    found = summarise([_case("a", 0.9, None)])["organs"]["lungs"]["hd95_mm"]
    assert found == {
        "mean": None,
        "sd": None,
        "min": None,
        "interval": None,
        "undefined": 1,
    }


def test_the_interval_is_near_the_normal_one_for_many_cases():
    values = np.random.default_rng(3).normal(0.85, 0.02, 400).clip(0, 1)
    found = summarise([_case(str(n), value) for n, value in enumerate(values)])
    low, high = found["organs"]["heart"]["dice"]["interval"]
    half = 1.96 * values.std(ddof=1) / np.sqrt(len(values))
    assert low == pytest.approx(values.mean() - half, abs=half / 5)
    assert high == pytest.approx(values.mean() + half, abs=half / 5)


def test_fewer_than_three_cases_have_no_interval_and_equal_cases_a_point():
    few = summarise([_case("a", 0.9), _case("b", 0.7)])
    assert few["organs"]["heart"]["dice"]["interval"] is None
    same = summarise([_case(name, 0.9) for name in "abc"])
    assert same["organs"]["heart"]["dice"]["interval"] == [0.9, 0.9]


def test_strata_hold_the_means_of_their_cases():
    patients = {
        "A": Patient("A", 30, "male", nodule=False),
        "B": Patient("B", 70, "female", nodule=True, subtlety=2),
        "C": Patient("C", 30, "female", nodule=False),
    }
    cases = [_case("a", 0.9), _case("b", 0.7), _case("c", 0.8), _case("not in the tables", 0.1)]
    metrics = summarise(cases, patients=patients)
    groups = metrics["strata"]
    assert metrics["strata_unknown"] == 1
    assert groups["sex"]["female"]["cases"] == 2
    assert groups["sex"]["female"]["heart"]["dice"] == pytest.approx(0.75)
    assert groups["nodule"]["with"]["lungs"]["dice"] == pytest.approx(0.7)
    assert groups["age"]["under 50"]["cases"] == 2
    assert "lobe" not in groups
    assert "strata" not in summarise(cases)


def test_cases_used_for_training_are_marked():
    metrics = summarise([_case("a", 0.9), _case("b", 0.7)], trained_on={"a", "z"})
    assert metrics["trained_on"] == 1
    assert {case["name"]: case["trained_on"] for case in metrics["cases"]} == {
        "a": True,
        "b": False,
    }


def test_names_match_cases_whatever_their_capitals():
    patients = {"JPCLN001": Patient("JPCLN001", 53, "male", nodule=True)}
    assert strata(["jpcln001"], patients)["sex"] == {"male": ("jpcln001",)}


def test_strata_hold_each_known_case_once_per_factor():
    patients = {
        each.name: each
        for each in (
            Patient("JPCLN001", 53, "male", nodule=True, subtlety=5, malignant=True),
            Patient("JPCLN002", None, "female", nodule=True, subtlety=1, malignant=False),
            Patient("JPCLN003", 71, "female", nodule=True, subtlety=3, malignant=False),
            Patient("JPCLN004", 71, "male", nodule=True, subtlety=3, malignant=False),
            Patient("JPCLN005", 40, "male", nodule=True, subtlety=2, malignant=True),
            Patient("JPCNN001", 30, "female", nodule=False),
            Patient("JPCNN002", None, "male", nodule=False),
        )
    }
    groups = strata([*patients, "UNKNOWN"], patients)
    assert groups["nodule"] == {
        "with": tuple(f"JPCLN00{n}" for n in range(1, 6)),
        "without": ("JPCNN001", "JPCNN002"),
    }
    assert groups["age"] == {
        "50 to 69": ("JPCLN001",),
        "70 and over": ("JPCLN003", "JPCLN004"),
        "under 50": ("JPCLN005", "JPCNN001"),
    }
    assert set(groups["malignancy"]) == {"benign", "malignant"}
    assert groups["subtlety"]["3"] == ("JPCLN003", "JPCLN004")


def test_unknown_organs_are_left_out_of_means_and_counted():
    cases = [_partial("a", lungs=0.9), _partial("b", lungs=0.7, heart=0.8), _case("c", 0.5)]
    metrics = summarise(cases)
    lungs, heart, clavicles = (
        metrics["organs"][name]["dice"] for name in ("lungs", "heart", "clavicles")
    )
    assert (lungs["mean"], lungs["undefined"]) == (pytest.approx(0.7), 0)
    assert (heart["mean"], heart["undefined"]) == (pytest.approx(0.65), 1)
    assert (clavicles["mean"], clavicles["undefined"]) == (0.5, 2)
    assert metrics["loss"] == 0.5
    assert "not scored" in metrics["scored"]
    assert "not scored" not in summarise([_case("c", 0.5)])["scored"]
    alone = summarise([_partial("a", lungs=0.9)])
    assert alone["loss"] is None
    assert alone["organs"]["heart"]["jaccard"]["mean"] is None


def test_the_order_is_by_the_mean_dice_of_the_known_organs():
    cases = [_partial("a", lungs=0.9), _partial("b", lungs=0.95, heart=0.75), _case("c", 0.88)]
    assert [case["name"] for case in summarise(cases)["cases"]] == ["b", "c", "a"]


def test_several_data_sets_have_statistics_of_their_own():
    cases = [
        _partial("a", "one", lungs=0.9),
        _partial("b", "two", lungs=0.7, heart=0.8),
        _partial("c", "one", lungs=0.8),
    ]
    metrics = summarise(cases, trained_on=["c"])
    assert list(metrics["datasets"]) == ["one", "two"]
    one, two = metrics["datasets"].values()
    assert one["organs"] == summarise([cases[0], cases[2]])["organs"]
    assert two["organs"] == summarise(cases[1:2])["organs"]
    assert (one["trained_on"], two["trained_on"], metrics["trained_on"]) == (1, 0, 1)
    assert {case["name"]: case["dataset"] for case in metrics["cases"]} == {
        "a": "one",
        "b": "two",
        "c": "one",
    }
    assert "datasets" not in summarise([cases[0], cases[2]])


def test_strata_leave_unknown_organs_out():
    patients = {name: Patient(name, 30, "male", nodule=False) for name in "AB"}
    cases = [_partial("a", lungs=0.9), _partial("b", lungs=0.7, heart=0.8)]
    male = summarise(cases, patients=patients)["strata"]["sex"]["male"]
    assert male["lungs"]["dice"] == pytest.approx(0.8)
    assert male["heart"]["dice"] == pytest.approx(0.8)
    assert male["clavicles"] == {"dice": None, "jaccard": None}


def test_jsrt_is_known_by_the_names_of_all_cases():
    assert is_jsrt(["JPCLN001", "JPCNN093", "jpcnn001"])
    assert not is_jsrt(["JPCLN001", "PHANTOM001"])
    assert not is_jsrt(["JPCLN001a"])
    assert not is_jsrt(["JPCLN"])
    assert summarise([_case("a", 0.9)])["published_jaccard"] == PUBLISHED
