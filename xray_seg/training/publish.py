"""Publication of a training run: report, model folder, validation scores and card."""

from __future__ import annotations

import shutil
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from ..data.cases import Case
from ..data.splits import Split
from ..evaluation.scoring import evaluate
from ..evaluation.summary import is_jsrt, summarise
from ..models.model_folder import write_card
from ..segmenter import Segmenter
from ..serving.export import export
from .checkpoints import load_weights
from .config import TrainingConfig
from .model_card import write_model_card
from .report import write_report
from .run_record import EpochRow, read_history, read_record

#: Folder of the exported model in a run folder.
MODEL_FOLDER = "model"

LICENCE = (
    "trained on JSRT/SCR: research and education use. Cite Shiraishi J. et al., AJR 174:71-74, "
    "2000 (JSRT) and van Ginneken B. et al., Medical Image Analysis 10:19-40, 2006 (SCR)."
)


def publish(
    run: str | Path,
    split: Split,
    name: str,
    *,
    facts: dict[str, Any] | None = None,
    spacing: float | None = None,
    on_case: Callable[[int], None] | None = None,
) -> dict[str, Any]:
    """Write the report of a finished run, export its network to ``model/`` and score that.

    Args:
        run: run folder that holds ``weights.keras``.
        split: the cases of the run.
        name: name of the weights.
        facts: further entries of the model card; they replace entries of the same name, and
            those of ``recipe`` single settings.
        spacing: mm between the pixels of the masks; None to take it from the radiographs' files.
        on_case: called with the number of validation cases scored so far.

    Returns:
        The metrics of the validation cases, see ``evaluation.summary.summarise``. The card of the
        model holds them too.

    Raises:
        TrainingError: the folder holds no run.
        DatasetError, ReadError: a case cannot be read.
    """
    run, facts = Path(run), facts or {}
    record = read_record(run)
    model = load_weights(run)
    grid_scores = write_report(run, model, split, TrainingConfig(**record["recipe"]))
    shutil.rmtree(run / MODEL_FOLDER, ignore_errors=True)
    history = read_history(run)
    card = {
        **record,
        "epochs": len(history),
        "epochs_seconds": round(sum(row["seconds"] for row in history)),
        "history": [_card_row(row) for row in history],
        "grid_scores": grid_scores,
        **_licence(split, record),
        **facts,
        "recipe": record["recipe"] | facts.get("recipe", {}),
    }
    folder = export(model, run / MODEL_FOLDER, name, card)
    return score_model(folder, split.validation, spacing=spacing, on_case=on_case)


def _licence(split: Split, record: dict[str, Any]) -> dict[str, str]:
    """Licence of weights that JSRT, or weights of this package, went into; else it is not known."""
    names = [case.name for case in (*split.train, *split.validation, *split.test)]
    names += record.get("trained_before", [])
    return {"licence": LICENCE} if any(is_jsrt([name]) for name in names) else {}


def score_model(
    folder: Path,
    cases: Sequence[Case],
    *,
    spacing: float | None = None,
    on_case: Callable[[int], None] | None = None,
) -> dict[str, Any]:
    """Score a model folder with the default engine and write the metrics to its card.

    Args:
        folder: model folder.
        cases: validation cases.
        spacing: mm between the pixels of the masks; None to take it from the radiographs' files.
        on_case: called with the number of cases scored so far.

    Returns:
        The metrics, see ``evaluation.summary.summarise``.
    """
    segmenter = Segmenter(folder)
    metrics = summarise(evaluate(segmenter, cases, spacing=spacing, on_progress=on_case or _ignore))
    left_out = {"cases", "published_jaccard"}
    shown = {key: value for key, value in metrics.items() if key not in left_out}
    engine = {"engine": segmenter.engine.name, "precision": segmenter.engine.precision}
    write_card(folder, {**segmenter.model.card, "validation": {**shown, **engine}})
    write_model_card(folder)
    return metrics


def _ignore(done: int) -> None:
    return


def _card_row(row: EpochRow) -> EpochRow:
    """Return the columns of an epoch that the card holds, rounded."""
    kept = ("epoch", "loss", "val_loss", *(key for key in row if key.startswith("val_jaccard_")))
    return {key: round(row[key], 4) for key in kept}
