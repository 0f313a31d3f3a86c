"""Options that several commands share."""

from __future__ import annotations

import math
from collections.abc import Callable

import click

from ..model_card import WEIGHTS_VARIABLE
from ..writers import KINDS


def shape(value: str) -> tuple[int, int]:
    """Turn ``2048x2048`` into (2048, 2048)."""
    height, _, width = value.lower().partition("x")
    if not (height.isdigit() and width.isdigit() and int(height) and int(width)):
        raise click.BadParameter(f"{value!r}: give height x width in pixels, such as 2048x2048")
    return int(height), int(width)


def shard(value: str) -> tuple[int, int]:
    """Turn ``2/8`` into (2, 8)."""
    index, _, count = value.partition("/")
    if not (index.isdigit() and count.isdigit() and 1 <= int(index) <= int(count)):
        raise click.BadParameter(f"{value!r}: give I/N with I from 1 to N, such as 2/8")
    return int(index), int(count)


def positive(value: str) -> float:
    """Turn ``0.175`` into 0.175; nan and inf are refused."""
    try:
        number = float(value)
    except ValueError:
        number = math.nan
    if not 0 < number < math.inf:
        raise click.BadParameter(f"{value!r}: give a number above 0")
    return number


def kinds(value: str) -> tuple[str, ...]:
    """Turn ``labels,overlay`` into a tuple."""
    words = tuple(dict.fromkeys(word.strip() for word in value.split(",") if word.strip()))
    if not words or any(word not in KINDS for word in words):
        raise click.BadParameter(f"{value!r}: choose from {', '.join(KINDS)}, with commas between")
    return words


def engine_options(command: Callable[..., None]) -> Callable[..., None]:
    """``--weights``, ``--engine``, ``--precision`` and ``--device``, as in the library."""
    from ..engines import ENGINES, PRECISIONS

    for option in (
        click.option("--device", default="auto", help="auto, cpu, gpu or gpu:N.", metavar="NAME"),
        click.option(
            "--precision", type=click.Choice(PRECISIONS), default="auto", help="What to compute in."
        ),
        click.option(
            "--engine",
            type=click.Choice(ENGINES),
            default="auto",
            help="TensorFlow or LiteRT; auto takes TensorFlow on a GPU, LiteRT on a CPU.",
        ),
        click.option(
            "--weights",
            metavar="NAME|DIR",
            envvar=WEIGHTS_VARIABLE,
            help="Shipped weights or a model folder.",
        ),
    ):
        command = option(command)
    return command
