"""Tables of the accuracy of predicted Dice, and of warnings."""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Sequence

import click
import numpy as np
import numpy.typing as npt
from scipy.stats import rankdata

from xray_seg.analysis.anatomy import Anatomy
from xray_seg.analysis.calibration import Calibration
from xray_seg.analysis.fit import BAD, WHOLE, Sample, fit_calibration
from xray_seg.analysis.quality import Quality, quality_from_features
from xray_seg.labels import LUNGS, ORGANS

Vector = npt.NDArray[np.float64]


def print_sources(
    samples: Sequence[Sample],
    drawn: Sequence[Sample],
    held_back: Collection[str],
    anatomy: Anatomy,
) -> None:
    """Leave one source out of the fit of lungs, and evaluate on it; organs on held-back cases."""
    click.echo(
        "| source left out | masks of | images | bad | AUC | bad among worst tenth | error |"
    )
    click.echo("| --- | --- | --- | --- | --- | --- | --- |")
    for left in dict.fromkeys(each.source for each in samples):
        train = [
            _without_lungs(each) if each.source == left else each
            for each in samples
            if each.case not in held_back
        ]
        fitted = fit_calibration([*train, *drawn], anatomy, "")
        test = [
            each
            for each in samples
            if each.source == left and (each.case in held_back or each.family == WHOLE)
            if each.case in held_back or not each.seen
        ]
        found = [quality_from_features(each.features, fitted, anatomy) for each in test]
        for organ in ORGANS:
            _print_row(left, organ.name, found, test)


def _without_lungs(sample: Sample) -> Sample:
    """The sample with the Dice of lungs unknown: they are what is left out."""
    dice = {name: value for name, value in sample.dice.items() if "lung" not in name}
    return Sample(sample.case, sample.source, sample.family, sample.features, dice, sample.seen)


def _print_row(source: str, organ: str, found: Sequence[Quality], test: Sequence[Sample]) -> None:
    true = np.array([each.dice.get(organ, np.nan) for each in test])
    known = ~np.isnan(true)
    if not known.any():
        return
    predicted = np.array([quality.predicted_dice[organ] for quality in found])[known]
    is_bad = true[known] < BAD[organ]
    tenth = np.argsort(predicted)[: max(1, round(len(predicted) / 10))]
    area = roc_area(predicted, is_bad)
    cells = [
        source,
        organ,
        str(known.sum()),
        str(is_bad.sum()),
        "none is bad" if area is None else f"{area:.3f}",
        f"{is_bad[tenth].mean():.0%}",
        f"{np.abs(predicted - true[known]).mean():.3f}",
    ]
    click.echo(f"| {' | '.join(cells)} |")


def print_warnings(
    samples: Sequence[Sample],
    calibration: Calibration,
    anatomy: Anatomy,
    held_back: Collection[str],
) -> None:
    """Print how many images of each source get each warning."""
    click.echo("\n| images | count | warnings |\n| --- | --- | --- |")
    groups: dict[str, list[Sample]] = {}
    for each in samples:
        if each.family == WHOLE:
            lungs = each.dice.get(LUNGS.name, np.nan)
            state = "" if each.source == "jsrt" else " good" if lungs >= BAD["lungs"] else " bad"
            part = " held back" if each.case in held_back else ""
            groups.setdefault(f"{each.source}{part}{state}", []).append(each)
    for title, members in groups.items():
        warnings = Counter(
            warning
            for each in members
            for warning in quality_from_features(each.features, calibration, anatomy).warnings
        )
        text = ", ".join(f"{warning} {count}" for warning, count in warnings.most_common())
        click.echo(f"| {title} | {len(members)} | {text} |")


def roc_area(predicted: Vector, is_bad: npt.NDArray[np.bool_]) -> float | None:
    """Area under the ROC curve for finding bad masks by low predictions; None if undefined."""
    bad, good = int(is_bad.sum()), int((~is_bad).sum())
    if not bad or not good:
        return None
    ranks = rankdata(-predicted)
    return float((ranks[is_bad].sum() - bad * (bad + 1) / 2) / (bad * good))
