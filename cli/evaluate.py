"""The command ``xrayseg evaluate``."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from .options import annotation, data_options, engine_options, pixel_spacing

if TYPE_CHECKING:
    from ..data.cases import Case
    from ..data.datasets import Dataset
    from ..evaluation.predictions import Predictions
    from ..evaluation.scoring import CaseScores
    from ..segmenter import Segmenter

_ENGINE_OPTIONS = ("engine", "precision", "device")


@click.command()
@data_options
@click.option(
    "--out",
    "-o",
    type=click.Path(path_type=Path),
    help="Output folder for metrics.json and cases.csv.",
)
@click.option(
    "--predictions",
    type=click.Path(path_type=Path),
    metavar="DIR",
    help="Score the label maps in this folder, for instance the output folder of xrayseg batch, "
    "instead of running a network.",
)
@engine_options
@click.option(
    "--spacing",
    type=pixel_spacing,
    metavar="MM",
    help="Pixel spacing of the masks in mm, for distances.  [default: from the radiographs]",
)
@click.option(
    "--clinical",
    type=click.Path(path_type=Path),
    help="Folder of the JSRT clinical tables; adds scores per patient group.",
)
@click.option(
    "--part",
    type=click.Choice(["all", "validation", "test"]),
    default="all",
    show_default=True,
    help="Score only the cases that the model card lists as this part of the split. With "
    "--data-sets, one that the card does not list is divided by its own shares.",
)
def command(
    out: Path | None,
    predictions: Path | None,
    spacing: float | None,
    clinical: Path | None,
    part: str,
    **options: Any,
) -> int:
    """Score weights, or existing label maps, against reference masks.

    Reports Dice, Jaccard, average symmetric surface distance and 95 % Hausdorff distance per
    organ, at the resolution of the masks, and the cases with the lowest Dice. Organs that the masks
    do not show are not scored. Each data set of --data-sets has its own tables. With --out,
    metrics.json and cases.csv hold all cases.

    Exit status: 1 if a case has no label map in the folder of --predictions.
    """
    from ..data.clinical import read_clinical
    from ..evaluation.parts import find_scored_cases
    from ..evaluation.predictions import find_predictions
    from ..evaluation.summary import summarise
    from ..models.model_folder import trained_names
    from ..segmenter import Segmenter
    from . import console
    from .metrics import show

    if predictions:
        _check_predictions(part, options)
    datasets = _datasets(options)
    cases = find_scored_cases(datasets)
    source: Segmenter | Predictions
    if predictions:
        source = find_predictions(predictions)
    else:
        engine = {name: options[name] for name in _ENGINE_OPTIONS}
        source = Segmenter(options["weights"], **engine)
    segmenter = source if isinstance(source, Segmenter) else None
    if part != "all":
        cases = _part(datasets, cases, part, segmenter, options)
    for dataset in datasets:
        if not any(case.dataset == dataset.name for case in cases):
            why = "has no masks" if dataset.masks is None else f"has no {part} case"
            console.line(f"{dataset.name}: {why}; it is not scored")
    patients = read_clinical(clinical) if clinical else None
    scores, missing = _score(source, cases, spacing)
    trained_on = trained_names(segmenter.model) if segmenter else None
    metrics = summarise(scores, patients=patients, trained_on=trained_on or ())
    if segmenter:
        metrics |= {"weights": segmenter.model.name, "engine": segmenter.engine.name}
    else:
        names = [case.name for case in missing]
        metrics |= {"predictions": str(predictions), "without_prediction": names}
    show(metrics)
    if out:
        _write(out, metrics, scores, missing, trained_on)
    return 1 if missing else 0


def _datasets(options: dict[str, Any]) -> tuple[Dataset, ...]:
    """The data sets of ``--data-sets``, or one without a name of ``--images`` and ``--masks``."""
    from ..data.datasets import Dataset, read_datasets

    images, masks, file = (options[name] for name in ("images", "masks", "data_sets"))
    if file is None:
        if images is None or masks is None:
            raise click.UsageError("give --images and --masks, or --data-sets")
        if options["data"]:
            raise click.UsageError("--data is for the paths in --data-sets; give that, too")
        shown = annotation(options["organs"], options["lungs_include"])
        return (Dataset("", images, masks, shown, label_maps=options["label_maps"]),)
    given = [
        f"--{name.replace('_', '-')}"
        for name in ("images", "masks", "organs", "lungs_include", "label_maps")
        if options[name]
    ]
    if given:
        raise click.UsageError(f"{given[0]} is not for --data-sets: write it into {file}")
    return read_datasets(file, root=options["data"])


def _check_predictions(part: str, options: dict[str, Any]) -> None:
    """Refuse options that need weights."""
    source = click.get_current_context().get_parameter_source
    for name in ("weights", *_ENGINE_OPTIONS):
        if source(name) is click.core.ParameterSource.COMMANDLINE:
            raise click.UsageError(f"--{name} is not for --predictions, which runs no network")
    if part != "all" and options["data_sets"] is None:
        raise click.UsageError(
            f"--part {part} needs a model card, which --predictions does not read; give "
            "--data-sets with shares, or --images with these radiographs alone"
        )


def _part(
    datasets: tuple[Dataset, ...],
    cases: list[Case],
    part: str,
    segmenter: Segmenter | None,
    options: dict[str, Any],
) -> list[Case]:
    """The cases of a part of the split.

    Raises:
        DatasetError: there is none.
    """
    from ..errors import DatasetError
    from ..evaluation.parts import select_part

    by_shares = options["data_sets"] is not None
    card = segmenter.model.card if segmenter else {}
    chosen = select_part(datasets, cases, part, card, by_shares=by_shares)
    if not chosen:
        where = options["data_sets"] if by_shares else options["images"]
        of = f" of {segmenter.model.name}'s model card" if segmenter else ""
        raise DatasetError(f"{where}: has no {part} case{of}; use --part all")
    return chosen


def _score(
    source: Segmenter | Predictions, cases: list[Case], spacing: float | None
) -> tuple[list[CaseScores], list[Case]]:
    """Score what a segmenter predicts, or existing label maps: scores, and cases without any.

    Raises:
        DatasetError: there is no label map of any case.
    """
    from ..errors import DatasetError
    from ..evaluation.predictions import Predictions, score_predictions
    from ..evaluation.scoring import evaluate
    from . import console

    with console.bar("scoring", len(cases)) as bar:
        if not isinstance(source, Predictions):
            return evaluate(source, cases, spacing=spacing, on_progress=bar.move), []
        scores, missing = score_predictions(source, cases, spacing=spacing, on_progress=bar.move)
    if not scores:
        raise DatasetError(
            f"{source.folder}: has no label map of these {len(cases)} cases; a label map has the "
            f"name of its radiograph, for instance {cases[0].name}.tif"
        )
    for case in missing:
        console.failure(f"{case.image}: has no label map in {source.folder}")
    return scores, missing


def _write(
    out: Path,
    metrics: dict[str, Any],
    scores: list[CaseScores],
    missing: list[Case],
    trained_on: frozenset[str] | None,
) -> None:
    """Write metrics.json and cases.csv into a folder."""
    from .._util.files import write_text
    from ..evaluation.case_table import write_case_table

    out.mkdir(parents=True, exist_ok=True)
    write_text(out / "metrics.json", json.dumps(metrics, indent=2) + "\n")
    write_case_table(out / "cases.csv", scores, missing=missing, trained_on=trained_on)
