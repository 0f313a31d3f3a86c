"""From a finished training run to weights that can be used: exported, scored, described."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

from .dataset import Split
from .evaluation import evaluate
from .export import export
from .model_card import write_card
from .quiet import keras
from .recipe import Recipe
from .run_folder import WEIGHTS_FILE, read_history, read_record
from .segmenter import Segmenter
from .summary import summarise
from .training_report import write_report

LICENCE = (
    "trained on JSRT/SCR: research and education use. Cite Shiraishi J. et al., AJR 174:71-74, "
    "2000 (JSRT) and van Ginneken B. et al., Medical Image Analysis 10:19-40, 2006 (SCR)."
)


def release(
    run: str | Path, split: Split, name: str, tell: Callable[[int], None] = lambda done: None
) -> dict[str, Any]:
    """Report on a finished run, export it to ``run/model``, and score that on its validation cases.

    Args:
        run: a run folder that holds ``weights.keras``.
        split: the cases that it was trained and validated with.
        name: of the weights.
        tell: called with the number of cases scored so far.

    Returns:
        The metrics, which also go into the card.
    """
    run = Path(run)
    made = read_record(run)
    model = keras().saving.load_model(run / WEIGHTS_FILE, compile=False)
    grid_scores = write_report(run, model, split, Recipe(**made["recipe"]))
    shutil.rmtree(run / "model", ignore_errors=True)
    history = read_history(run)
    facts = {
        **made,
        "epochs": len(history),
        "epochs_seconds": round(sum(row["seconds"] for row in history)),
        "grid_scores": grid_scores,
        "licence": LICENCE,
    }
    folder = export(model, run / "model", name, facts)
    segmenter = Segmenter(folder)
    metrics = summarise(evaluate(segmenter, split.validation, tell=tell))
    shown = {
        key: value for key, value in metrics.items() if key not in {"cases", "published_jaccard"}
    }
    engine = {"engine": segmenter.engine.name, "precision": segmenter.engine.precision}
    write_card(folder, {**segmenter.model.card, "validation": {**shown, **engine}})
    return metrics
