"""The command ``xrayseg phantom``."""

from __future__ import annotations

from pathlib import Path

import click


@click.command()
@click.option("--out", "-o", type=click.Path(path_type=Path), required=True, help="Output folder.")
@click.option(
    "--count", type=click.IntRange(1), default=8, show_default=True, help="Number of phantoms."
)
@click.option(
    "--seed",
    type=click.IntRange(0),
    default=0,
    show_default=True,
    help="Seed of the first phantom.",
)
def command(out: Path, count: int, seed: int) -> None:
    """Make synthetic radiographs (phantoms) with reference masks.

    OUT/images holds JSRT-format files (2048 x 2048, 12 bits, big-endian), OUT/scr their masks in
    the layout of the SCR database. The same seed gives the same files.
    """
    from ..data.phantom import write_phantoms
    from . import console

    with console.bar("phantoms", count) as bar:
        names = write_phantoms(out, count, seed=seed, on_progress=bar.move)
    console.say(f"{len(names)} phantoms in {out / 'images'}, masks in {out / 'scr'}")
