"""What many cases' scores amount to: means with intervals, worst cases, groups of patients."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from typing import Any

import numpy as np

from ..data.clinical import Patient, strata
from ..labels import ORGANS
from .scoring import SCORES, CaseScores

#: Mean Jaccard on JSRT and SCR as published, of whole organs: their lungs include what lies under
#: clavicles and heart, so the figures stand beside ours as a scale, not as a like for like.
PUBLISHED = {
    "human observer (van Ginneken 2006)": {"clavicles": 0.896, "heart": 0.878, "lungs": 0.946},
    "InvertedNet (Novikov 2018)": {"clavicles": 0.868, "heart": 0.882, "lungs": 0.950},
    "VGG-encoder U-Net (Frid-Adar 2018)": {"clavicles": 0.855, "heart": 0.906, "lungs": 0.961},
}

_RESAMPLES = 5000


def summarise(
    scores: Sequence[CaseScores],
    patients: dict[str, Patient] | None = None,
    trained_on: Collection[str] = (),
) -> dict[str, Any]:
    """The content of metrics.json.

    Args:
        scores: of every case.
        patients: by case name, to break the scores down by; None to leave that out.
        trained_on: names of cases that the weights were trained on, which prove little.

    Returns:
        ``organs``: mean, sd, min and a 95 % interval of the mean for each score, and for how many
        cases it is undefined; ``accuracy`` and ``loss``, means; ``trained_on``, how many of the
        cases the weights were trained on; ``cases``, a row per case, worst first; with patients
        also ``strata``: number of cases and mean Dice and Jaccard per organ by factor and group,
        and ``strata_unknown``, how many cases no table knows.
    """
    metrics = {
        "scored": "label maps: each pixel counts for one organ; lungs exclude heart and clavicles",
        "organs": {
            organ.name: {
                score: _statistics([case.organs[organ.name][score] for case in scores])
                for score in SCORES
            }
            for organ in ORGANS
        },
        "accuracy": float(np.mean([case.accuracy for case in scores])),
        "loss": float(np.mean([case.loss for case in scores])),
        "published_jaccard": PUBLISHED,
        "trained_on": sum(case.name in trained_on for case in scores),
        "cases": [
            {
                "name": case.name,
                "trained_on": case.name in trained_on,
                "accuracy": case.accuracy,
                "loss": case.loss,
                **case.organs,
            }
            for case in sorted(scores, key=mean_dice)
        ],
    }
    if patients is not None:
        metrics["strata"] = _stratify(scores, patients)
        metrics["strata_unknown"] = sum(case.name.upper() not in patients for case in scores)
    return metrics


def mean_dice(case: CaseScores) -> float:
    """The mean Dice of a case's organs."""
    return float(np.mean([case.organs[organ.name]["dice"] for organ in ORGANS]))


def _statistics(values: Sequence[float | None]) -> dict[str, Any]:
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
    """The 95 % bootstrap interval of the mean, by the percentile method; None for under 3 cases."""
    from scipy import stats

    if len(values) < 3:
        return None
    if len(set(values)) == 1:
        return [values[0], values[0]]
    found = stats.bootstrap(
        (values,),
        np.mean,
        n_resamples=_RESAMPLES,
        method="percentile",
        rng=np.random.default_rng(0),
    )
    low, high = found.confidence_interval
    return [float(low), float(high)]


def _stratify(scores: Sequence[CaseScores], patients: dict[str, Patient]) -> dict[str, Any]:
    by_name = {case.name: case for case in scores}
    return {
        factor: {
            group: {
                "cases": len(names),
                **{
                    organ.name: {
                        score: float(np.mean([by_name[n].organs[organ.name][score] for n in names]))
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
