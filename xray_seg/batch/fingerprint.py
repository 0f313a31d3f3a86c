"""Fingerprints that decide whether an input can be skipped."""

from __future__ import annotations

import hashlib
import json
from dataclasses import asdict

from .._util.remote import InputPath, content_version
from ..models.engines import is_deterministic
from .job import BatchJob
from .options import output_settings

#: How a changed input is noticed, besides its size.
VERIFY = ("mtime", "hash")
#: Raised when the same input, weights and options give other outputs than before, so that a new
#: version of the package segments again only then.
OUTPUT_REVISION = 3


def settings_of(job: BatchJob) -> str:
    """What decides the outputs besides the input: revision, weights, engine and options."""
    engine = job.engine
    made_with = [OUTPUT_REVISION, job.model.sha256, job.model.calibration_sha256]
    made_with += [engine.name, engine.precision] if engine else []
    # Only if it is, so that fingerprints of earlier versions stay the same.
    made_with += ["deterministic"] if engine and is_deterministic(engine) else []
    return json.dumps([*made_with, output_settings(asdict(job.options))], sort_keys=True)


def fingerprint_of(path: InputPath, settings: str, verify: str = "mtime") -> str:
    """Digest of a path, its file\'s size and modification time or content, and the settings."""
    try:
        state = content_version(path, verify)
    except (OSError, ValueError):
        state = "missing"
    return hashlib.sha256(
        f"{path}\0{state}\0{settings}".encode(errors="surrogateescape")
    ).hexdigest()
