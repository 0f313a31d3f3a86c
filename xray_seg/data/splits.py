"""Division of cases into training, validation and test sets."""

from __future__ import annotations

import hashlib
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass

from ..errors import DatasetError
from .cases import Case

#: Share of the cases used for validation: 24 of 222 cases, 26 of all 247.
VALIDATION_SHARE = 0.107
#: The 2019 study's shares of validation and test cases: 23 and 25 of its 246.
STUDY_SHARES = (23 / 246, 25 / 246)

#: Stratum of the cases whose own stratum is too small; sorts after all names.
_POOLED = "\uffff"


@dataclass(frozen=True)
class Split:
    """A division of cases, recorded with every training run.

    Attributes:
        train, validation, test: disjoint sets of cases, each in the order they were given in.
        seed: the seed that the division was made with.
    """

    train: tuple[Case, ...]
    validation: tuple[Case, ...]
    seed: int
    test: tuple[Case, ...] = ()


def split_cases(
    cases: Sequence[Case],
    *,
    seed: int = 0,
    validation: float = VALIDATION_SHARE,
    test: float = 0.0,
) -> Split:
    """Divide cases into training, validation and test sets, stratified by ``Case.stratum``.

    Strata too small to contribute a validation case are pooled. Within a stratum, cases are
    ordered by the SHA-256 of seed and name, so that the split does not depend on the order of
    ``cases`` or on a library's random number generator; it does depend on their number.

    Args:
        cases: all cases, with unique names.
        seed: selects the order.
        validation: share of the cases for validation.
        test: share of the cases for testing.

    Raises:
        DatasetError: there are too few cases for both training and validation.
    """
    chosen: dict[str, list[str]] = {"validation": [], "test": []}
    for names in _shuffled_strata(cases, seed, least=0.5 / validation):
        count = round(validation * len(names))
        chosen["validation"] += names[:count]
        chosen["test"] += names[count : count + round(test * len(names))]
    if not chosen["validation"]:  # few cases: take one for validation, whatever its stratum
        free = {case.name for case in cases} - set(chosen["test"])
        chosen["validation"] += sorted(free, key=lambda name: _order(name, seed))[:1]
    return _divide(cases, chosen["validation"], chosen["test"], seed)


def fold_cases(cases: Sequence[Case], fold: int, folds: int, *, seed: int = 0) -> Split:
    """Divide cases for cross-validation: each case is validated in exactly one fold.

    Args:
        cases: all cases, with unique names.
        fold: number of the fold that is held out for validation, from 1 to ``folds``.
        folds: number of folds.
        seed: as in ``split_cases``.

    Raises:
        DatasetError: there are too few cases for both training and validation.
    """
    validation: list[str] = []
    dealt = 0  # continue where the previous stratum ended: fold sizes differ by at most one case
    for names in _shuffled_strata(cases, seed):
        validation += names[(fold - 1 - dealt) % folds :: folds]
        dealt += len(names)
    return _divide(cases, validation, [], seed)


def _shuffled_strata(cases: Sequence[Case], seed: int, least: float = 0.0) -> list[list[str]]:
    """Names of the cases per stratum, each list in the order that the seed gives it.

    Strata of ``least`` cases or fewer are pooled into one.
    """
    sizes = Counter(case.stratum for case in cases)
    strata: dict[str, list[str]] = {}
    for case in cases:
        stratum = case.stratum if sizes[case.stratum] > least else _POOLED
        strata.setdefault(stratum, []).append(case.name)
    return [sorted(strata[name], key=lambda each: _order(each, seed)) for name in sorted(strata)]


def _order(name: str, seed: int) -> bytes:
    return hashlib.sha256(f"{seed}:{name}".encode()).digest()


def _divide(cases: Sequence[Case], validation: list[str], test: list[str], seed: int) -> Split:
    split = Split(
        tuple(case for case in cases if case.name not in {*validation, *test}),
        tuple(case for case in cases if case.name in validation),
        seed,
        tuple(case for case in cases if case.name in test),
    )
    if not split.train or not split.validation:
        raise DatasetError(f"{len(cases)} cases are too few for both training and validation")
    return split
