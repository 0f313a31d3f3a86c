"""Summary of the scores of many cases: means, confidence intervals, worst cases, strata."""

from __future__ import annotations

import re
from collections.abc import Callable, Collection, Iterable, Sequence
from typing import Any

import numpy as np

from ..data.clinical import Patient
from ..labels import ORGANS
from .scoring import SCORES, CaseScores

#: Mean Jaccard on JSRT and SCR as published. These are of whole organs: their lungs include the
#: areas under clavicles and heart, so they are a scale to compare with, not directly comparable.
PUBLISHED = {
    "human observer (van Ginneken 2006)": {"clavicles": 0.896, "heart": 0.878, "lungs": 0.946},
    "InvertedNet (Novikov 2018)": {"clavicles": 0.868, "heart": 0.882, "lungs": 0.950},
    "VGG-encoder U-Net (Frid-Adar 2018)": {"clavicles": 0.855, "heart": 0.906, "lungs": 0.961},
}

_JSRT_NAME = re.compile(r"JPC[LN]N\d+", re.IGNORECASE)
#: What the scores refer to.
_SCORED = "label maps: each pixel counts for one organ; lungs exclude heart and clavicles"
_SCORED_IN_PART = "organs that masks do not show are not scored"

#: Factors that scores are stratified by: each maps a patient to a group, or to None if unknown.
FACTORS: dict[str, Callable[[Patient], str | None]] = {
    "nodule": lambda patient: "with" if patient.nodule else "without",
    "subtlety": lambda patient: None if patient.subtlety is None else str(patient.subtlety),
    "sex": lambda patient: patient.sex,
    "age": lambda patient: None if patient.age is None else _age_group(patient.age),
    "side": lambda patient: patient.side,
    "lobe": lambda patient: patient.lobe,
    "malignancy": lambda patient: (
        None if patient.malignant is None else "malignant" if patient.malignant else "benign"
    ),
}

#: Bootstrap resamples for a confidence interval.
_RESAMPLES = 5000


def summarise(
    scores: Sequence[CaseScores],
    *,
    patients: dict[str, Patient] | None = None,
    trained_on: Collection[str] = (),
) -> dict[str, Any]:
    """Aggregate the scores of cases into the content of ``metrics.json``.

    Args:
        scores: scores of the cases, as ``evaluate`` returns them.
        patients: clinical data by case name in capitals, for strata; None for no strata.
        trained_on: names of the cases that the weights were trained on; they are marked, because
            their scores overestimate the performance on new radiographs.

    Returns:
        A JSON-serialisable dict:

        - ``scored``: what the scores refer to, as a sentence.
        - ``organs``: per organ and score ``mean``, ``sd``, ``min``, ``interval`` (95 % confidence
          interval of the mean) and ``undefined`` (number of cases without a value, for instance
          because their masks do not show the organ).
        - ``accuracy``, ``loss``: means over the cases; ``loss`` is None where no case has one.
        - ``published_jaccard``: PUBLISHED.
        - ``trained_on``: number of scored cases that the weights were trained on.
        - ``cases``: one dict per case, lowest mean Dice of the known organs first.
        - where the cases come from several data sets: ``datasets``, for each of them ``organs``,
          ``accuracy``, ``loss`` and ``trained_on``.
        - with ``patients``: ``strata``, the number of cases and the mean Dice and Jaccard per
          organ, by factor and group; and ``strata_unknown``, the number of cases without a
          patient.
    """
    metrics = {
        "scored": _SCORED if all(map(_is_full, scores)) else f"{_SCORED}; {_SCORED_IN_PART}",
        **_aggregate(scores, trained_on),
        "published_jaccard": PUBLISHED,
        "cases": [
            {
                "dataset": case.dataset,
                "name": case.name,
                "trained_on": case.name in trained_on,
                "accuracy": case.accuracy,
                "loss": case.loss,
                **case.organs,
            }
            for case in sorted(scores, key=mean_dice)
        ],
    }
    datasets = dict.fromkeys(case.dataset for case in scores)
    if len(datasets) > 1:
        metrics["datasets"] = {
            name: _aggregate([case for case in scores if case.dataset == name], trained_on)
            for name in datasets
        }
    if patients is not None:
        metrics["strata"] = _score_strata(scores, patients)
        metrics["strata_unknown"] = sum(case.name.upper() not in patients for case in scores)
    return metrics


def _aggregate(scores: Sequence[CaseScores], trained_on: Collection[str]) -> dict[str, Any]:
    """Statistics by organ, and means, of some cases."""
    return {
        "organs": {
            organ.name: {
                score: _statistics([case.organs[organ.name][score] for case in scores])
                for score in SCORES
            }
            for organ in ORGANS
        },
        "accuracy": _mean([case.accuracy for case in scores]),
        "loss": _mean([case.loss for case in scores]),
        "trained_on": sum(case.name in trained_on for case in scores),
    }


def mean_dice(case: CaseScores) -> float:
    """Mean Dice over the organs of a case that its masks show, of which there is one at least."""
    return _mean(scores["dice"] for scores in case.organs.values()) or 0.0


def is_jsrt(names: Iterable[str]) -> bool:
    """Whether all cases have names of JSRT, so that PUBLISHED refers to the same data."""
    return all(_JSRT_NAME.fullmatch(name) for name in names)


def _is_full(case: CaseScores) -> bool:
    """Whether the masks of a case show all organs."""
    return all(scores["dice"] is not None for scores in case.organs.values())


def _mean(values: Iterable[float | None]) -> float | None:
    """Mean of the values that are not None; None if there is none."""
    known = [value for value in values if value is not None]
    return float(np.mean(known)) if known else None


def strata(
    names: Iterable[str], patients: dict[str, Patient]
) -> dict[str, dict[str, tuple[str, ...]]]:
    """Group case names by the factors of FACTORS.

    Args:
        names: names of cases, in any case of letters. Names without a patient are left out.
        patients: clinical data by case name in capitals.

    Returns:
        Names by factor and group, groups in alphabetical order.
    """
    known = {name: patients[name.upper()] for name in names if name.upper() in patients}
    result: dict[str, dict[str, tuple[str, ...]]] = {}
    for factor, group_of in FACTORS.items():
        groups = {name: group_of(patient) for name, patient in known.items()}
        result[factor] = {
            group: tuple(name for name in groups if groups[name] == group)
            for group in sorted({group for group in groups.values() if group is not None})
        }
    return result


def _age_group(age: int) -> str:
    return "under 50" if age < 50 else "50 to 69" if age < 70 else "70 and over"


def _statistics(values: Sequence[float | None]) -> dict[str, Any]:
    """Mean, standard deviation, minimum and interval of the values that are not None."""
    known = [value for value in values if value is not None]
    if not known:
        return {"mean": None, "sd": None, "min": None, "interval": None, "undefined": len(values)}
    return {
        "mean": float(np.mean(known)),
        "sd": float(np.std(known, ddof=1)) if len(known) > 1 else 0.0,
        "min": float(min(known)),
        "interval": _interval(known),
        "undefined": len(values) - len(known),
    }


def _interval(values: list[float]) -> list[float] | None:
    """95 % bootstrap interval of the mean (percentile method); None for fewer than 3 values."""
    from scipy import stats

    if len(values) < 3:
        return None
    if len(set(values)) == 1:
        return [values[0], values[0]]
    result = stats.bootstrap(
        (values,),
        np.mean,
        n_resamples=_RESAMPLES,
        method="percentile",
        rng=np.random.default_rng(0),
    )
    low, high = result.confidence_interval
    return [float(low), float(high)]


def _score_strata(scores: Sequence[CaseScores], patients: dict[str, Patient]) -> dict[str, Any]:
    """Number of cases and mean overlap per organ by factor and group; empty factors left out."""
    by_name = {case.name: case for case in scores}
    return {
        factor: {
            group: {
                "cases": len(names),
                **{
                    organ.name: {
                        score: _mean(by_name[name].organs[organ.name][score] for name in names)
                        for score in ("dice", "jaccard")
                    }
                    for organ in ORGANS
                },
            }
            for group, names in groups.items()
        }
        for factor, groups in strata(by_name, patients).items()
        if groups
    }
