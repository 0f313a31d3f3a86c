"""Run the stages of a training plan, each in a folder of its own."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

from ..data.datasets import Dataset, split_datasets
from ..data.splits import Split
from ..errors import TrainingError
from ..models.model_folder import MODEL_CARD_FILE, load_model
from .build import resolve_config
from .config import TrainingConfig
from .plan import Stage, TrainingPlan
from .publish import MODEL_FOLDER
from .run import TrainingProgress, TrainingResult, resumed_precision, train_split, with_labels
from .run_record import (
    CHECKPOINT_FILE,
    RECORD_FILE,
    WEIGHTS_SETTINGS,
    differences,
    read_record,
)
from .trainer import make_record


def train_plan(
    plan: TrainingPlan,
    out: str | Path,
    *,
    spacing: float | None = None,
    resume: bool = False,
    on_stage: Callable[[Stage], None] | None = None,
    on_progress: Callable[[TrainingProgress], None] | None = None,
) -> TrainingResult:
    """Train the stages of a plan one after the other.

    Args:
        plan: the plan.
        out: folder of the stages' run folders.
        spacing: mm between the pixels of the masks, for distances; None to take it from the
            radiographs' files.
        resume: keep finished stages, and continue the one that was interrupted.
        on_stage: called at the start of each stage that is not finished.
        on_progress: as of ``run.train``.

    Returns:
        The last stage, whose model has the plan's name.

    Raises:
        TrainingError: the folder holds stages and ``resume`` is not set, or they were trained with
            other settings or data; a stage fails.
        DatasetError, ReadError, ValueError, WeightsError: as ``run.train``.
    """
    out = Path(out)
    if not resume and any((out / stage.name / RECORD_FILE).exists() for stage in plan.stages):
        raise TrainingError(f"{out}: holds a run already; give --resume or another --out")
    splits = [split_datasets(stage.datasets, seed=stage.config.seed) for stage in plan.stages]
    results = []
    for stage, split in zip(plan.stages, splits, strict=True):
        config = _resolved(stage.config, plan, out)
        run = out / stage.name
        if resume and _is_finished(run, split, config):
            results.append(_finished_result(run, split, config))
            continue
        if on_stage:
            on_stage(stage)
        is_last = stage is plan.stages[-1]
        result = train_split(
            split,
            run,
            config=config,
            name=plan.name if is_last else f"{plan.name}-{stage.name}",
            facts=_card_facts(plan, stage),
            spacing=spacing,
            resume=resume and (run / CHECKPOINT_FILE).exists(),
            on_progress=on_progress,
        )
        results += [result] if result else []
    return results[-1]


def _resolved(config: TrainingConfig, plan: TrainingPlan, out: Path) -> TrainingConfig:
    """Replace the names of stages by their model folders."""
    names = {stage.name for stage in plan.stages}
    folders = {
        setting: str(out / value / MODEL_FOLDER)
        for setting in WEIGHTS_SETTINGS
        if (value := getattr(config, setting)) in names
    }
    return replace(config, **folders)  # type: ignore[arg-type]


def _is_finished(run: Path, split: Split, config: TrainingConfig) -> bool:
    """Whether a stage has a model with scores.

    Raises:
        TrainingError: it was trained with other settings or data.
    """
    # Written last. A model without it is exported and scored again.
    if not (run / MODEL_FOLDER / MODEL_CARD_FILE).exists():
        return False
    config = resolve_config(resumed_precision(with_labels(config, split), run))
    record = make_record(split, config)
    changed = differences(record, read_record(run))
    if changed:
        raise TrainingError(
            f"{run}: {' and '.join(changed)} differ from the finished stage's {RECORD_FILE}; "
            "repeat the settings and data, or give another --out"
        )
    return True


def _finished_result(run: Path, split: Split, config: TrainingConfig) -> TrainingResult:
    """The result of a finished stage; its metrics are those of the card, without single cases."""
    metrics = load_model(run / MODEL_FOLDER).card.get("validation", {})
    seen = read_record(run).get("held_out_but_trained_before", ())
    return TrainingResult(run, run / MODEL_FOLDER, metrics, config, split, tuple(seen))


def _card_facts(plan: TrainingPlan, stage: Stage) -> dict[str, Any]:
    """Entries of the card of a stage, without the paths of this machine."""
    return {
        "recipe": {setting: getattr(stage.config, setting) for setting in WEIGHTS_SETTINGS},
        "plan": plan.text,
        "stage": stage.name,
        "datasets": [_describe(dataset) for dataset in stage.datasets],
    }


def _describe(dataset: Dataset) -> dict[str, Any]:
    facts = asdict(dataset)
    return {key: value for key, value in facts.items() if key not in ("images", "masks")}
