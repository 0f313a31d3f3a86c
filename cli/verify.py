"""The command ``xrayseg verify``."""

from __future__ import annotations

import json
from dataclasses import asdict
from pathlib import Path

import click


@click.command()
@click.argument("out", type=click.Path(path_type=Path, exists=True, file_okay=False))
@click.option("--json", "as_json", is_flag=True, help="Print the result as one JSON object.")
def command(out: Path, as_json: bool) -> None:
    """Check the outputs of `xrayseg batch` against the journal of the run.

    OUT is an output folder. The check passes if every recorded file exists with the recorded
    SHA-256, there are no other files among them, the run was finished, and run.json and
    results.csv belong to it. Nothing is changed.

    Exit status: 0 all files are as recorded, 1 some are not (each named with what is wrong).
    """
    from ..batch.verify import verify
    from . import console

    found = verify(out)
    if as_json:
        click.echo(json.dumps(asdict(found)))
    for problem in found.problems:
        console.failure(problem)
    if not as_json:
        console.say(
            f"{found.files} files of {found.images} images checked, "
            f"{len(found.problems)} problems; {found.failed} inputs failed in the run"
        )
        if found.earlier:
            console.say(
                f"{found.earlier} of the files were written by earlier runs with other settings"
            )
    if found.problems:
        raise click.exceptions.Exit(1)
