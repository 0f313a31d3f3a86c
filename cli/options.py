"""Option types and options that several commands share."""

from __future__ import annotations

import math
import os
import sys
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any

import click

from ..data.annotation import FULL, Annotation
from ..models.model_folder import DEFAULT_WEIGHTS, WEIGHTS_VARIABLE
from ..outputs import KINDS
from ..readers.spacing import HIGHEST_MM, LOWEST_MM


def shape(value: str) -> tuple[int, int]:
    """Parse ``HxW``: ``2048x2048`` is (2048, 2048)."""
    height, _, width = value.lower().partition("x")
    if not (height.isdigit() and width.isdigit() and int(height) and int(width)):
        raise click.BadParameter(f"{value!r}: give height x width in pixels, such as 2048x2048")
    return int(height), int(width)


def shard(value: str) -> tuple[int, int]:
    """Parse ``I/N``: ``2/8`` is (2, 8)."""
    index, _, count = value.partition("/")
    if not (index.isdigit() and count.isdigit() and 1 <= int(index) <= int(count)):
        raise click.BadParameter(f"{value!r}: give I/N with I from 1 to N, such as 2/8")
    return int(index), int(count)


def positive(value: str) -> float:
    """Parse a finite number above 0."""
    try:
        number = float(value)
    except ValueError:
        number = math.nan
    if not 0 < number < math.inf:
        raise click.BadParameter(f"{value!r}: give a number above 0")
    return number


def pixel_spacing(value: str) -> float:
    """Parse a pixel spacing in mm that a radiograph can have."""
    number = positive(value)
    if not LOWEST_MM <= number <= HIGHEST_MM:
        raise click.BadParameter(
            f"{value!r}: give a pixel spacing of {LOWEST_MM:g} to {HIGHEST_MM:g} mm"
        )
    return number


def kinds(value: str) -> tuple[str, ...]:
    """Parse a list of output kinds: ``labels,overlay`` is (``labels``, ``overlay``)."""
    words = tuple(dict.fromkeys(word.strip() for word in value.split(",") if word.strip()))
    if not words or any(word not in KINDS for word in words):
        raise click.BadParameter(f"{value!r}: choose from {', '.join(KINDS)}, with commas between")
    return words


def organs(value: str) -> tuple[str, ...]:
    """Parse a list of organs: ``lungs,heart`` is (``lungs``, ``heart``)."""
    words = tuple(dict.fromkeys(word.strip() for word in value.split(",") if word.strip()))
    if not words or any(word not in FULL.organs for word in words):
        names = ", ".join(FULL.organs)
        raise click.BadParameter(f"{value!r}: choose from {names}, with commas between")
    return words


def annotation(shown: tuple[str, ...] | None, lungs_include: tuple[str, ...] | None) -> Annotation:
    """What masks show, by the values of ``--organs`` and ``--lungs-include``, None where not given.

    Raises:
        BadParameter: lungs include themselves.
    """
    try:
        return Annotation(shown or FULL.organs, lungs_include or ())
    except ValueError as error:
        raise click.BadParameter(str(error), param_hint="--lungs-include") from error


def listed(inputs: Iterable[str]) -> list[str]:
    """Replace each ``-`` in a list of inputs by the lines of standard input."""
    names: list[str] = []
    for name in inputs:
        if name == "-":
            names += [line.rstrip("\r\n") for line in _input_lines() if line.strip()]
        else:
            names.append(name)
    if not names:
        raise click.UsageError("standard input names no files")
    return names


def _input_lines() -> list[str]:
    if sys.stdin is None:
        raise click.UsageError("standard input is closed; give the names as arguments")
    try:
        # Read bytes where possible: file names need not be valid text.
        return list(map(os.fsdecode, getattr(sys.stdin, "buffer", sys.stdin)))
    except OSError as error:
        reason = error.strerror or error
        raise click.UsageError(f"standard input: cannot be read: {reason}") from error


def case_options(command: Callable[..., None]) -> Callable[..., None]:
    """Add options for a folder of radiographs with reference masks to a command.

    These are ``--images`` and ``--masks``, both required, and what the masks show: ``--organs``,
    ``--lungs-include`` and ``--label-maps``.
    """
    return _add_case_options(command, required=True)


def optional_case_options(command: Callable[..., Any]) -> Callable[..., Any]:
    """Add the options of ``case_options``, none of them required, to a command."""
    return _add_case_options(command, required=False)


def data_options(command: Callable[..., Any]) -> Callable[..., Any]:
    """Add the options of ``optional_case_options``, and a list of data sets in their place."""
    for option in (
        click.option(
            "--data",
            type=click.Path(path_type=Path),
            metavar="ROOT",
            help="Folder where the relative paths of --data-sets start.  [default: that of FILE]",
        ),
        click.option(
            "--data-sets",
            type=click.Path(path_type=Path),
            metavar="FILE",
            help="TOML file that lists data sets, instead of --images and --masks.",
        ),
    ):
        command = option(command)
    return optional_case_options(command)


def _add_case_options(command: Callable[..., Any], *, required: bool) -> Callable[..., Any]:
    for option in (
        click.option(
            "--label-maps", is_flag=True, help="The masks are label maps, as TIFF or PNG."
        ),
        click.option(
            "--lungs-include",
            type=organs,
            metavar="ORGANS",
            help="Organs without masks whose area within the lung field belongs to the lung masks, "
            "such as clavicles,heart.",
        ),
        click.option(
            "--organs",
            type=organs,
            metavar="ORGANS",
            help="Organs that the masks show, such as lungs,heart.  [default: all]",
        ),
        click.option(
            "--masks",
            type=click.Path(path_type=Path),
            required=required,
            help="Folder of reference masks: in the layout of the SCR database, of one organ (see "
            "--organs), or of label maps (see --label-maps).",
        ),
        click.option(
            "--images",
            type=click.Path(path_type=Path),
            required=required,
            help="Folder of radiographs.",
        ),
    ):
        command = option(command)
    return command


def engine_options(command: Callable[..., Any]) -> Callable[..., Any]:
    """Add ``--weights``, ``--engine``, ``--precision`` and ``--device`` to a command."""
    from ..models.engines import ENGINES, PRECISIONS

    for option in (
        click.option(
            "--device",
            default="auto",
            show_default=True,
            metavar="NAME",
            help="Device of the engine: auto, cpu, gpu or gpu:N.",
        ),
        click.option(
            "--precision",
            type=click.Choice(PRECISIONS),
            default="auto",
            show_default=True,
            help="Precision of the computation.",
        ),
        click.option(
            "--engine",
            type=click.Choice(ENGINES),
            default="auto",
            show_default=True,
            help="Inference engine: auto uses TensorFlow on a GPU and LiteRT on a CPU.",
        ),
        click.option(
            "--weights",
            metavar="NAME|DIR",
            envvar=WEIGHTS_VARIABLE,
            show_envvar=True,
            help=f"Name of shipped weights, or a model folder.  [default: {DEFAULT_WEIGHTS}]",
        ),
    ):
        command = option(command)
    return command
