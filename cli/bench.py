"""The command ``xrayseg bench``."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

if TYPE_CHECKING:
    from ..bench import Measurement, PipelineRun

_PARTS = ("kernels", "inference", "pipeline")
#: Images per batch with an engine that takes no time, relative to ``--images``.
_STUB = 12


@click.command()
@click.argument("parts", nargs=-1, type=click.Choice([*_PARTS, "all"]), metavar="[PART]...")
@click.option("--weights", metavar="NAME|DIR", help="Shipped weights or a model folder.")
@click.option("--repeats", type=click.IntRange(1), default=7, show_default=True)
@click.option(
    "--images",
    "--films",
    "images",
    type=click.IntRange(1),
    default=48,
    show_default=True,
    help="Images in the batch of the pipeline part.",
)
@click.option("--plot", type=click.Path(path_type=Path), help="Draw the rates into this PNG file.")
@click.option("--json", "as_json", is_flag=True, help="Print the measurements as JSON.")
def command(
    parts: tuple[str, ...],
    weights: str | None,
    repeats: int,
    images: int,
    plot: Path | None,
    as_json: bool,
) -> None:
    """Measure the speed on this machine: kernels, inference, pipeline, or all (the default).

    Figures on a machine in use are noisy: compare only figures of the same run.
    """
    from ..bench import bench_inference, bench_kernels, bench_pipeline
    from ..models.model_folder import load_model
    from ..segmenter import Segmenter

    chosen = _PARTS if not parts or "all" in parts else tuple(p for p in _PARTS if p in parts)
    found: dict[str, list[Any]] = {}
    if "kernels" in chosen:
        found["kernels"] = bench_kernels(load_model(weights).size, repeats)
    if "inference" in chosen:
        found["inference"] = bench_inference(load_model(weights), repeats=repeats)
    if "pipeline" in chosen:
        found["pipeline"] = bench_pipeline(
            Segmenter(weights), images=images, stub_images=_STUB * images
        )
    if as_json:
        click.echo(json.dumps({part: [each.facts() for each in of] for part, of in found.items()}))
    else:
        for part, of in found.items():
            _SHOW[part](of)
    if plot:
        from ..bench.plot import draw

        draw(found, plot)


def _show_kernels(found: list[Measurement]) -> None:
    from . import console

    floor = found[0]
    rows = [
        [
            each.name,
            f"{each.median * 1e3:.2f}",
            f"{each.spread:.0%}",
            f"{each.images_per_s:.0f}",
            f"{each.gb_per_s:.2f}" if each.gb_per_s else "",
            f"{each.median / each.images / floor.median:.2f}",
        ]
        for each in found
    ]
    columns = ["kernel", "ms", "spread", "images/s", "GB/s", "times the reading"]
    console.table("kernels, one image of 2048 x 2048 each", columns, rows)


def _show_inference(found: list[Measurement]) -> None:
    from . import console

    slowest = min(each.images_per_s for each in found)
    rows = [
        [
            each.name,
            f"{each.images_per_s:.1f}",
            f"{each.spread:.0%}",
            f"{each.images_per_s / slowest:.2f}",
        ]
        for each in found
    ]
    console.table("inference", ["engine", "images/s", "spread", "times the slowest"], rows)
    engine, precision, _, size = found[0].name.split()
    console.say(f"Fastest: --engine {engine} --precision {precision} --batch-size {size}")


def _show_pipeline(found: list[PipelineRun]) -> None:
    from . import console

    rows = [
        [
            each.measurement.name,
            f"{each.measurement.images:.0f}",
            f"{each.measurement.images_per_s:.1f}",
            f"{each.engine_share:.0%}",
            f"{each.of_engine:.2f}" if each.of_engine else "",
        ]
        for each in found
    ]
    columns = [
        "outputs",
        "images",
        "images/s",
        "time in the engine",
        "relative to the engine alone",
    ]
    console.table("pipeline, from raw images", columns, rows)


_SHOW: dict[str, Callable[[list[Any]], None]] = {
    "kernels": _show_kernels,
    "inference": _show_inference,
    "pipeline": _show_pipeline,
}
