"""From a finished training run to weights that can be used: exported, scored, described."""

from __future__ import annotations

import shutil
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from .._util.tensorflow import keras
from ..data.cases import Case
from ..data.splits import Split
from ..evaluation.scoring import evaluate
from ..evaluation.summary import summarise
from ..models.model_folder import write_card
from ..segmenter import Segmenter
from ..serving.export import export
from .config import Recipe
from .report import write_report
from .run_folder import WEIGHTS_FILE, Row, read_history, read_record

LICENCE = (
    "trained on JSRT/SCR: research and education use. Cite Shiraishi J. et al., AJR 174:71-74, "
    "2000 (JSRT) and van Ginneken B. et al., Medical Image Analysis 10:19-40, 2006 (SCR)."
)


def release(
    run: str | Path,
    split: Split,
    name: str,
    spacing: float | None = None,
    tell: Callable[[int], None] = lambda done: None,
) -> dict[str, Any]:
    """Report on a finished run, export it to ``run/model``, and score that on its validation cases.

    Args:
        run: a run folder that holds ``weights.keras``.
        split: the cases that it was trained and validated with.
        name: of the weights.
        spacing: mm between pixels of the masks, where the radiographs' files do not state it.
        tell: called with the number of cases scored so far.

    Returns:
        The metrics, which also go into the card.
    """
    run = Path(run)
    made = read_record(run)
    model = keras().saving.load_model(run / WEIGHTS_FILE, compile=False, safe_mode=True)
    grid_scores = write_report(run, model, split, Recipe(**made["recipe"]))
    shutil.rmtree(run / "model", ignore_errors=True)
    history = read_history(run)
    facts = {
        **made,
        "epochs": len(history),
        "epochs_seconds": round(sum(row["seconds"] for row in history)),
        "history": [_shorten(row) for row in history],
        "grid_scores": grid_scores,
        "licence": LICENCE,
    }
    folder = export(model, run / "model", name, facts)
    return score(folder, split.validation, spacing, tell)


def score(
    folder: Path,
    cases: Sequence[Case],
    spacing: float | None = None,
    tell: Callable[[int], None] = lambda done: None,
) -> dict[str, Any]:
    """Score a model folder through the default engine, into its card; returns the metrics."""
    segmenter = Segmenter(folder)
    metrics = summarise(evaluate(segmenter, cases, spacing=spacing, on_progress=tell))
    left_out = {"cases", "published_jaccard"}
    shown = {key: value for key, value in metrics.items() if key not in left_out}
    engine = {"engine": segmenter.engine.name, "precision": segmenter.engine.precision}
    write_card(folder, {**segmenter.model.card, "validation": {**shown, **engine}})
    return metrics


def _shorten(row: Row) -> Row:
    """What a card keeps of an epoch."""
    kept = ("epoch", "loss", "val_loss", *(key for key in row if key.startswith("val_jaccard_")))
    return {key: round(row[key], 4) for key in kept}
