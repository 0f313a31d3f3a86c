"""Which cases of data sets are scored."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from ..data.cases import Case
from ..data.datasets import Dataset, refuse_shared_names
from ..errors import DatasetError
from ..models.model_folder import PARTS


def find_scored_cases(datasets: Sequence[Dataset]) -> list[Case]:
    """Find the cases of all data sets that have masks.

    Raises:
        DatasetError: no data set has masks, the cases of one cannot be found, or two share a name.
    """
    cases = [case for dataset in datasets if dataset.masks for case in dataset.find_cases()]
    refuse_shared_names(cases)
    if not cases:
        names = ", ".join(dataset.name for dataset in datasets)
        raise DatasetError(f"no masks to score against in {names}; add masks to a data set")
    return cases


def select_part(
    datasets: Sequence[Dataset],
    cases: Sequence[Case],
    part: str,
    card: Mapping[str, Any],
    *,
    by_shares: bool,
) -> list[Case]:
    """Select the cases of a part of the split that weights were trained with.

    Args:
        datasets: the data sets.
        cases: their cases, see ``find_scored_cases``.
        part: ``validation`` or ``test``.
        card: model card, of which ``split`` holds names and seed; empty without weights.
        by_shares: whether a data set of which the card lists no case is divided by its own shares,
            with the seed of the card, or 0.

    Raises:
        DatasetError: a data set cannot be divided.
    """
    split = card.get("split", {})
    seed = split.get("seed", 0)
    listed = {name for each in PARTS for name in split.get(each, ())}
    chosen = set(split.get(part, ()))
    for dataset in datasets:
        own = {case.name for case in cases if case.dataset == dataset.name}
        if by_shares and own and listed.isdisjoint(own):
            chosen |= {case.name for case in getattr(dataset.split(seed=seed), part)}
    return [case for case in cases if case.name in chosen]
