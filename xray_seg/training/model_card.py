"""Model card of a model folder: ``README.md`` for people, from ``card.json`` for programs.

Mitchell et al., "Model Cards for Model Reporting", FAT* 2019, pages 220-229.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from .._util.files import write_text
from ..labels import ORGANS
from ..models.model_folder import CALIBRATION_FILE, MODEL_CARD_FILE, Model, load_model

_USE = """\
Segments clavicles, heart and lungs in frontal chest radiographs (PA and AP) of adults, for
research, quality control and the preparation of data. A person should look at masks before
anything depends on them; predicted Dice and warnings say where to look first.

**Not for** diagnosis or treatment (it is no medical device), lateral views, children, or other body
parts.
"""
_LIMITS = """\
- Masks are only as good as those that it learnt from. Where disease hides an organ's outline, the
  mask is a guess.
- Radiographs of a hospital whose radiographs it has not seen can score lower than the table says.
- In a label map each pixel counts for one organ: lungs leave out what heart and clavicles cover.
"""


def write_model_card(folder: str | Path) -> Path:
    """Write the model card of a model folder.

    Args:
        folder: model folder with ``card.json``.

    Returns:
        Path of the file.

    Raises:
        WeightsError: the folder holds no model.
    """
    model = load_model(folder)
    path = Path(model.folder) / MODEL_CARD_FILE
    write_text(path, model_card(model))
    return path


def model_card(model: Model) -> str:
    """Markdown text of the card of a model."""
    card = model.card
    is_calibrated = (Path(model.folder) / CALIBRATION_FILE).exists()
    sections = {
        "Intended use": _USE,
        "Network": _network(model),
        "Data": _data(card),
        "Results": _results(card.get("validation", {})),
        "Predicted quality": (
            "Predicted Dice is calibrated for these weights (`calibration.json`).\n"
            if is_calibrated
            else "Predicted Dice is not calibrated for these weights: run `xrayseg calibrate`.\n"
        ),
        "Limits": _LIMITS,
        "How to train it again": _training(card),
    }
    title = f"# {model.name}\n"
    return title + "".join(f"\n## {name}\n\n{text}" for name, text in sections.items() if text)


def _network(model: Model) -> str:
    network = model.card.get("network", "unknown")
    return (
        f"`{network}` on a grid of {model.size} x {model.size}, as a SavedModel (float32, bfloat16 "
        "and float16) and as a LiteRT program in dynamic-range int8.\n"
    )


def _data(card: Mapping[str, Any]) -> str:
    """Table of the data sets, and terms of use."""
    split = card.get("split", {})
    counts = ", ".join(
        f"{len(split.get(part, []))} for {use}"
        for part, use in (("train", "training"), ("validation", "validation"), ("test", "testing"))
        if split.get(part)
    )
    lines = [f"Radiographs: {counts}.\n"] if counts else []
    datasets: Sequence[Mapping[str, Any]] = card.get("datasets", ())
    if datasets:
        rows = [
            [each["name"], _shown(each["annotation"]), each.get("source", "") or "not stated"]
            for each in datasets
        ]
        lines.append(_table(["data set", "masks", "source and terms"], rows))
    if "licence" in card:
        lines.append(f"Licence: {card['licence']}\n")
    return "\n".join(lines)


def _shown(annotation: Mapping[str, Any]) -> str:
    """What the masks of a data set show, in words."""
    if not annotation["organs"]:
        return "none"
    included = " and ".join(annotation["lungs_include"])
    return ", ".join(annotation["organs"]) + (f" (lungs include {included})" if included else "")


def _results(metrics: Mapping[str, Any]) -> str:
    """Table of Dice and Jaccard of the validation cases, by data set."""
    parts: Mapping[str, Any] = metrics.get("datasets") or {"validation": metrics}
    groups = {name: part.get("organs", {}) for name, part in parts.items()}
    rows = [
        [group, *(_scores(organs.get(organ.name)) for organ in ORGANS)]
        for group, organs in groups.items()
        if organs
    ]
    if not rows:
        return ""
    note = (
        "Mean Dice / Jaccard of the validation radiographs at the resolution of their masks, "
        f"through the {metrics.get('engine', '')} engine ({metrics.get('precision', '')}).\n\n"
    )
    return note + _table(["data set", *(organ.name for organ in ORGANS)], rows)


def _scores(organ: Mapping[str, Any] | None) -> str:
    if not organ or organ["dice"]["mean"] is None:
        return "unknown"
    return f"{organ['dice']['mean']:.3f} / {organ['jaccard']['mean']:.3f}"


def _training(card: Mapping[str, Any]) -> str:
    made = card.get("made_with", {})
    versions = ", ".join(f"{name} {version}" for name, version in made.items())
    trained = f"Trained with {versions}.\n" if versions else ""
    if "plan" not in card:
        return trained
    command = "    xrayseg train --config training.toml --data ROOT --out RUN\n"
    return f"{command}\n`training.toml`:\n\n```toml\n{card['plan'].strip()}\n```\n\n{trained}"


def _table(columns: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    lines = [columns, ["---"] * len(columns), *rows]
    return "".join(f"| {' | '.join(line)} |\n" for line in lines)
