"""This product beside other ways to do the same work, in one process, in turns.

    pip install '.[bench]'
    python benchmarks/compare.py [--weights NAME|DIR] [--repeats N]

Prints Markdown tables. Only ratios within a table mean something, and only of a machine that did
nothing else.
"""

from __future__ import annotations

import sys
from pathlib import Path

import click

from xray_seg.bench import Measurement
from xray_seg.engines import available_cores
from xray_seg.model_card import load_model

sys.path.insert(0, str(Path(__file__).parent))

PARTS = ("decoding", "masks", "restoring", "inference")


@click.command()
@click.argument("parts", nargs=-1, type=click.Choice(PARTS))
@click.option("--weights", help="Shipped weights or a model folder.")
@click.option("--repeats", type=click.IntRange(3), default=25, show_default=True)
def main(parts: tuple[str, ...], weights: str | None, repeats: int) -> None:
    """Compare PARTS, or all."""
    model = load_model(weights)
    click.echo(f"{available_cores()} cores; {model.name}, grid {model.size}")
    for part in parts or PARTS:
        title, found = _measure(part, model, repeats)
        click.echo(f"\n{title}\n\n{_table(found)}")


def _measure(part: str, model, repeats: int) -> tuple[str, list[Measurement]]:
    if part == "inference":
        from runtimes import compare_inference

        batch = available_cores()
        found = compare_inference(model, batch, max(3, repeats // 3))
        return f"Inference, batches of {batch}, CPU", found
    from arrays import compare_decoding, compare_masks, compare_restoring

    title, compare = {
        "decoding": (
            f"Decode 2048 x 2048 raw + area mean to {model.size}, one core",
            compare_decoding,
        ),
        "masks": (
            f"Merge 5 masks of 1024 x 1024 + area fractions on {model.size}",
            compare_masks,
        ),
        "restoring": (
            f"Upsample {model.size} to 2048 + argmax, all cores where they can",
            compare_restoring,
        ),
    }[part]
    return title, compare(model.size, repeats)


def _table(found: list[Measurement]) -> str:
    ours = next(each for each in found if each.name.startswith("xray-seg"))
    lines = ["| what | ms an image | spread | times xray-seg |", "| --- | --- | --- | --- |"]
    for each in found:
        milliseconds = 1000 * each.median / each.images
        ratio = (each.median / each.images) / (ours.median / ours.images)
        lines.append(f"| {each.name} | {milliseconds:.2f} | {each.spread:.0%} | {ratio:.2f} |")
    return "\n".join(lines)


if __name__ == "__main__":
    main()
