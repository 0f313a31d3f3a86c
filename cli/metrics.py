"""Print tables of scores, for ``xrayseg evaluate`` and ``xrayseg train``."""

from __future__ import annotations

from typing import Any

from . import console

#: Number of cases in the table of cases with the lowest Dice, and of names in a list.
_WORST = 5
_UNKNOWN = "unknown"


def show(metrics: dict[str, Any]) -> None:
    """Print the tables and notes for the metrics that ``evaluation.summary.summarise`` returns.

    Where cases come from several data sets, each data set has tables of its own.
    """
    for name, part in metrics.get("datasets", {"": metrics}).items():
        cases = [case for case in metrics["cases"] if not name or case["dataset"] == name]
        _show_dataset(name, {**metrics, **part, "cases": cases})
    console.say(metrics["scored"])
    if "strata" in metrics:
        _print_strata(metrics)
    if metrics.get("without_prediction"):
        _print_missing(metrics)


def _show_dataset(name: str, metrics: dict[str, Any]) -> None:
    """Print the tables and notes of one data set."""
    from ..evaluation.summary import is_jsrt

    title = f"{name}: " if name else ""
    _print_organs(metrics, title)
    loss = "" if metrics["loss"] is None else f", loss {metrics['loss']:.4f}"
    console.say(f"pixel accuracy {metrics['accuracy']:.4f}{loss}")
    _print_notes(metrics)
    if is_jsrt(case["name"] for case in metrics["cases"]):
        _print_published(metrics)
    _print_worst(metrics, title)


def _print_notes(metrics: dict[str, Any]) -> None:
    """Name the scores that are too high or leave cases out."""
    count = len(metrics["cases"])
    if metrics["trained_on"]:
        console.say(
            f"{metrics['trained_on']} of these {count} cases are ones that the weights were "
            "trained on: their scores are too high. Use --part validation to leave them out."
        )
    for organ, scores in metrics["organs"].items():
        unknown = scores["dice"]["undefined"]
        if 0 < unknown < count:
            console.say(f"{organ}: the masks of {unknown} cases do not show them")
        missing = scores["assd_px"]["undefined"] - unknown
        if 0 < missing < count - unknown:
            console.say(
                f"{organ}: the mean distances leave out {missing} cases with an empty mask, where "
                "distances are undefined"
            )


def _print_organs(metrics: dict[str, Any], title: str) -> None:
    def cell(value: dict[str, Any]) -> str:
        return _UNKNOWN if value["mean"] is None else f"{value['mean']:.3f} ± {value['sd']:.3f}"

    def interval(value: dict[str, Any]) -> str:
        return "{:.3f}-{:.3f}".format(*value["interval"]) if value["interval"] else _UNKNOWN

    unit = _distance_unit(metrics)
    rows = [
        [
            organ,
            cell(scores["dice"]),
            cell(scores["jaccard"]),
            interval(scores["jaccard"]),
            cell(scores[f"assd_{unit}"]),
            cell(scores[f"hd95_{unit}"]),
        ]
        for organ, scores in metrics["organs"].items()
    ]
    columns = ["organ", "Dice", "Jaccard", "95 % interval", f"ASSD, {unit}", f"HD95, {unit}"]
    console.table(f"{title}{len(metrics['cases'])} cases, mean ± sd", columns, rows)
    if unit == "px":
        console.say(
            "distances are in pixels of the masks, since the pixel spacing of some cases is not "
            "known; --spacing MM states it"
        )


def _distance_unit(metrics: dict[str, Any]) -> str:
    """``mm`` if each distance is known in mm, else ``px``."""
    organs = metrics["organs"].values()
    is_known = all(each["assd_mm"]["undefined"] == each["assd_px"]["undefined"] for each in organs)
    return "mm" if is_known else "px"


def _print_published(metrics: dict[str, Any]) -> None:
    organs = list(metrics["organs"])
    own = {name: metrics["organs"][name]["jaccard"]["mean"] for name in organs}
    source = "these label maps" if "predictions" in metrics else "these weights"
    rows = [
        [source, *(_number(scores[name]) for name in organs)]
        for source, scores in {source: own, **metrics["published_jaccard"]}.items()
    ]
    title = "Jaccard compared with published values for whole organs on JSRT and SCR"
    console.table(title, ["", *organs], rows)


def _number(value: float | None) -> str:
    return _UNKNOWN if value is None else f"{value:.3f}"


def _print_worst(metrics: dict[str, Any], title: str) -> None:
    organs = list(metrics["organs"])
    rows = [
        [case["name"], *(_number(case[name]["dice"]) for name in organs)]
        for case in metrics["cases"][:_WORST]
    ]
    console.table(f"{title}cases with the lowest Dice", ["case", *organs], rows)


def _print_strata(metrics: dict[str, Any]) -> None:
    organs = list(metrics["organs"])
    rows = [
        [
            f"{factor}: {group}",
            str(scores["cases"]),
            *(_number(scores[name]["dice"]) for name in organs),
        ]
        for factor, groups in metrics["strata"].items()
        for group, scores in groups.items()
    ]
    console.table("mean Dice by group", ["group", "cases", *organs], rows)
    if metrics["strata_unknown"]:
        console.say(f"{metrics['strata_unknown']} cases are in no clinical table")


def _print_missing(metrics: dict[str, Any]) -> None:
    names = metrics["without_prediction"]
    shown = ", ".join(names[:_WORST]) + (" ..." if len(names) > _WORST else "")
    console.say(
        f"{len(names)} cases are not scored, for they have no label map in "
        f"{metrics['predictions']}: {shown}"
    )
