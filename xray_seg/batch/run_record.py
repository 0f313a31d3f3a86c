"""run.json: what a run did, with what, by which versions, how fast."""

from __future__ import annotations

import json
from collections.abc import Iterable
from dataclasses import asdict, dataclass, field, fields
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, get_type_hints

from .._util.environment import engine_build, versions
from .._util.files import write_text
from .._util.json_types import check_fields, parse_object
from .._util.processor import Processor
from ..models.engines import is_deterministic
from .fingerprint import OUTPUT_REVISION
from .job import BatchJob
from .options import Summary
from .processors import from_json, mixture, to_json

#: Version of the form of run.json; raised when a field changes its meaning.
SCHEMA_VERSION = 1
#: Counts of inputs in each record.
_REQUIRED_COUNTS = ("inputs", "done", "kept", "failed")
#: Fields that records of earlier versions, or of runs that were not merged, lack.
_OPTIONAL = (
    "processors",
    "notes",
    "doubtful",
    "shown",
    "shards",
    "output_revision",
    "schema_version",
)
#: Fields of a processor that are texts.
_TEXTS = ("model", "machine", "instruction_set", "c_library")
#: Settings that a merge reads; a record holds them as JSON does.
_SETTINGS = {
    "save": list[str],
    "sides": bool,
    "output_format": str,
    "keep_ids": bool,
    "report": bool,
    "parquet": bool,
    "min_quality": float | None,
}


@dataclass(frozen=True)
class RunRecord:
    """The content of run.json.

    Attributes:
        started, finished: times in ISO 8601.
        weights: ``name``, ``sha256`` and ``calibration_sha256``.
        engine: ``name``, ``precision``, ``device``, ``build`` (package and version that computes)
            and ``deterministic``.
        settings: the batch options by name.
        counts: ``inputs``, ``done``, ``kept``, ``failed`` and ``skipped``.
        interrupted: whether the run was stopped before its end.
        seconds: wall-clock time.
        engine_seconds: time in the engine.
        versions: of this package and what it depends on.
        files: SHA-256 by name of the run-level outputs, such as results.csv.
        processors: of the machines that computed the outputs, see ``Processor``; those of an
            earlier run included, if its outputs were kept.
        notes: what a reader of the outputs should know, in sentences.
        doubtful: how many inputs have doubtful masks.
        shown: how many images were shown otherwise than they are stored, see ``Summary.shown``.
        shards: of a merged run, ``count`` and ``missing``; otherwise None.
        output_revision: see ``fingerprint.OUTPUT_REVISION``.
        schema_version: see SCHEMA_VERSION.
    """

    started: str
    finished: str
    weights: dict[str, str]
    engine: dict[str, Any]
    settings: dict[str, Any]
    counts: dict[str, int]
    interrupted: bool
    seconds: float
    engine_seconds: float
    versions: dict[str, str]
    files: dict[str, str]
    processors: tuple[Processor, ...] = ()
    notes: tuple[str, ...] = ()
    doubtful: int = 0
    shown: dict[str, int] = field(default_factory=dict)
    shards: dict[str, Any] | None = None
    output_revision: int = OUTPUT_REVISION
    schema_version: int = SCHEMA_VERSION

    @classmethod
    def of(
        cls,
        job: BatchJob,
        summary: Summary,
        started: datetime,
        files: dict[str, str],
        processors: Iterable[Processor],
    ) -> RunRecord:
        """The record of a run that ends now."""
        engine, processors = job.required_engine, tuple(processors)
        deterministic = is_deterministic(engine)
        return cls(
            started=started.isoformat(timespec="seconds"),
            finished=datetime.now(UTC).isoformat(timespec="seconds"),
            weights={
                "name": job.model.name,
                "sha256": job.model.sha256,
                "calibration_sha256": job.model.calibration_sha256 or "",
            },
            engine={
                **{name: str(getattr(engine, name)) for name in ("name", "precision", "device")},
                "build": engine_build(engine.name),
                "deterministic": deterministic,
            },
            settings=asdict(job.options),
            counts=summary.counts,
            interrupted=summary.interrupted,
            seconds=round(summary.seconds, 3),
            engine_seconds=round(summary.engine_seconds, 3),
            versions=versions(),
            files=files,
            processors=processors,
            doubtful=summary.doubtful,
            shown=dict(summary.shown),
            notes=notes_on(processors, engine.device, deterministic=deterministic),
        )

    @classmethod
    def read(cls, path: Path) -> RunRecord:
        """Read a run.json.

        Raises:
            OSError: it cannot be read.
            ValueError: it is damaged, lacks fields, or is of a later version.
        """
        facts = parse_object(path.read_bytes())
        types = get_type_hints(cls) | {"processors": list[dict[str, Any]], "notes": list[str]}
        optional = {name: types.pop(name) for name in _OPTIONAL}
        check_fields(facts, types, optional)
        check_fields(facts["counts"], dict.fromkeys(_REQUIRED_COUNTS, int), {"skipped": int})
        check_fields(facts["engine"], {"device": str}, {"build": str})
        check_fields(facts["settings"], {}, _SETTINGS)
        try:
            for processor in facts.get("processors", ()):
                check_fields(processor, {**dict.fromkeys(_TEXTS, str), "features": list[str]})
        except ValueError as error:
            raise ValueError(f"processors: {error}") from error
        if facts.get("schema_version", 0) > SCHEMA_VERSION:
            raise ValueError(f"was written by a later version (schema {facts['schema_version']})")
        facts = {"output_revision": 0, "schema_version": 0, **facts}
        facts["processors"] = tuple(from_json(facts.get("processors", ())))
        facts["notes"] = tuple(facts.get("notes", ()))
        return cls(**{each.name: facts[each.name] for each in fields(cls) if each.name in facts})

    def write(self, path: Path) -> None:
        """Write it as JSON, whole or not at all.

        Raises:
            OSError: it cannot be written.
        """
        facts = asdict(self) | {"processors": to_json(self.processors)}
        if self.shards is None:
            del facts["shards"]
        write_text(path, json.dumps(facts, indent=2) + "\n")


def notes_on(
    processors: Iterable[Processor], device: str, *, deterministic: bool
) -> tuple[str, ...]:
    """Notes on the processors that computed outputs; none where engines ran on GPUs only.

    Args:
        processors: of all machines.
        device: of the engine, or of several ones, with commas between.
        deterministic: whether the engines are.
    """
    note = mixture(processors, deterministic=deterministic) if "cpu" in device else None
    return (note,) if note else ()
