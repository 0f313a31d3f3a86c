"""Print tables of scores, for ``xrayseg evaluate`` and ``xrayseg train``."""

from __future__ import annotations

from typing import Any

from . import console

#: Number of cases in the table of cases with the lowest Dice.
_WORST = 5


def show(metrics: dict[str, Any]) -> None:
    """Print the tables and notes for the metrics that ``evaluation.summary.summarise`` returns."""
    _print_organs(metrics)
    console.say(f"pixel accuracy {metrics['accuracy']:.4f}, loss {metrics['loss']:.4f}")
    console.say(metrics["scored"])
    _print_notes(metrics)
    _print_published(metrics)
    _print_worst(metrics)
    if "strata" in metrics:
        _print_strata(metrics)


def _print_notes(metrics: dict[str, Any]) -> None:
    """Name the scores that are too high or leave cases out."""
    count = len(metrics["cases"])
    if metrics["trained_on"]:
        console.say(
            f"{metrics['trained_on']} of these {count} cases are ones that the weights were "
            "trained on: their scores are too high. Use --part validation to leave them out."
        )
    for organ, scores in metrics["organs"].items():
        missing = scores["assd_mm"]["undefined"]
        if 0 < missing < count:
            console.say(
                f"{organ}: the mean distances leave out {missing} cases with an empty mask, where "
                "distances are undefined"
            )


def _print_organs(metrics: dict[str, Any]) -> None:
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


def _print_published(metrics: dict[str, Any]) -> None:
    organs = list(metrics["organs"])
    own = {name: metrics["organs"][name]["jaccard"]["mean"] for name in organs}
    rows = [
        [source, *(f"{scores[name]:.3f}" for name in organs)]
        for source, scores in {"these weights": own, **metrics["published_jaccard"]}.items()
    ]
    title = "Jaccard compared with published values for whole organs on JSRT and SCR"
    console.table(title, ["", *organs], rows)


def _print_worst(metrics: dict[str, Any]) -> None:
    organs = list(metrics["organs"])
    rows = [
        [case["name"], *(f"{case[name]['dice']:.3f}" for name in organs)]
        for case in metrics["cases"][:_WORST]
    ]
    console.table("cases with the lowest Dice", ["case", *organs], rows)


def _print_strata(metrics: dict[str, Any]) -> None:
    organs = list(metrics["organs"])
    rows = [
        [
            f"{factor}: {group}",
            str(scores["cases"]),
            *(f"{scores[name]['dice']:.3f}" for name in organs),
        ]
        for factor, groups in metrics["strata"].items()
        for group, scores in groups.items()
    ]
    console.table("mean Dice by group", ["group", "cases", *organs], rows)
    if metrics["strata_unknown"]:
        console.say(f"{metrics['strata_unknown']} cases are in no clinical table")
