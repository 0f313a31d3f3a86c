"""The command ``xrayseg train``."""

from __future__ import annotations

import re
from contextlib import ExitStack
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click
from click.core import ParameterSource

from ..models.network import FILTERS, check_size
from ..training.config import PHANTOM_POOL, TRAINING_CONFIGS
from ..training.run_record import RECORD_FILE
from . import console
from .options import annotation, optional_case_options, pixel_spacing, positive, shard
from .train_progress import TrainingDisplay

if TYPE_CHECKING:
    from ..training.config import TrainingConfig
    from ..training.hosts import Hosts
    from ..training.run import TrainingResult

_PRECISIONS = ("auto", "float32", "bfloat16")


def _read_fold(
    context: click.Context, option: click.Parameter, value: str | None
) -> tuple[int, int] | None:
    if value is None:
        return None
    match = re.fullmatch(r"(\d+)/(\d+)", value)
    fold, folds = map(int, match.groups()) if match else (0, 0)
    if folds < 2 or not 1 <= fold <= folds:
        raise click.BadParameter(
            f"{value!r}: give K/N with K from 1 to N and N at least 2, such as 1/5"
        )
    return fold, folds


@click.command()
@optional_case_options
@click.option(
    "--config",
    "plan_file",
    type=click.Path(path_type=Path),
    metavar="FILE",
    help="Training plan, a TOML file with data sets, settings and stages, instead of --images, "
    "--masks and the settings below.",
)
@click.option(
    "--data",
    type=click.Path(path_type=Path),
    metavar="DIR",
    help="Folder where the paths in --config start.  [default: the file's folder]",
)
@click.option("--out", "-o", type=click.Path(path_type=Path), required=True, help="Run folder.")
@click.option("--name", help="Name of the weights.  [default: name of the run folder]")
@click.option(
    "--recipe",
    type=click.Choice(list(TRAINING_CONFIGS)),
    default="standard",
    show_default=True,
    help="Training configuration: this project's (standard) or the 2019 study's (paper). The "
    "options below change single settings.",
)
@click.option(
    "--arch",
    "network",
    type=click.Choice(list(FILTERS)),
    help="Network.  [default: that of --init, or inverted-net]",
)
@click.option(
    "--size",
    type=click.IntRange(8),
    help="Side of the network's input grid in pixels.  [default: that of --init, or 128]",
)
@click.option(
    "--epochs", type=click.IntRange(1), help="Largest number of epochs.  [default: 50; paper 1000]"
)
@click.option(
    "--batch-size", type=click.IntRange(1), help="Number of cases per step.  [default: 4; paper 32]"
)
@click.option(
    "--learning-rate",
    type=positive,
    metavar="NUMBER",
    help="Learning rate.  [default: 0.0007; paper 1]",
)
@click.option(
    "--dropout",
    type=click.FloatRange(0, 1, max_open=True),
    metavar="SHARE",
    help="Fraction of features dropped.  [default: 0.1; inverted-net-fast 0.05; unet 0.5]",
)
@click.option(
    "--phantoms",
    type=click.IntRange(0, PHANTOM_POOL),
    help="Number of synthetic cases mixed into each epoch.  [default: 16; paper 0]",
)
@click.option(
    "--patience",
    type=click.IntRange(1),
    help="Stop after this many epochs without a higher validation accuracy, and use the best "
    "epoch's weights.  [default: never; paper 100]",
)
@click.option(
    "--precision",
    type=click.Choice(_PRECISIONS),
    help="Precision of the computation.  [default: auto; paper float32]",
)
@click.option(
    "--seed",
    type=click.IntRange(0),
    default=0,
    show_default=True,
    help="Seed of the split, weights, dropout, order and augmentation.",
)
@click.option(
    "--fold",
    metavar="K/N",
    callback=_read_fold,
    help="Fold of a cross-validation: hold out fold K of N for validation.",
)
@click.option(
    "--init",
    metavar="NAME|DIR",
    help="Initial weights: a shipped name or a model folder.  [default: random]",
)
@click.option(
    "--labels-from",
    metavar="NAME|DIR",
    help="Weights whose predictions fill in the organs that the masks do not show: a shipped name "
    "or a model folder.  [default: none, these organs stay open]",
)
@click.option(
    "--ema",
    type=click.FloatRange(0, 1, min_open=True, max_open=True),
    metavar="DECAY",
    help="Keep a moving average of the weights with this decay per step, such as 0.99.",
)
@click.option(
    "--spacing",
    type=pixel_spacing,
    metavar="MM",
    help="Pixel spacing of the masks in mm, for distances.",
)
@click.option(
    "--devices",
    type=click.IntRange(1),
    help="Number of GPUs that share each batch, with JAX.  [default: 1, without JAX]",
)
@click.option(
    "--host",
    type=shard,
    metavar="I/N",
    help="Train on N hosts that share each batch; this is host I. Run the same command on each. "
    "--devices counts the GPUs of each host.",
)
@click.option(
    "--coordinator",
    metavar="ADDRESS:PORT",
    help="Address of the first host, with a port that is free there.",
)
@click.option("--resume", is_flag=True, help="Continue from the last complete epoch in --out.")
@click.option(
    "--finish",
    is_flag=True,
    help="Stop training: export and score the network that --out has so far.",
)
def command(
    images: Path | None,
    masks: Path | None,
    organs: tuple[str, ...] | None,
    lungs_include: tuple[str, ...] | None,
    label_maps: bool,
    plan_file: Path | None,
    data: Path | None,
    out: Path,
    name: str | None,
    recipe: str,
    precision: str | None,
    fold: tuple[int, int] | None,
    spacing: float | None,
    devices: int | None,
    host: tuple[int, int] | None,
    coordinator: str | None,
    resume: bool,
    finish: bool,
    **changes: Any,
) -> None:
    """Train a network on radiographs with reference masks.

    A ninth of the cases, chosen by the seed, is held out for validation. The run folder holds a
    checkpoint and the history of the epochs; at the end also learning curves, examples, a table
    of scores, and OUT/model for `xrayseg batch --weights OUT/model`.
    """
    from ..training.run import train
    from .metrics import show

    if plan_file is not None:
        _refuse_settings(click.get_current_context())
        _train_plan(plan_file, data, out, spacing=spacing, resume=resume)
        return
    if images is None or masks is None:
        raise click.UsageError("give --images and --masks, or --config")
    if data is not None:
        raise click.UsageError("--data is for --config")
    hosts = _hosts(host, coordinator)
    if precision is None and (resume or finish) and (out / RECORD_FILE).exists():
        precision = "auto"  # that of the run
    config = _config(recipe, {**changes, "precision": precision})
    with ExitStack() as stack:
        result = train(
            images,
            masks,
            out,
            annotation=annotation(organs, lungs_include),
            label_maps=label_maps,
            config=config,
            name=name,
            fold=fold,
            spacing=spacing,
            devices=devices or (1 if host else None),
            hosts=hosts,
            resume=resume,
            finish=finish,
            on_progress=TrainingDisplay(stack),
        )
    if result is None:  # the first host reports
        return
    _warn(result)
    show(result.metrics)
    console.say((out / "table.md").read_text())
    _say_how_to_use(result.model)


def _warn(result: TrainingResult) -> None:
    """Warn of organs that were left open, and of scores on cases that were trained on before."""
    from ..training.run import open_organs

    unknown = open_organs(result.split)
    if unknown and result.config.labels_from is None:
        console.warning(
            f"{' and '.join(unknown)}: the masks of some cases do not show them, and nothing "
            "filled them in, so they take up what is uncertain. Give --labels-from or --init."
        )
    if result.seen_before:
        console.warning(
            f"{len(result.seen_before)} of the cases held out were used to train "
            f"{result.config.init}: their scores are too high. Start from it with the same --seed "
            "and --recipe, or hold out other cases."
        )


def _train_plan(
    plan_file: Path, data: Path | None, out: Path, *, spacing: float | None, resume: bool
) -> None:
    """Train all stages of a plan, and show the scores of the last one."""
    from ..training.plan import read_plan
    from ..training.stages import train_plan
    from .metrics import show

    plan = read_plan(plan_file, root=data)
    with ExitStack() as stack:
        result = train_plan(
            plan,
            out,
            spacing=spacing,
            resume=resume,
            on_stage=lambda stage: console.line(f"stage {stage.name}"),
            on_progress=TrainingDisplay(stack),
        )
    _warn(result)
    if "cases" in result.metrics:  # not where it was finished before
        show(result.metrics)
    _say_how_to_use(result.model)


def _refuse_settings(context: click.Context) -> None:
    """Raise UsageError if an option is given that a training plan replaces."""
    allowed = {"plan_file", "data", "out", "spacing", "resume"}
    unsupported = {"finish", "devices", "host", "coordinator", "fold"}
    given = [
        parameter
        for parameter in context.command.params
        if parameter.name not in allowed
        and context.get_parameter_source(str(parameter.name)) is ParameterSource.COMMANDLINE
    ]
    if given:
        name = given[0].opts[0]
        advice = "" if given[0].name in unsupported else "; set it in that file"
        raise click.UsageError(f"{name} cannot be given with --config{advice}")


def _say_how_to_use(model: Path) -> None:
    console.say(f"Use it: xrayseg batch folder/ --weights {model} --out masks/")


def _config(recipe: str, changes: dict[str, Any]) -> TrainingConfig:
    """Apply the options that were given to a named configuration, and check network and size."""
    from ..training.build import network_and_size

    given = {key: value for key, value in changes.items() if value is not None}
    config = replace(TRAINING_CONFIGS[recipe], **given)
    try:
        check_size(*network_and_size(config))
    except ValueError as error:
        raise click.BadParameter(str(error), param_hint="--size") from error
    return config


def _hosts(host: tuple[int, int] | None, coordinator: str | None) -> Hosts:
    from ..training.hosts import SINGLE_HOST, Hosts

    if host is None:
        if coordinator is not None:
            raise click.UsageError("--coordinator needs --host I/N, the number of this host")
        return SINGLE_HOST
    try:
        return Hosts(*host, coordinator or "")
    except ValueError as error:
        raise click.BadParameter(str(error), param_hint="--coordinator") from error
