"""cases.csv."""

import csv

from helpers.tiny import lay_out
from xray_seg.data.cases import find_cases
from xray_seg.evaluation.case_table import write_case_table
from xray_seg.evaluation.scoring import SCORES, CaseScores


def test_a_row_per_case_with_what_is_known(tmp_path):
    known = {name: 0.5 + index / 10 for index, name in enumerate(SCORES)}
    organs = {"clavicles": dict.fromkeys(SCORES), "heart": dict.fromkeys(SCORES), "lungs": known}
    scores = [
        CaseScores("a", organs, 0.9, 0.25, "clinic"),
        CaseScores("=b", organs | {"heart": known}, 0.8, None),
    ]
    missing = find_cases(*lay_out(tmp_path, ["C001"]))
    write_case_table(tmp_path / "cases.csv", scores, missing=missing, trained_on={"a"})
    with (tmp_path / "cases.csv").open(newline="") as file:
        first, second, third = csv.DictReader(file)
    assert (first["dataset"], first["name"], first["trained_on"]) == ("clinic", "a", "true")
    assert (first["accuracy"], first["loss"]) == ("0.9", "0.25")
    for name in SCORES:
        assert float(first[f"lungs_{name}"]) == known[name]
        assert first[f"heart_{name}"] == first[f"clavicles_{name}"] == ""
        assert float(second[f"heart_{name}"]) == known[name]
    assert (second["name"], second["trained_on"], second["loss"]) == ("'=b", "false", "")
    assert {key: value for key, value in third.items() if value} == {"name": "C001"}
    write_case_table(tmp_path / "cases.csv", scores)
    assert [line.split(",")[2] for line in (tmp_path / "cases.csv").read_text().splitlines()] == [
        "trained_on",
        "",
        "",
    ]
