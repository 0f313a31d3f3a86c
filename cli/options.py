"""Options that several commands share."""

from __future__ import annotations

import math
import os
import sys
from collections.abc import Callable, Iterable

import click

from ..models.model_folder import WEIGHTS_VARIABLE
from ..outputs import KINDS


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


def listed(inputs: Iterable[str]) -> list[str]:
    """The names given, with the lines of standard input in the place of each ``-``."""
    names: list[str] = []
    for name in inputs:
        if name == "-":
            # As bytes, where there are any: a name need not be text in any encoding.
            lines = map(os.fsdecode, getattr(sys.stdin, "buffer", sys.stdin))
            names += [line.rstrip("\r\n") for line in lines if line.strip()]
        else:
            names.append(name)
    if not names:
        raise click.UsageError("standard input names no files")
    return names


def engine_options(command: Callable[..., None]) -> Callable[..., None]:
    """``--weights``, ``--engine``, ``--precision`` and ``--device``, as in the library."""
    from ..models.engines import ENGINES, PRECISIONS

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
