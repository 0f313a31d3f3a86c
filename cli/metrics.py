"""How scores are shown."""

from __future__ import annotations

from typing import Any

from . import console


def show(metrics: dict[str, Any]) -> None:
    """A table of metrics as ``summarise`` gives them."""

    def cell(value: dict[str, float | None]) -> str:
        return "unknown" if value["mean"] is None else f"{value['mean']:.4f} ± {value['sd']:.4f}"

    rows = [[organ, *map(cell, scores.values())] for organ, scores in metrics["organs"].items()]
    columns = ["organ", "Dice", "Jaccard", "surface distance, mm", "95 % Hausdorff, mm"]
    console.table(f"{len(metrics['cases'])} cases, mean ± sd", columns, rows)
    console.out.print(f"pixel accuracy {metrics['accuracy']:.4f}, loss {metrics['loss']:.4f}")
    console.out.print(metrics["scored"])
