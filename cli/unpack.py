"""``xrayseg unpack``"""

from __future__ import annotations

from pathlib import Path

import click


@click.command(no_args_is_help=True)
@click.argument(
    "shards",
    nargs=-1,
    required=True,
    metavar="SHARD...",
    type=click.Path(path_type=Path, exists=True),
)
@click.option("--out", "-o", type=click.Path(path_type=Path), required=True, help="Output folder.")
def command(shards: tuple[Path, ...], out: Path) -> None:
    """Turn what `xrayseg batch --output-format parquet` wrote into files and results.csv.

    SHARD is a part-*.parquet, or a folder of them. The files are those that the batch would have
    written without that option, byte for byte.
    """
    from ..batch.unpack import unpack
    from . import console

    rows = unpack(shards, out)
    failed = sum(row["status"] == "failed" for row in rows)
    console.say(f"{len(rows)} inputs, {failed} failed; one row per input: {out / 'results.csv'}")
