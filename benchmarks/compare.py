"""Compare xray-seg with other programs that do the same work, in one process, in turns.

    pip install '.[bench]'
    python benchmarks/compare.py [--weights NAME|DIR] [--repeats N]

Prints Markdown tables. Compare only rates within a table, measured on an otherwise idle machine.
"""

from __future__ import annotations

import click

from xray_seg._util.concurrency import available_cores
from xray_seg.bench import Measurement
from xray_seg.models.model_folder import Model, load_model

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
        click.echo(_report(part, model, repeats))


def _report(part: str, model: Model, repeats: int) -> str:
    size = model.size
    if part == "inference":
        from runtimes import REFERENCE, compare_inference

        batch = available_cores()
        pairs = compare_inference(model, batch, max(3, repeats // 3))
        table = _table([found for found, _ in pairs])
        differences = "\n".join(f"- {found.name}: {apart:.5f}" for found, apart in pairs)
        return (
            f"\nInference, batches of {batch}\n\n{table}\n\n"
            f"Mean difference in probability from {REFERENCE}:\n\n{differences}"
        )
    from arrays import compare_decoding, compare_masks, compare_restoring

    title, compare = {
        "decoding": (
            f"2048 x 2048 raw file to its area mean on a grid of {size}, one core",
            compare_decoding,
        ),
        "masks": (f"5 masks of 1024 x 1024 to area fractions on a grid of {size}", compare_masks),
        "restoring": (
            f"Probabilities on a grid of {size} to label maps of 2048 x 2048",
            compare_restoring,
        ),
    }[part]
    return f"\n{title}\n\n{_table(compare(size, repeats))}"


def _table(found: list[Measurement]) -> str:
    """Make a Markdown table, with times relative to xray-seg's first row."""
    ours = next(each for each in found if each.name.startswith("xray-seg"))
    lines = ["| program | ms per image | spread | times xray-seg |", "| --- | --- | --- | --- |"]
    for each in found:
        ratio = ours.images_per_s / each.images_per_s
        milliseconds = 1000 / each.images_per_s
        lines.append(f"| {each.name} | {milliseconds:.2f} | {each.spread:.0%} | {ratio:.2f} |")
    return "\n".join(lines)


if __name__ == "__main__":
    main()
