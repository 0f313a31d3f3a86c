"""A training run from folders of radiographs and masks to a published model folder."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager, nullcontext
from dataclasses import dataclass, field, replace
from functools import partial
from pathlib import Path
from typing import Any, Literal

from .._util.folder_lock import lock_file
from ..data.annotation import FULL, Annotation
from ..data.cases import Case, find_cases
from ..data.splits import Split, fold_cases, split_cases
from ..errors import TrainingError
from ..labels import ORGANS
from .build import resolve_config
from .config import STANDARD, TrainingConfig
from .devices import fit_on_devices
from .hosts import SINGLE_HOST, Hosts
from .publish import MODEL_FOLDER, publish
from .run_record import RECORD_FILE, EpochRow, read_record
from .trainer import fit

#: Held by the training that writes into a run folder.
LOCK_FILE = ".lock"


@dataclass(frozen=True)
class TrainingProgress:
    """State of a training run, as passed to ``on_progress``.

    Attributes:
        stage: ``training`` while the network is trained, ``scoring`` while it is scored.
        done: epochs trained, fractions of one included, or validation cases scored; 0 at the
            start of a stage.
        total: largest number of epochs, or number of validation cases.
        split: cases of the run.
        row: the row of ``history.csv`` of the epoch just trained; empty at the start of a stage
            and while scoring.
    """

    stage: Literal["training", "scoring"]
    done: float
    total: int
    split: Split
    row: EpochRow = field(default_factory=dict)


@dataclass(frozen=True)
class TrainingResult:
    """A published training run.

    Attributes:
        run: run folder.
        model: folder of the model, for ``Segmenter(weights=...)``.
        metrics: scores of the validation cases at the resolution of their masks, see
            ``evaluation.summary.summarise``.
        config: the configuration with all open settings filled in.
        split: cases of the run.
        seen_before: names of the validation and test cases that the initial weights had been
            trained on. The scores of these cases are too high.
    """

    run: Path
    model: Path
    metrics: dict[str, Any]
    config: TrainingConfig
    split: Split
    seen_before: tuple[str, ...] = ()


def train(
    images: str | Path,
    masks: str | Path,
    out: str | Path,
    *,
    annotation: Annotation = FULL,
    label_maps: bool = False,
    config: TrainingConfig = STANDARD,
    name: str | None = None,
    fold: tuple[int, int] | None = None,
    spacing: float | None = None,
    devices: int | None = None,
    hosts: Hosts = SINGLE_HOST,
    resume: bool = False,
    finish: bool = False,
    on_progress: Callable[[TrainingProgress], None] | None = None,
) -> TrainingResult | None:
    """Train a network on radiographs with masks, and export and score it.

    Args:
        images: folder of radiographs.
        masks: folder of masks, see ``data.cases.find_cases``.
        out: run folder; created if missing. ``run_record`` and ``report`` list its files.
        annotation: organs that the masks show.
        label_maps: the masks are label maps.
        config: training configuration.
        name: name of the weights; None for the name of the run folder.
        fold: (k, n) to validate on the k-th of n folds, from 1, instead of holding out the shares
            of the configuration.
        spacing: mm between the pixels of the masks, for distances; None to take it from the
            radiographs' files.
        devices: number of GPUs, or without GPUs CPUs, of each host that share each batch, with
            JAX; None to train on the default device of Keras' own backend. With several hosts
            None is 1.
        hosts: the hosts that share each batch. Each calls this function with the same arguments,
            except for the index in ``hosts``, and ``out`` is one folder that all of them see.
        resume: continue from the last complete epoch in the run folder. Without it a folder that
            holds a run is an error.
        finish: train no more: export and score the network after the epochs done so far.
        on_progress: called on the first host at the start of each stage, after each step (except
            with JAX devices or hosts) and epoch, and after each validation case.

    Returns:
        The published run; None on hosts other than the first.

    Raises:
        DatasetError: images and masks do not fit together, or are too few.
        ReadError: a case cannot be read.
        TrainingError: the run cannot be started, resumed or continued.
        ValueError: the configured network does not exist, or the size does not suit it.
        WeightsError: the initial weights are missing, altered, or of another network.

    Example:
        >>> from xray_seg.training.run import train
        >>> from xray_seg.training.config import TrainingConfig
        >>> result = train(  # doctest: +SKIP
        ...     "jsrt/images", "jsrt/scr", "run", config=TrainingConfig(epochs=70)
        ... )
        >>> result.metrics["organs"]["lungs"]["dice"]["mean"]  # doctest: +SKIP
        0.976
    """
    split = _split(
        find_cases(images, masks, annotation=annotation, label_maps=label_maps), config, fold
    )
    return train_split(
        split,
        out,
        config=config,
        name=name,
        spacing=spacing,
        devices=devices,
        hosts=hosts,
        resume=resume,
        finish=finish,
        on_progress=on_progress,
    )


def train_split(
    split: Split,
    out: str | Path,
    *,
    config: TrainingConfig,
    name: str | None = None,
    facts: dict[str, Any] | None = None,
    spacing: float | None = None,
    devices: int | None = None,
    hosts: Hosts = SINGLE_HOST,
    resume: bool = False,
    finish: bool = False,
    on_progress: Callable[[TrainingProgress], None] | None = None,
) -> TrainingResult | None:
    """Train a network on given cases, and export and score it.

    Args:
        split: cases to train, validate and test on. Organs that masks do not show are filled in
            from ``config.labels_from``, or else from the initial weights, if there are any.
        facts: further entries of the model card; they replace entries of the same name.
        out, config, name, spacing, devices, hosts, resume, finish, on_progress: as of ``train``.

    Returns, raises: as ``train``.
    """
    out = Path(out)
    config = with_labels(config, split)
    config = resolve_config(resumed_precision(config, out) if resume or finish else config)
    report = _Reporter(on_progress if hosts.first else None, split, config.epochs)
    report.training(None)
    fit_run = partial(fit, on_step=report.step)
    if devices is not None or hosts.count > 1:
        fit_run = partial(fit_on_devices, devices=devices or 1)
    with _locked(out) if hosts.first else nullcontext():
        on_epoch = report.training
        fit_run(out, split, config, on_epoch=on_epoch, resume=resume, finish=finish, hosts=hosts)
        if not hosts.first:
            return None
        report.scoring(0)
        name = name or out.resolve().name
        metrics = publish(
            out, split, name, facts=facts or {}, spacing=spacing, on_case=report.scoring
        )
    seen = read_record(out).get("held_out_but_trained_before", ())
    return TrainingResult(out, out / MODEL_FOLDER, metrics, config, split, tuple(seen))


def with_labels(config: TrainingConfig, split: Split) -> TrainingConfig:
    """Let the initial weights fill in what masks do not show, unless others are to do so."""
    if config.labels_from is None and open_organs(split):
        return replace(config, labels_from=config.init)
    return config


def open_organs(split: Split) -> tuple[str, ...]:
    """Names of the organs that the masks of some training cases do not show."""
    known = [case.annotation.organs for case in split.train]
    return tuple(organ.name for organ in ORGANS if any(organ.name not in each for each in known))


@contextmanager
def _locked(run: Path) -> Iterator[None]:
    """Hold the run folder against a second training at the same time.

    Raises:
        TrainingError: another training holds it, or it cannot be written.
    """
    with ExitStack() as stack:
        try:
            is_held = stack.enter_context(lock_file(run / LOCK_FILE))
        except OSError as error:
            reason = error.strerror or error
            raise TrainingError(
                f"{run}: cannot be written: {reason}; give another --out"
            ) from error
        if not is_held:
            raise TrainingError(
                f"{run}: another training writes here; wait for it, or give another --out"
            )
        yield


def resumed_precision(config: TrainingConfig, run: Path) -> TrainingConfig:
    """Replace precision ``auto`` by that of the run to resume, maybe of another machine."""
    if config.precision != "auto" or not (run / RECORD_FILE).exists():
        return config
    return replace(config, precision=read_record(run)["recipe"].get("precision", "auto"))


def _split(cases: list[Case], config: TrainingConfig, fold: tuple[int, int] | None) -> Split:
    if fold:
        return fold_cases(cases, *fold, seed=config.seed)
    return split_cases(
        cases, seed=config.seed, validation=config.validation_share, test=config.test_share
    )


@dataclass(frozen=True)
class _Reporter:
    """Call ``on_progress``, if there is one, with the state of a run."""

    on_progress: Callable[[TrainingProgress], None] | None
    split: Split
    epochs: int

    def training(self, row: EpochRow | None) -> None:
        """Report an epoch, or with None the start of training."""
        row = row or {}
        self._report("training", int(row.get("epoch", 0)), self.epochs, row)

    def step(self, done: float) -> None:
        """Report a training step, by the epochs done."""
        self._report("training", done, self.epochs, {})

    def scoring(self, done: int) -> None:
        """Report the number of validation cases scored."""
        self._report("scoring", done, len(self.split.validation), {})

    def _report(
        self, stage: Literal["training", "scoring"], done: float, total: int, row: EpochRow
    ) -> None:
        if self.on_progress:
            self.on_progress(TrainingProgress(stage, done, total, self.split, row))
