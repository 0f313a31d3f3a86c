"""The command ``xrayseg unpack``."""

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
    """Convert the output of `xrayseg batch --output-format parquet` to files and results.csv.

    SHARD is a part-*.parquet file, or a folder of these. The files have the same bytes as those of
    a batch without that option.
    """
    from ..batch.unpack import unpack
    from . import console

    rows = unpack(shards, out)
    failed = sum(row["status"] == "failed" for row in rows)
    console.say(f"{len(rows)} inputs, {failed} failed; one row per input: {out / 'results.csv'}")
