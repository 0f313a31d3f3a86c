"""``xrayseg measure``"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

import click

from .options import listed, positive


@click.command(no_args_is_help=True)
@click.argument("masks", nargs=-1, required=True, metavar="MASKS...")
@click.option(
    "--images",
    type=click.Path(path_type=Path, exists=True),
    help="Folder of the radiographs, for grey levels; each has its mask's name.",
)
@click.option("--spacing", type=positive, metavar="MM", help="mm between pixels.")
@click.option(
    "--out",
    "-o",
    type=click.Path(path_type=Path, allow_dash=True),
    default="-",
    show_default=True,
    help="A .csv or .parquet file, or - for standard output.",
)
def command(masks: tuple[str, ...], images: Path | None, spacing: float | None, out: Path) -> None:
    """Measure label maps that exist already.

    MASKS are TIFF or PNG files, folders (read at any depth), glob patterns, or - for a list of
    these on standard input: label maps as `xrayseg batch` writes them to labels/, with or without
    right and left told apart. The spacing is taken from --spacing, else from a TIFF's resolution,
    else from its radiograph.

    Writes the columns of results.csv, a row per label map. Exit status: 0 all measured, 1 some
    failed (each named with its reason), 2 wrong usage.
    """
    from ..batch.inputs import find_files, find_inputs
    from ..batch.measure import measure_files
    from ..batch.results.csv_table import write_csv, write_rows
    from ..batch.results.parquet import require_parquet, write_parquet
    from ..errors import OutputError
    from . import console

    suffix = out.suffix.lower()
    if str(out) != "-" and suffix not in (".csv", ".parquet"):
        raise click.UsageError(f"--out {out}: give a name that ends in .csv or .parquet, or -")
    if suffix == ".parquet":
        require_parquet()
    films = None
    if images is not None:
        films = {
            item.key: item.path
            for item in find_inputs([str(images)])
            if not item.problem and isinstance(item.path, Path)
        }
    failed = 0

    def told(rows: Iterable[dict[str, Any]]) -> Iterator[dict[str, Any]]:
        nonlocal failed
        for row in rows:
            if row["status"] != "ok":
                failed += 1
                console.failure(row["error"])
            yield row

    rows = told(measure_files(find_files(listed(masks)), films, spacing))
    try:
        if str(out) == "-":
            with click.open_file("-", "w", encoding="utf-8", errors="surrogateescape") as file:
                write_rows(file, rows)
        else:
            out.parent.mkdir(parents=True, exist_ok=True)
            (write_parquet if suffix == ".parquet" else write_csv)(out, rows)
    except BrokenPipeError:  # whoever listened has left: click ends the process quietly
        raise
    except OSError as error:
        raise OutputError(f"{out}: cannot be written: {error.strerror or error}") from error
    if failed:
        raise click.exceptions.Exit(1)
