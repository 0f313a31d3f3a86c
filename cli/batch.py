"""``xrayseg batch``"""

from __future__ import annotations

import json
import os
import sys
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from ..batch.fingerprint import VERIFY
from ..outputs import KINDS, check_kinds
from ..readers.limits import MAX_PIXELS
from .options import engine_options, kinds, listed, positive, shape, shard

if TYPE_CHECKING:
    from ..batch.executors import Executor
    from ..batch.journal import Record
    from ..batch.options import Summary
    from ..readers import RawLayout
    from ..segmenter import Segmenter
    from . import console

_FORMATS = {"tiff": ".tif", "png": ".png"}
#: Options of the command that BatchOptions has under the same names.
_SAME_NAMES = (
    *("save", "spacing", "inverted", "sides", "lines", "keep_ids", "output_format"),
    *("overwrite", "batch_size", "workers", "verify", "max_pixels", "parquet", "min_quality"),
    "adopt",
)


@click.command(no_args_is_help=True)
@click.argument("inputs", nargs=-1, required=True, metavar="INPUT...")
@click.option("--out", "-o", type=click.Path(path_type=Path), required=True, help="Output folder.")
@engine_options
@click.option("--batch-size", type=click.IntRange(1), help="Radiographs a step of the engine.")
@click.option(
    "--workers",
    type=click.IntRange(1),
    help="Threads or, for many films, processes that read and write.",
)
@click.option(
    "--save",
    type=kinds,
    metavar="LIST",
    default="labels,overlay",
    show_default=True,
    help=f"What to write: {', '.join(KINDS)}.",
)
@click.option(
    "--format",
    "suffix",
    type=click.Choice(list(_FORMATS)),
    default="tiff",
    show_default=True,
    help="Of label maps and organ masks.",
)
@click.option(
    "--sides",
    is_flag=True,
    help="Tell right and left lungs and clavicles apart, as the patient's: right is on the "
    "image's left.",
)
@click.option(
    "--raw-shape", type=shape, metavar="HxW", help="Headerless files that are not 2048x2048."
)
@click.option("--raw-dtype", type=click.Choice([">u2", "<u2", "u1"]), help="Their pixels.")
@click.option("--raw-header", type=click.IntRange(0), help="Bytes before their first pixel.")
@click.option("--spacing", type=positive, metavar="MM", help="mm between pixels.")
@click.option(
    "--invert/--no-invert",
    "inverted",
    default=None,
    help="Stored values are high where the film is dark, or where it is bright.",
)
@click.option("--auto-invert", is_flag=True, help="Believe the file, else look (the default).")
@click.option("--lines", is_flag=True, help="Draw the cardiothoracic ratio on overlays.")
@click.option(
    "--min-quality",
    type=click.FloatRange(0, 1),
    help="List films with a lower predicted Dice in distrusted.csv.",
)
@click.option("--parquet", is_flag=True, help="Write results.parquet, too.")
@click.option("--no-report", is_flag=True, help="Leave out report.html, the page to look through.")
@click.option("--overwrite", is_flag=True, help="Do again what is done already.")
@click.option(
    "--adopt",
    is_flag=True,
    help="Replace files in the output folder that xrayseg did not write, or that were changed.",
)
@click.option(
    "--verify",
    type=click.Choice(VERIFY),
    default=VERIFY[0],
    show_default=True,
    help="What, with its size, tells that an input is the same as before.",
)
@click.option(
    "--max-pixels",
    type=click.IntRange(1),
    default=MAX_PIXELS,
    show_default=True,
    help="Pixels times colours; a file that claims more is refused.",
)
@click.option("--keep-ids", is_flag=True, help="DICOM's patient ID and UIDs into results.csv.")
@click.option("--shard", type=shard, metavar="I/N", help="Do the I-th of N parts of the inputs.")
@click.option(
    "--output-format",
    type=click.Choice(["folder", "parquet"]),
    default="folder",
    show_default=True,
    help="A file per output, or rows of few files, which xrayseg unpack turns into files.",
)
@click.option(
    "--cluster",
    metavar="local|auto|ADDRESS",
    help="Work on a Ray cluster: started here, the one of this machine, or the one at an address.",
)
@click.option("--quiet", "-q", is_flag=True, help="Show failures only.")
@click.option("--verbose", "-v", is_flag=True, help="Name each image as it is done.")
@click.option("--json", "as_json", is_flag=True, help="Events as JSON lines on standard output.")
def command(**options: Any) -> None:
    """Segment folders of chest radiographs.

    INPUT is a file, a folder (read at any depth), a glob pattern, a URL of any of these in an
    object store (s3://bucket/folder), or - for a list of these on standard input. Formats are
    told by content: JSRT raw, PNG, TIFF, JPEG and others.

    Writes labels/ and overlay/, results.csv with a row per input, report.html to look through,
    and run.json. What an earlier
    run did with the same input, weights and settings is kept. Label maps: 0 background,
    1 clavicles, 2 heart, 3 lungs; with --sides 1 right clavicle, 2 heart, 3 right lung,
    4 left clavicle, 5 left lung. --save rle and contours also make coco.json of all images, and
    chexmask makes chexmask.csv; docs/outputs.md describes each kind.
    `xrayseg verify OUT` checks the outputs later.

    Exit status: 0 all done, 1 some failed (each named with its reason), 2 wrong usage,
    130 interrupted.
    """
    from ..batch.options import BatchOptions, Shard
    from ..batch.run import run_batch
    from ..errors import OutputError

    if options["auto_invert"] and options["inverted"] is not None:
        raise click.UsageError("--auto-invert contradicts --invert and --no-invert")
    try:
        check_kinds(options["save"])
    except OutputError as error:
        raise click.UsageError(str(error)) from error
    names = listed(options["inputs"])
    progress = _Progress(
        options["quiet"], options["verbose"], options["as_json"], not options["no_report"]
    )
    batch_options = BatchOptions(
        suffix=_FORMATS[options["suffix"]],
        raw=_raw_layout(options),
        report=not options["no_report"],
        **{name: options[name] for name in _SAME_NAMES},
    )
    with _segmenter_and_executor(options) as (segmenter, executor), progress.shown():
        summary = run_batch(
            names,
            options["out"],
            segmenter=segmenter,
            options=batch_options,
            shard=Shard(*options["shard"]) if options["shard"] else None,
            executor=executor,
            on_progress=progress,
        )
    progress.end(summary, options["out"])
    if summary.interrupted:
        raise click.exceptions.Exit(130)
    if summary.failed:
        raise click.exceptions.Exit(1)


@contextmanager
def _segmenter_and_executor(
    options: dict[str, Any],
) -> Iterator[tuple[Segmenter, Executor | None]]:
    """What segments, and where: here, or on the cluster that is asked for."""
    from ..segmenter import Segmenter

    how = {name: options[name] for name in ("engine", "precision", "device")}
    if options["cluster"] is None:
        yield Segmenter(options["weights"], **how), None
        return
    from ..batch.executors.ray_cluster import RayExecutor
    from ..batch.executors.ray_cluster.nodes import connected
    from ..batch.executors.ray_cluster.tasks import plan_engine
    from ..models.model_folder import load_model

    with connected(options["cluster"]):
        model = load_model(options["weights"])
        yield Segmenter(model, engine=plan_engine(model, **how)), RayExecutor()


def _raw_layout(options: dict[str, Any]) -> RawLayout | None:
    """The layout of headerless files; None for JSRT's, which also states the spacing."""
    from ..readers import RawLayout

    given = {
        field: options[option]
        for field, option in (
            ("shape", "raw_shape"),
            ("dtype", "raw_dtype"),
            ("header", "raw_header"),
        )
        if options[option] is not None
    }
    return RawLayout(**given) if given else None


def _remarks(row: dict[str, Any]) -> str:
    return "; ".join(filter(None, (row.get("warnings"), row.get("notes"))))


class _Progress:
    """Progress of a batch, as a bar, as lines, or as JSON."""

    #: In a log, about so many lines in a run.
    _LINES = 20

    def __init__(self, quiet: bool, verbose: bool, as_json: bool, page: bool) -> None:
        self.quiet, self.verbose, self.as_json, self.page = quiet, verbose, as_json, page
        self._bar: console.Bar | None = None
        self._stack = ExitStack()

    @contextmanager
    def shown(self) -> Iterator[None]:
        """Show the bar within the block, from the first report on."""
        with self._stack:
            yield

    def __call__(self, summary: Summary, record: Record | None) -> None:
        """Show the summary so far, and what became of an input."""
        from . import console

        if record is None or self._bar is None:
            hidden = self.quiet or self.as_json
            self._bar = self._stack.enter_context(console.bar("segmenting", summary.total, hidden))
        if record is None:
            return
        if self.as_json:
            self._report({"event": "image", "key": record.key, **record.row})
        if not record.done:
            console.failure(record.row["error"])
        elif not self.quiet and (remarks := _remarks(record.row)):
            console.doubt(f"{record.row['input']}: {remarks}")
        elif self.verbose:
            console.line(f"done {record.row['input']}")
        rate = f"{summary.done / max(summary.seconds, 1e-9):.1f} images/s"
        failed = f", {summary.failed} failed" if summary.failed else ""
        self._bar.move(summary.processed, rate + failed)
        step = max(1, summary.total // self._LINES)
        is_log = not (self.quiet or self.as_json or console.err.is_terminal)
        if is_log and summary.processed % step == 0:
            done = summary.done + summary.kept
            console.line(f"{done}/{summary.total} done{failed}, {rate}")

    def _report(self, facts: dict[str, Any]) -> None:
        try:
            click.echo(json.dumps(facts))
        except BrokenPipeError:  # whoever listened has left; the batch goes on
            sys.stdout = Path(os.devnull).open("w")  # noqa: SIM115 - until the process ends

    def end(self, summary: Summary, out: Path) -> None:
        """The last words: a JSON line or a table, and where to look."""
        from . import console

        counts = {name: summary.counts[name] for name in ("done", "kept", "failed")}
        if self.as_json:
            facts = {"total": summary.total, **counts, "interrupted": summary.interrupted}
            if summary.distrusted is not None:
                facts["distrusted"] = summary.distrusted
            self._report({"event": "summary", "out": str(out), **facts})
        elif not self.quiet:
            rate = f"{summary.done / max(summary.seconds, 1e-9):.1f}"
            columns = ["inputs", "done", "kept from before", "failed", "seconds", "images/s"]
            cells = [summary.total, *counts.values(), f"{summary.seconds:.1f}", rate]
            console.table("", columns, [[str(cell) for cell in cells]])
            if summary.distrusted:
                console.say(f"{summary.distrusted} to distrust, worst first: {out}/distrusted.csv")
            page = f"   To look through: {out / 'report.html'}" if self.page else ""
            console.say(
                f"Masks and overlays: {out}   One row per input: {out / 'results.csv'}{page}"
            )
        if summary.interrupted:
            console.line("interrupted: what was finished is kept; run the same command to go on")
