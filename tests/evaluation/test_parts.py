"""Which cases of data sets are scored."""

from dataclasses import replace

import pytest

from helpers.tiny import lay_out
from xray_seg.data.datasets import Dataset
from xray_seg.errors import DatasetError
from xray_seg.evaluation.parts import find_scored_cases, select_part


@pytest.fixture
def datasets(tmp_path):
    """Two data sets of 10 cases with masks, and one without masks."""
    one = lay_out(tmp_path / "one", [f"A{number:03d}" for number in range(10)])
    two = lay_out(tmp_path / "two", [f"B{number:03d}" for number in range(10)])
    shares = {"validation_share": 0.2, "test_share": 0.3}
    return (
        Dataset("one", *one, **shares),
        Dataset("two", *two, **shares),
        Dataset("bare", one[0], None, validation_share=0.0),
    )


def names(cases):
    return {case.name for case in cases}


def test_cases_without_masks_are_not_scored(datasets):
    cases = find_scored_cases(datasets)
    assert [case.dataset for case in cases] == ["one"] * 10 + ["two"] * 10
    with pytest.raises(DatasetError, match="no masks to score against in bare"):
        find_scored_cases(datasets[2:])


def test_cases_that_share_a_name_are_an_error(datasets):
    with pytest.raises(DatasetError, match=r"A000\.IMG and .*A000\.IMG share a name"):
        find_scored_cases([datasets[0], replace(datasets[0], name="again")])


@pytest.mark.parametrize("seed", [0, 7])
@pytest.mark.parametrize(("part", "count"), [("validation", 2), ("test", 3)])
def test_a_data_set_that_the_card_does_not_list_is_divided_by_its_shares(
    datasets, seed, part, count
):
    cases = find_scored_cases(datasets)
    listed = {"train": ["A000"], "validation": ["A001"], "test": ["A002", "A003"]}
    listed |= {"seed": seed}
    card = {"split": listed}
    chosen = names(select_part(datasets, cases, part, card, by_shares=True))
    own = {name for name in chosen if name.startswith("B")}
    assert chosen - own == set(listed[part])
    assert own == names(getattr(datasets[1].split(seed=seed), part))
    assert len(own) == count
    assert names(select_part(datasets, cases, part, card, by_shares=False)) == set(listed[part])


def test_without_weights_the_seed_is_0(datasets):
    cases = find_scored_cases(datasets)
    chosen = select_part(datasets[:1], cases, "validation", {}, by_shares=True)
    assert names(chosen) == names(datasets[0].split(seed=0).validation)
