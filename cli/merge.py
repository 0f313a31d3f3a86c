"""The command ``xrayseg merge``."""

from __future__ import annotations

from pathlib import Path

import click


@click.command(no_args_is_help=True)
@click.argument(
    "folders",
    nargs=-1,
    required=True,
    metavar="FOLDER...",
    type=click.Path(path_type=Path, exists=True, file_okay=False),
)
@click.option(
    "--out",
    "-o",
    type=click.Path(path_type=Path),
    help="Output folder; required for several FOLDERs.  [default: FOLDER]",
)
@click.option(
    "--adopt", is_flag=True, help="Replace files in the output folder that no run has written."
)
def command(folders: tuple[Path, ...], out: Path | None, adopt: bool) -> None:
    """Merge the shards that `xrayseg batch --shard I/N` wrote to one or several folders.

    Writes the files of a run without shards: results.csv in the order of the inputs, report.html,
    run.json and the others. If OUT is another folder, the masks are copied into it. A later
    `xrayseg batch --out OUT` keeps the outputs of the shards.

    Exit status: 0 all inputs of all shards done, 1 shards are missing or inputs failed,
    2 wrong usage.
    """
    from ..batch.merge import merge
    from . import console

    if out is None and len(folders) > 1:
        raise click.UsageError("several folders: give the folder to merge them into as --out")
    out = out or folders[0]
    merged = merge(folders, out, adopt=adopt)
    for index in merged.missing:
        console.failure(f"shard {index}/{merged.count} is missing or unfinished")
    for note in merged.notes:
        console.warning(f"the masks: {note}")
    console.say(
        f"{merged.rows} inputs, {merged.failed} failed; one row per input: {out / 'results.csv'}"
    )
    if merged.missing:
        shards = " ".join(f"{index}/{merged.count}" for index in merged.missing)
        console.say(f"Run these with --shard, then merge again: {shards}")
    if merged.missing or merged.failed:
        raise click.exceptions.Exit(1)
