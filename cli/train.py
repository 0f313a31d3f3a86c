"""``xrayseg train``"""

from __future__ import annotations

import re
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from ..models.network import FILTERS
from ..training.config import PHANTOM_POOL, RECIPES
from .options import positive, shard

if TYPE_CHECKING:
    from ..data.cases import Case
    from ..data.splits import Split
    from ..training.config import Recipe
    from ..training.hosts import Hosts

_PRECISIONS = ("auto", "float32", "bfloat16")


def _read_fold(
    context: click.Context, option: click.Parameter, value: str | None
) -> tuple[int, int] | None:
    if value is None:
        return None
    match = re.fullmatch(r"(\d+)/(\d+)", value)
    fold, folds = map(int, match.groups()) if match else (0, 0)
    if folds < 2 or not 1 <= fold <= folds:
        raise click.BadParameter(f"{value!r} is not a fold such as 1/5")
    return fold, folds


@click.command()
@click.option("--images", type=click.Path(path_type=Path), required=True, help="Radiographs.")
@click.option("--masks", type=click.Path(path_type=Path), required=True, help="SCR masks.")
@click.option("--out", "-o", type=click.Path(path_type=Path), required=True, help="Run folder.")
@click.option("--name", help="Of the weights; the run folder's name if not given.")
@click.option(
    "--recipe",
    type=click.Choice(list(RECIPES)),
    default="standard",
    show_default=True,
    help="This project's, or the 2019 study's. The options below change single parts of it.",
)
@click.option("--arch", "network", type=click.Choice(list(FILTERS)), help="[inverted-net]")
@click.option("--size", type=click.IntRange(8), help="Grid side. [128]")
@click.option("--epochs", type=click.IntRange(1), help="[50; of the study 1000 at most]")
@click.option("--batch-size", type=click.IntRange(1), help="[4; of the study 32]")
@click.option("--learning-rate", type=positive, metavar="NUMBER")
@click.option(
    "--dropout",
    type=click.FloatRange(0, 1, max_open=True),
    metavar="SHARE",
    help="Of features, while training. [0.1; of U-Net 0.5]",
)
@click.option(
    "--phantoms", type=click.IntRange(0, PHANTOM_POOL), help="Mixed into each epoch. [16; 0]"
)
@click.option("--patience", type=click.IntRange(1), help="Stop early, keep the best. [none; 100]")
@click.option("--precision", type=click.Choice(_PRECISIONS), help="[auto; of the study float32]")
@click.option("--seed", type=click.IntRange(0), default=0, show_default=True)
@click.option(
    "--fold", metavar="K/N", callback=_read_fold, help="Cross-validate: hold out fold K of N."
)
@click.option("--init", metavar="NAME|DIR", help="Weights to start from.")
@click.option("--spacing", type=positive, metavar="MM", help="mm between mask pixels, for scores.")
@click.option(
    "--devices", type=click.IntRange(1), help="GPUs that share each batch, by JAX. [1, without JAX]"
)
@click.option(
    "--host",
    type=shard,
    metavar="I/N",
    help="This host is the I-th of N that share each batch, and run the same command. Each has "
    "--devices GPUs.",
)
@click.option("--coordinator", metavar="ADDRESS:PORT", help="The first host's; its port is free.")
@click.option("--resume", is_flag=True, help="Go on from the run folder's last whole epoch.")
@click.option("--finish", is_flag=True, help="Train no more: score and export what is there.")
def command(
    images: Path,
    masks: Path,
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
    """Train a network on radiographs with masks in the SCR layout.

    A seeded ninth of the cases validates. The run folder keeps a checkpoint and a line of
    history per epoch, and in the end curves, examples, a table and OUT/model, which
    `xrayseg batch --weights OUT/model` uses.
    """
    from ..data.cases import find_cases
    from ..models.network import check_size
    from ..training.publish import release
    from ..training.run_folder import RECORD_FILE, read_record
    from ..training.trainer import choose_policy
    from . import console
    from .metrics import show

    hosts = _hosts(host, coordinator)
    given = {key: value for key, value in changes.items() if value is not None}
    if precision is None and (resume or finish) and (out / RECORD_FILE).exists():
        given["precision"] = read_record(out)["recipe"]["precision"]  # of another machine, maybe
    elif precision is not None or recipe == "standard":
        given["precision"] = choose_policy(precision or "auto")
    chosen = replace(RECIPES[recipe], **given)
    try:
        check_size(chosen.network, chosen.size)
    except ValueError as error:
        raise click.BadParameter(str(error), param_hint="--size") from error
    split = _split(find_cases(images, masks), recipe, fold, chosen.seed)
    if hosts.first:
        console.line(f"{len(split.train)} cases to train on, {len(split.validation)} to validate")
    _train(out, split, chosen, devices or (1 if host else None), hosts, resume, finish)
    if not hosts.first:
        return
    seen = read_record(out).get("held_out_but_trained_before")
    if seen:
        console.doubt(
            f"{len(seen)} of the cases held out were trained on by {chosen.init}: the scores "
            "flatter. Start from it with the same --seed and recipe, or hold out other cases."
        )
    with console.bar("scoring", len(split.validation)) as bar:
        metrics = release(out, split, name or out.resolve().name, spacing, bar.move)
    show(metrics)
    console.say((out / "table.md").read_text())
    console.say(f"Use it: xrayseg batch folder/ --weights {out / 'model'} --out masks/")


def _split(cases: list[Case], recipe: str, fold: tuple[int, int] | None, seed: int) -> Split:
    from ..data.splits import STUDY_SHARES, fold_cases, split_cases

    if fold:
        return fold_cases(cases, *fold, seed=seed)
    if recipe == "paper":
        validation, test = STUDY_SHARES
        return split_cases(cases, seed=seed, validation=validation, test=test)
    return split_cases(cases, seed=seed)


def _hosts(host: tuple[int, int] | None, coordinator: str | None) -> Hosts:
    from ..training.hosts import ALONE, Hosts

    if host is None:
        if coordinator is not None:
            raise click.UsageError("--coordinator needs --host, which of the hosts this one is")
        return ALONE
    try:
        return Hosts(*host, coordinator or "")
    except ValueError as error:
        raise click.BadParameter(str(error), param_hint="--coordinator") from error


def _train(
    out: Path,
    split: Split,
    recipe: Recipe,
    devices: int | None,
    hosts: Hosts,
    resume: bool,
    finish: bool,
) -> None:
    from ..labels import ORGANS
    from ..training.devices import train_on_devices
    from ..training.trainer import train
    from . import console

    with console.bar("training", recipe.epochs, quiet=not hosts.first) as bar:

        def tell(row: dict[str, float]) -> None:
            overlaps = {organ.name: row[f"val_jaccard_{organ.name}"] for organ in ORGANS}
            dice = "  ".join(f"{name} {2 * j / (1 + j):.3f}" for name, j in overlaps.items())
            note = f"loss {row['loss']:.3f}  {row['images_per_s']:.1f} images/s"
            console.line(
                f"epoch {row['epoch']:.0f}/{recipe.epochs}  {note}  validation: "
                f"loss {row['val_loss']:.3f}  Dice {dice}"
            )
            bar.move(int(row["epoch"]), note)

        if devices is None:
            train(out, split, recipe, tell, resume, finish)
        else:
            train_on_devices(out, split, recipe, devices, tell, resume, finish, hosts)
