"""The command ``xrayseg batch``."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from ..batch.fingerprint import VERIFY
from ..batch.options import STALL_TIMEOUT_S
from ..outputs import KINDS, check_kinds
from ..readers.limits import MAX_PIXELS
from .batch_progress import BatchProgress
from .options import engine_options, kinds, listed, pixel_spacing, shape, shard

if TYPE_CHECKING:
    from ..batch.executors import Executor
    from ..readers import RawLayout
    from ..segmenter import Segmenter

_FORMATS = {"tiff": ".tif", "png": ".png"}
#: Options that have the same name in BatchOptions.
_BATCH_OPTIONS = (
    *("save", "spacing", "inverted", "sides", "whole", "lines", "keep_ids", "output_format"),
    *("overwrite", "batch_size", "workers", "processes", "stall_timeout", "verify", "max_pixels"),
    *("parquet", "min_quality", "adopt", "orientation", "field_of_view"),
    *("include_all", "include_doubtful"),
)
#: Options that decide how the network is run.
_ENGINE_OPTIONS = ("engine", "precision", "device", "deterministic")


@click.command(no_args_is_help=True)
@click.argument("inputs", nargs=-1, required=True, metavar="INPUT...")
@click.option("--out", "-o", type=click.Path(path_type=Path), required=True, help="Output folder.")
@engine_options
@click.option(
    "--deterministic",
    is_flag=True,
    help="Compute the same label maps on any x86-64 processor with AVX2, some five times slower.",
)
@click.option(
    "--batch-size",
    type=click.IntRange(1),
    help="Number of images per engine call.  [default: chosen by the engine]",
)
@click.option(
    "--workers",
    type=click.IntRange(1),
    help="Number of processes, or threads, that read and write.  [default: one per core]",
)
@click.option(
    "--processes/--no-processes",
    default=None,
    help="Read and write in processes, so that a file that crashes a decoder costs only itself, or "
    "in threads.  [default: processes on Linux]",
)
@click.option(
    "--stall-timeout",
    type=click.FloatRange(0),
    default=STALL_TIMEOUT_S,
    show_default=True,
    metavar="SECONDS",
    help="Kill a process that does not answer for so long, and try its image once more; 0 waits "
    "for any time.",
)
@click.option(
    "--save",
    type=kinds,
    metavar="LIST",
    default="labels,overlay",
    show_default=True,
    help=f"Kinds of output, with commas between: {', '.join(KINDS)}.",
)
@click.option(
    "--format",
    "suffix",
    type=click.Choice(list(_FORMATS)),
    default="tiff",
    show_default=True,
    help="File format of label maps and organ masks.",
)
@click.option(
    "--sides",
    is_flag=True,
    help="Label right and left lungs and clavicles separately. Sides are the patient's: right is "
    "on the left of the image.",
)
@click.option(
    "--whole",
    is_flag=True,
    help="Write the lungs of --save organs whole, with what the clavicles cover of them. All other "
    "outputs stay the same, also DICOM SEG, COCO and CheXmask.",
)
@click.option(
    "--raw-shape",
    type=shape,
    metavar="HxW",
    help="Height and width of headerless raw files.  [default: 2048x2048]",
)
@click.option(
    "--raw-dtype",
    type=click.Choice([">u2", "<u2", "u1"]),
    help="Pixel type of raw files, as in NumPy.  [default: >u2]",
)
@click.option(
    "--raw-header",
    type=click.IntRange(0),
    help="Number of bytes before the first pixel of raw files.  [default: 0]",
)
@click.option(
    "--spacing",
    type=pixel_spacing,
    metavar="MM",
    help="Pixel spacing of all inputs in mm.  [default: from each file]",
)
@click.option(
    "--invert/--no-invert",
    "inverted",
    default=None,
    help="Polarity of all inputs: stored values are high where the displayed image is dark "
    "(--invert) or bright (--no-invert).",
)
@click.option(
    "--auto-invert",
    is_flag=True,
    help="Take the polarity from each file, or estimate it from the image (the default).",
)
@click.option(
    "--orientation",
    type=click.Choice(["auto", "as-stored"]),
    default="auto",
    show_default=True,
    help="Turn images upright, as the file says or as a second look finds, or take them as they "
    "are stored.",
)
@click.option(
    "--field-of-view",
    type=click.Choice(["auto", "full"]),
    default="auto",
    show_default=True,
    help="Leave out black, white or grey borders, or take the full image.",
)
@click.option(
    "--include-all",
    is_flag=True,
    help="Also segment DICOM files whose header says that they are no frontal chest radiographs, "
    "instead of skipping them.",
)
@click.option(
    "--include-doubtful",
    is_flag=True,
    help="Write all kinds of output for images with doubtful masks, too. By default they have no "
    "DICOM SEG, COCO or CheXmask output.",
)
@click.option(
    "--lines",
    is_flag=True,
    help="Draw the lines and the value of the cardiothoracic ratio on overlays.",
)
@click.option(
    "--min-quality",
    type=click.FloatRange(0, 1),
    help="List images with a lower predicted Dice in distrusted.csv, lowest first.",
)
@click.option("--parquet", is_flag=True, help="Also write results.parquet.")
@click.option("--no-report", is_flag=True, help="Do not write report.html, the review page.")
@click.option(
    "--overwrite", is_flag=True, help="Segment all inputs again, including those already done."
)
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
    help="Recognise unchanged inputs by size and modification time (mtime) or SHA-256 (hash).",
)
@click.option(
    "--max-pixels",
    type=click.IntRange(1),
    default=MAX_PIXELS,
    show_default=True,
    help="Largest number of pixels times channels of a file; larger files fail.",
)
@click.option(
    "--keep-ids", is_flag=True, help="Write the DICOM patient ID and UIDs to results.csv."
)
@click.option(
    "--shard", type=shard, metavar="I/N", help="Segment only the I-th of N parts of the inputs."
)
@click.option(
    "--output-format",
    type=click.Choice(["folder", "parquet"]),
    default="folder",
    show_default=True,
    help="Write one file per output, or a few Parquet files, which xrayseg unpack converts.",
)
@click.option(
    "--cluster",
    metavar="local|auto|ADDRESS",
    help="Use a Ray cluster: start one here (local), use the running one of this machine (auto), "
    "or the one at ADDRESS.",
)
@click.option("--quiet", "-q", is_flag=True, help="Print failures only.")
@click.option("--verbose", "-v", is_flag=True, help="Print the name of each image when it is done.")
@click.option(
    "--json", "as_json", is_flag=True, help="Print events as JSON lines to standard output."
)
def command(**options: Any) -> None:
    """Segment folders of chest radiographs.

    INPUT is a file, a folder (read at any depth), a glob pattern, a URL of any of these in an
    object store (s3://bucket/folder), or - for a list of these on standard input. Formats are
    recognised by content: JSRT raw, DICOM, PNG, TIFF, JPEG and others.

    Writes labels/ and overlay/, results.csv with one row per input, the review page report.html,
    and run.json. Outputs of an earlier run with the same input, weights and settings are kept.
    Labels: 0 background, 1 clavicles, 2 heart, 3 lungs; with --sides 0 background,
    1 right clavicle, 2 heart, 3 right lung, 4 left clavicle, 5 left lung. --save rle and contours
    also write coco.json, and chexmask writes chexmask.csv, each for all images; docs/outputs.md
    describes every kind of output. `xrayseg verify OUT` checks the outputs later.

    A DICOM file whose header says that it shows something else is skipped. Where the predicted
    quality is low, a second look tries other polarities and orientations. What it still doubts has
    the status doubtful.

    Exit status: 0 all done or skipped, 1 some failed (each named with its reason), 2 wrong usage,
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
    progress = BatchProgress(
        options["quiet"], options["verbose"], options["as_json"], not options["no_report"]
    )
    batch_options = BatchOptions(
        suffix=_FORMATS[options["suffix"]],
        raw=_raw_layout(options),
        report=not options["no_report"],
        **{name: options[name] for name in _BATCH_OPTIONS},
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
) -> Iterator[tuple[Segmenter, Executor]]:
    """The segmenter, and the executor of this machine or a cluster."""
    from ..batch.executors import local_executor
    from ..segmenter import Segmenter

    engine_options = {name: options[name] for name in _ENGINE_OPTIONS}
    if options["cluster"] is None:
        with local_executor(options["processes"]) as executor:  # starts while weights are loaded
            yield Segmenter(options["weights"], **engine_options), executor
        return
    from ..batch.executors.ray_cluster import RayExecutor
    from ..batch.executors.ray_cluster.nodes import connected
    from ..batch.executors.ray_cluster.tasks import plan_engine
    from ..models.model_folder import load_model

    with connected(options["cluster"]):
        model = load_model(options["weights"])
        yield Segmenter(model, engine=plan_engine(model, **engine_options)), RayExecutor()


def _raw_layout(options: dict[str, Any]) -> RawLayout | None:
    """The layout of raw files; None for the JSRT layout, which also states polarity and spacing."""
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
