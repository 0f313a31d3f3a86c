"""How scores are shown."""

from __future__ import annotations

from typing import Any

from . import console

_WORST = 5


def show(metrics: dict[str, Any]) -> None:
    """Tables of metrics as ``summarise`` gives them."""
    _show_organs(metrics)
    console.say(f"pixel accuracy {metrics['accuracy']:.4f}, loss {metrics['loss']:.4f}")
    console.say(metrics["scored"])
    if metrics["trained_on"]:
        console.say(
            f"{metrics['trained_on']} of these {len(metrics['cases'])} cases are ones that the "
            "weights were trained on: their scores flatter. See --part validation."
        )
    for organ, scores in metrics["organs"].items():
        missed = scores["assd_mm"]["undefined"]
        if 0 < missed < len(metrics["cases"]):
            console.say(
                f"{organ}: distances are undefined, and left out of the means, in {missed} cases "
                "where a mask is empty"
            )
    _show_published(metrics)
    _show_worst(metrics)
    if "strata" in metrics:
        _show_strata(metrics)


def _show_organs(metrics: dict[str, Any]) -> None:
    def cell(value: dict[str, Any]) -> str:
        return "unknown" if value["mean"] is None else f"{value['mean']:.3f} ± {value['sd']:.3f}"

    def interval(value: dict[str, Any]) -> str:
        return "{:.3f}-{:.3f}".format(*value["interval"]) if value["interval"] else "unknown"

    rows = [
        [
            organ,
            cell(scores["dice"]),
            cell(scores["jaccard"]),
            interval(scores["jaccard"]),
            cell(scores["assd_mm"]),
            cell(scores["hd95_mm"]),
        ]
        for organ, scores in metrics["organs"].items()
    ]
    columns = ["organ", "Dice", "Jaccard", "95 % interval", "ASSD, mm", "HD95, mm"]
    console.table(f"{len(metrics['cases'])} cases, mean ± sd", columns, rows)


def _show_published(metrics: dict[str, Any]) -> None:
    organs = list(metrics["organs"])
    own = {name: metrics["organs"][name]["jaccard"]["mean"] for name in organs}
    rows = [
        [who, *(f"{scores[name]:.3f}" for name in organs)]
        for who, scores in {"these weights": own, **metrics["published_jaccard"]}.items()
    ]
    title = "Jaccard beside published figures for whole organs on JSRT and SCR"
    console.table(title, ["", *organs], rows)


def _show_worst(metrics: dict[str, Any]) -> None:
    organs = list(metrics["organs"])
    rows = [
        [case["name"], *(f"{case[name]['dice']:.3f}" for name in organs)]
        for case in metrics["cases"][:_WORST]
    ]
    console.table("worst cases, Dice", ["case", *organs], rows)


def _show_strata(metrics: dict[str, Any]) -> None:
    organs = list(metrics["organs"])
    rows = [
        [f"{factor}: {group}", str(of["cases"]), *(f"{of[name]['dice']:.3f}" for name in organs)]
        for factor, groups in metrics["strata"].items()
        for group, of in groups.items()
    ]
    console.table("mean Dice by group", ["group", "cases", *organs], rows)
    if metrics["strata_unknown"]:
        console.say(f"{metrics['strata_unknown']} cases are in no clinical table")
