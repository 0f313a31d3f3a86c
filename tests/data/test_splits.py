"""Division of cases into training, validation and test sets."""

import hashlib
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from xray_seg.data.cases import Case, find_cases
from xray_seg.data.splits import STUDY_SHARES, fold_cases, split_cases
from xray_seg.errors import DatasetError


def named(nodules, others):
    names = [f"JPCLN{n:03d}" for n in range(nodules)] + [f"JPCNN{n:03d}" for n in range(others)]
    return [Case(name, Path(name), {}) for name in names]


def names_of(*parts):
    return [{case.name for case in part} for part in parts]


@settings(deadline=None)
@given(
    nodules=st.integers(10, 60),
    others=st.integers(10, 60),
    seed=st.integers(0, 5),
    mixer=st.randoms(use_true_random=False),
)
def test_a_split_is_complete_disjoint_and_independent_of_order(nodules, others, seed, mixer):
    cases = named(nodules, others)
    split = split_cases(cases, seed=seed, validation=0.2, test=0.1)
    parts = names_of(split.train, split.validation, split.test)
    assert sum(map(len, parts)) == len(cases)
    assert set.union(*parts) == {case.name for case in cases}
    assert split.seed == seed
    mixer.shuffle(cases)
    again = split_cases(cases, seed=seed, validation=0.2, test=0.1)
    assert names_of(again.train, again.validation, again.test) == parts


def test_each_stratum_contributes_its_share():
    split = split_cases(named(30, 20), validation=0.1, test=0.2)
    for part, nodules, others in ((split.validation, 3, 2), (split.test, 6, 4)):
        strata = [case.stratum for case in part]
        assert (strata.count("JPCLN"), strata.count("JPCNN")) == (nodules, others)


@pytest.mark.parametrize(
    "names",
    [
        [f"MCUCXR_{n:04}_{n % 2}" for n in range(138)],
        [f"{n:08}_000" for n in range(138)],
        [hashlib.md5(bytes([n]), usedforsecurity=False).hexdigest() for n in range(138)],
    ],
)
def test_names_of_other_databases_contribute_a_share_as_well(names):
    split = split_cases([Case(name, Path(name), {}) for name in names], validation=0.1, test=0.1)
    for part in (split.validation, split.test):
        assert 12 <= len(part) <= 16


def test_another_seed_gives_another_split():
    chosen = {frozenset(*names_of(split_cases(named(50, 40), seed=s).validation)) for s in range(8)}
    assert len(chosen) == 8


def test_the_split_of_few_cases_is_independent_of_order():
    cases = named(2, 2)
    assert names_of(split_cases(cases).validation) == names_of(split_cases(cases[::-1]).validation)


@pytest.mark.parametrize(("nodules", "others"), [(5, 0), (5, 5)])
def test_the_study_split_of_few_cases_is_disjoint(nodules, others):
    for seed in range(20):
        split = split_cases(
            named(nodules, others), seed=seed, validation=STUDY_SHARES[0], test=STUDY_SHARES[1]
        )
        parts = names_of(split.train, split.validation, split.test)
        assert sum(map(len, parts)) == nodules + others


@settings(deadline=None)
@given(
    nodules=st.integers(0, 40),
    others=st.integers(12, 40),
    folds=st.integers(2, 12),
    seed=st.integers(0, 5),
)
def test_each_case_is_validated_in_one_fold_and_folds_are_even(nodules, others, folds, seed):
    cases = named(nodules, others)
    splits = [fold_cases(cases, fold, folds, seed=seed) for fold in range(1, folds + 1)]
    validated = [case.name for split in splits for case in split.validation]
    assert sorted(validated) == sorted(case.name for case in cases)
    for split in splits:
        train, validation = names_of(split.train, split.validation)
        assert train | validation == {case.name for case in cases}
        assert not train & validation
    for stratum in ("", "JPCLN", "JPCNN"):
        sizes = [
            sum(case.name.startswith(stratum) for case in split.validation) for split in splits
        ]
        assert max(sizes) - min(sizes) <= 1


@pytest.mark.parametrize("count", [0, 1])
def test_too_few_cases_are_refused(count):
    with pytest.raises(DatasetError, match=f"{count} cases are too few"):
        split_cases(named(count, 0))
    with pytest.raises(DatasetError, match=f"{count} cases are too few"):
        fold_cases(named(count, 0), 1, 2)


def test_the_222_real_cases_split_into_198_and_24_of_both_strata(jsrt):
    cases = find_cases(jsrt / "images", jsrt / "scr")
    split = split_cases(cases)
    assert [len(part) for part in (cases, split.train, split.validation)] == [222, 198, 24]
    share = sum(case.stratum == "JPCLN" for case in cases) / 222
    nodules = sum(case.stratum == "JPCLN" for case in split.validation)
    assert abs(nodules - 24 * share) < 1
