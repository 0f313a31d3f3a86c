"""Training plans: data sets and stages in a TOML file, from which one command remakes weights.

name = "my-weights"
seed = 0

[settings]                  # of all stages: see TrainingConfig, with dashes for underscores
network = "inverted-net-fast"
size = 256
batch-size = 8

[[datasets]]                # see data.datasets
name = "jsrt"
images = "jsrt/images"
masks = "jsrt/scr"

[[stages]]
name = "teacher"
datasets = ["jsrt"]         # default: all
epochs = 40

[[stages]]
name = "student"
init = "teacher"            # weights of an earlier stage, a shipped model, or a model folder
labels-from = "teacher"     # who fills in what masks do not show
epochs = 40
repeat = { jsrt = 2 }       # replaces the data set's own repeat
"""

from __future__ import annotations

import tomllib
from collections.abc import Mapping
from dataclasses import dataclass, fields, replace
from pathlib import Path
from typing import Any

from ..data.datasets import Dataset, parse_datasets
from ..errors import TrainingError
from ..models.network import check_size
from .config import DEFAULT_NETWORK, DEFAULT_SIZE, TrainingConfig
from .run_record import WEIGHTS_SETTINGS

#: Settings of a stage beside those of TrainingConfig.
_STAGE_KEYS = ("name", "datasets", "repeat")
_PLAN_KEYS = ("name", "seed", "settings", "datasets", "stages")
#: Settings that a plan cannot have: data sets state their own shares, and the plan has the seed.
_EXCLUDED = ("validation_share", "test_share", "seed")
_SETTINGS = {field.name for field in fields(TrainingConfig)} - set(_EXCLUDED)


@dataclass(frozen=True)
class Stage:
    """A training run of a plan.

    Attributes:
        name: unique name; that of its run folder.
        config: configuration; ``init`` and ``labels_from`` may name earlier stages.
        datasets: data sets to train and validate on.
    """

    name: str
    config: TrainingConfig
    datasets: tuple[Dataset, ...]


@dataclass(frozen=True)
class TrainingPlan:
    """Stages that end in weights.

    Attributes:
        name: name of the weights.
        stages: in the order in which they are trained; the last one gives the weights.
        text: content of the TOML file.
    """

    name: str
    stages: tuple[Stage, ...]
    text: str


def read_plan(path: str | Path, *, root: str | Path | None = None) -> TrainingPlan:
    """Read a training plan.

    Args:
        path: TOML file.
        root: folder where the relative paths of data sets start; None for the folder of the file.

    Raises:
        TrainingError: the file cannot be read, or a setting is unknown or has a wrong value.
        DatasetError: a data set is described wrongly.
    """
    path = Path(path)
    try:
        text = path.read_text(encoding="utf-8")
        content = tomllib.loads(text)
    except (OSError, ValueError) as error:
        raise TrainingError(f"{path}: cannot be read: {error}") from error
    _refuse_unknown(content, _PLAN_KEYS, str(path))
    datasets = parse_datasets(
        content.get("datasets"), root=Path(root or path.parent), source=str(path)
    )
    common = _settings(content.get("settings", {}), f"{path}: settings")
    common["seed"] = content.get("seed", 0)
    tables = content.get("stages", [{"name": "training"}])
    if not isinstance(tables, list) or not tables:
        raise TrainingError(f"{path}: lists no stages; give a table [[stages]] for each")
    stages: list[Stage] = []
    for table in tables:
        stages.append(_parse_stage(table, common, datasets, stages, str(path)))
    _check_references(stages, str(path))
    return TrainingPlan(str(content.get("name", path.stem)), tuple(stages), text)


def _parse_stage(
    table: Any,
    common: Mapping[str, Any],
    datasets: tuple[Dataset, ...],
    before: list[Stage],
    source: str,
) -> Stage:
    """A stage of its table, the common settings, and the stages before it."""
    if not isinstance(table, Mapping) or not isinstance(table.get("name"), str):
        raise TrainingError(f"{source}: each of the stages needs a name")
    name = table["name"]
    where = f"{source}: stage {name!r}"
    if name in {stage.name for stage in before} or Path(name).name != name or name in ("", ".."):
        raise TrainingError(f"{where}: the name must be unique, and fit for a folder")
    own = _settings({key: table[key] for key in table if key not in _STAGE_KEYS}, where)
    try:
        config = TrainingConfig(**{**common, **own})
        if config.init is None or config.network:
            check_size(config.network or DEFAULT_NETWORK, config.size or DEFAULT_SIZE)
    except (TypeError, ValueError) as error:
        raise TrainingError(f"{where}: {error}") from error
    return Stage(name, config, _chosen(table, datasets, where))


def _chosen(
    table: Mapping[str, Any], datasets: tuple[Dataset, ...], where: str
) -> tuple[Dataset, ...]:
    """The data sets of a stage, with the repeats that it gives them."""
    by_name = {dataset.name: dataset for dataset in datasets}
    names, repeats = table.get("datasets", list(by_name)), table.get("repeat", {})
    if not isinstance(names, list) or not names or not isinstance(repeats, Mapping):
        raise TrainingError(f"{where}: datasets must be a list of names, repeat a table by name")
    for name in (*names, *repeats):
        if name not in by_name:
            raise TrainingError(f"{where}: no data set {name!r}; use {', '.join(by_name)}")
    for name, repeat in repeats.items():
        if not isinstance(repeat, int | float) or repeat <= 0:
            raise TrainingError(f"{where}: repeat of {name} must be above 0, not {repeat!r}")
    return tuple(
        replace(by_name[name], repeat=float(repeats.get(name, by_name[name].repeat)))
        for name in names
    )


def _check_references(stages: list[Stage], source: str) -> None:
    """Raise TrainingError if a stage starts from itself or a later one."""
    names = [stage.name for stage in stages]
    for index, stage in enumerate(stages):
        for setting in WEIGHTS_SETTINGS:
            if getattr(stage.config, setting) in names[index:]:
                raise TrainingError(
                    f"{source}: stage {stage.name!r}: {setting.replace('_', '-')} must name an "
                    "earlier stage or weights"
                )


def _settings(table: Any, where: str) -> dict[str, Any]:
    """Settings of TrainingConfig by their Python names."""
    if not isinstance(table, Mapping):
        raise TrainingError(f"{where} must be a table")
    _refuse_unknown(table, sorted(name.replace("_", "-") for name in _SETTINGS), where)
    return {key.replace("-", "_"): value for key, value in table.items()}


def _refuse_unknown(table: Mapping[str, Any], known: Any, where: str) -> None:
    unknown = [key for key in table if key not in known]
    if unknown:
        raise TrainingError(f"{where}: unknown setting {unknown[0]!r}; use {', '.join(known)}")
