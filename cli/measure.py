"""The command ``xrayseg measure``."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

import click

from .options import listed, pixel_spacing


@click.command(no_args_is_help=True)
@click.argument("masks", nargs=-1, required=True, metavar="MASKS...")
@click.option(
    "--images",
    type=click.Path(path_type=Path, exists=True),
    help="Folder of the radiographs, for grey levels. A radiograph has the name of its label map.",
)
@click.option(
    "--spacing",
    type=pixel_spacing,
    metavar="MM",
    help="Pixel spacing in mm.  [default: from the label map, else from the radiograph]",
)
@click.option(
    "--out",
    "-o",
    type=click.Path(path_type=Path, allow_dash=True),
    default="-",
    show_default=True,
    help="Output file, .csv or .parquet; - for standard output.",
)
def command(masks: tuple[str, ...], images: Path | None, spacing: float | None, out: Path) -> None:
    """Measure existing label maps.

    MASKS are label maps: TIFF or PNG files, folders (read at any depth), glob patterns, or - for a
    list of these on standard input. They have the labels that `xrayseg batch` writes, with or
    without --sides. The pixel spacing is that of --spacing, else of the TIFF's resolution, else of
    the radiograph.

    Writes the columns of results.csv with one row per label map.

    Exit status: 0 all measured, 1 some failed (each named with its reason), 2 wrong usage.
    """
    from ..batch.inputs import find_files, find_inputs
    from ..batch.measure import measure_files
    from ..batch.results.csv_table import write_csv, write_rows
    from ..batch.results.parquet import require_parquet, write_parquet
    from ..errors import OutputError
    from . import console

    suffix = out.suffix.lower()
    if str(out) != "-" and suffix not in (".csv", ".parquet"):
        raise click.UsageError(
            f"--out {out}: unknown format; give a name that ends in .csv or .parquet, or -"
        )
    if suffix == ".parquet":
        require_parquet()
    radiographs = None
    if images is not None:
        radiographs = {
            item.key: item.path
            for item in find_inputs([str(images)])
            if not item.problem and isinstance(item.path, Path)
        }
    failed = 0

    def report_failures(rows: Iterable[dict[str, Any]]) -> Iterator[dict[str, Any]]:
        nonlocal failed
        for row in rows:
            if row["status"] != "ok":
                failed += 1
                console.failure(row["error"])
            yield row

    measured = measure_files(find_files(listed(masks)), images=radiographs, spacing=spacing)
    rows = report_failures(measured)
    try:
        if str(out) == "-":
            with click.open_file("-", "w", encoding="utf-8", errors="surrogateescape") as file:
                write_rows(file, rows)
        else:
            out.parent.mkdir(parents=True, exist_ok=True)
            (write_parquet if suffix == ".parquet" else write_csv)(out, rows)
    except BrokenPipeError:  # the reader has closed standard output; click exits quietly
        raise
    except OSError as error:
        name = "standard output" if str(out) == "-" else out
        raise OutputError(f"{name}: cannot be written: {error.strerror or error}") from error
    if failed:
        raise click.exceptions.Exit(1)
