"""Print tables of the accuracy of predicted Dice and warnings."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import click
import numpy as np
import numpy.typing as npt
from quality_fit import WHOLE, fit_calibration
from quality_sample import Sample
from scipy.stats import rankdata, spearmanr

from xray_seg.analysis.calibration import Calibration
from xray_seg.analysis.quality import Quality, quality_from_features
from xray_seg.analysis.shape_features import Vector
from xray_seg.labels import ORGANS

#: Masks below this Dice count as bad.
BAD = 0.9
_NAMES = tuple(organ.name for organ in ORGANS)


def print_report(
    calibration: Calibration, train: Sequence[Sample], test: Sequence[Sample], truths: Vector
) -> None:
    """Print Markdown tables; ``test`` are radiographs that the fit has not seen."""
    found = [quality_from_features(sample.features, calibration) for sample in test]
    click.echo("| radiographs | masks of | bad | correlation | rank correlation | area under ROC |")
    click.echo("| --- | --- | --- | --- | --- | --- |")
    chest = [sample.family in _degraded(test) for sample in test]
    for title, chosen in (
        ("all", np.ones(len(test), bool)),
        ("chest radiographs, degraded or not", np.array(chest)),
        ("undegraded validation radiographs", np.array([s.family == WHOLE for s in test])),
    ):
        for name, predicted, true in _columns(found, test):
            _print_row(title, name, predicted[chosen], true[chosen])
    click.echo("\nEach kind of degradation, excluded from the fit:\n")
    click.echo(
        "| degradation | radiographs | true Dice | predicted | error | ROC area with undegraded |"
    )
    click.echo("| --- | --- | --- | --- | --- | --- |")
    for family in dict.fromkeys(sample.family for sample in test):
        _print_family(family, train, test, truths, calibration)
    click.echo("\nShare of radiographs with each warning:\n")
    warnings = dict.fromkeys(warning for each in found for warning in each.warnings)
    click.echo("| | " + " | ".join(warnings) + " |")
    click.echo("| --- |" + " --- |" * len(warnings))
    for family in dict.fromkeys(sample.family for sample in test):
        mine = [q for q, sample in zip(found, test, strict=True) if sample.family == family]
        shares = (np.mean([warning in each.warnings for each in mine]) for warning in warnings)
        click.echo(f"| {_words(family)} | " + " | ".join(f"{share:.0%}" for share in shares) + " |")


def _degraded(samples: Sequence[Sample]) -> set[str]:
    return {s.family for s in samples if any(value > 0 for value in s.dice.values())}


def _columns(
    found: Sequence[Quality], samples: Sequence[Sample]
) -> list[tuple[str, Vector, Vector]]:
    """Predicted and true Dice of each organ, and their mean."""
    true = np.array([[sample.dice[name] for name in _NAMES] for sample in samples])
    columns = [
        (name, np.array([q.predicted_dice[name] for q in found]), true[:, index])
        for index, name in enumerate(_NAMES)
    ]
    count = np.maximum((~np.isnan(true)).sum(axis=1), 1)
    mean = np.nansum(true, axis=1) / count
    mean[np.isnan(true).all(axis=1)] = np.nan
    return [*columns, ("mean", np.array([q.score for q in found]), mean)]


def _print_row(title: str, name: str, predicted: Vector, true: Vector) -> None:
    known = ~np.isnan(true)
    predicted, true = predicted[known], true[known]
    area = roc_area(predicted, true < BAD)
    cells = [
        f"{np.mean(true < BAD):.0%}",
        f"{np.corrcoef(predicted, true)[0, 1]:.3f}",
        f"{spearmanr(predicted, true).statistic:.3f}",
        "no bad masks" if area is None else f"{area:.3f}",
    ]
    click.echo(f"| {title} | {name} | " + " | ".join(cells) + " |")


def _print_family(
    family: str,
    train: Sequence[Sample],
    test: Sequence[Sample],
    truths: Vector,
    calibration: Calibration,
) -> None:
    """Evaluate a fit that excludes this kind of degradation."""
    rest = [sample for sample in train if sample.family != family]
    blind = calibration
    if family != WHOLE:
        blind = replace(
            fit_calibration(truths, rest, calibration.weights_sha256), limits=calibration.limits
        )
    chosen = [sample for sample in test if sample.family in (family, WHOLE)]
    found = [quality_from_features(sample.features, blind) for sample in chosen]
    _, predicted, true = _columns(found, chosen)[-1]
    mine = np.array([sample.family == family for sample in chosen]) & ~np.isnan(true)
    known = ~np.isnan(true)
    area = roc_area(predicted[known], true[known] < BAD)
    cells = [
        _words(family),
        str(mine.sum()),
        f"{true[mine].mean():.3f}",
        f"{predicted[mine].mean():.3f}",
        f"{np.abs(predicted - true)[mine].mean():.3f}",
        "no bad masks" if area is None else f"{area:.3f}",
    ]
    click.echo("| " + " | ".join(cells) + " |")


def roc_area(score: Vector, bad: npt.NDArray[np.bool_]) -> float | None:
    """Probability that a bad mask scores lower than a good one (Mann-Whitney)."""
    below, above = int(bad.sum()), int((~bad).sum())
    if not below or not above:
        return None
    return float(1 - (rankdata(score)[bad].sum() - below * (below + 1) / 2) / (below * above))


def _words(family: str) -> str:
    return family.replace("_", " ")
