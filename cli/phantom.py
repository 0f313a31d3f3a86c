"""``xrayseg phantom``"""

from __future__ import annotations

from pathlib import Path

import click


@click.command()
@click.option("--out", "-o", type=click.Path(path_type=Path), required=True, help="Folder to fill.")
@click.option("--count", type=click.IntRange(1), default=8, show_default=True)
@click.option("--seed", type=click.IntRange(0), default=0, show_default=True, help="Of the first.")
def command(out: Path, count: int, seed: int) -> None:
    """Make synthetic radiographs with true masks.

    OUT/images holds JSRT-format files (2048 x 2048, 12 bits, big-endian), OUT/scr their masks in
    the layout of the SCR database. The same seed gives the same films.
    """
    from ..data.phantom import write_phantoms
    from . import console

    with console.bar("phantoms", count) as bar:
        names = write_phantoms(out, count, seed, tell=bar.move)
    console.say(f"{len(names)} phantoms in {out / 'images'}, their masks in {out / 'scr'}")
