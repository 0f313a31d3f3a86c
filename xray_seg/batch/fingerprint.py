"""Fingerprints that decide whether an input can be skipped."""

from __future__ import annotations

import hashlib
import json
from dataclasses import asdict
from pathlib import Path

from .._util.files import file_sha256
from .._util.remote import Remote
from .job import BatchJob
from .options import output_settings

#: How a changed input is noticed, besides its size.
VERIFY = ("mtime", "hash")
#: Raised when the same input, weights and options give other outputs than before, so that a new
#: version of the package segments again only then.
OUTPUT_REVISION = 1


def settings_of(job: BatchJob) -> str:
    """What decides the outputs besides the input: revision, weights, engine and options."""
    engine = job.engine
    made_with = [OUTPUT_REVISION, job.model.sha256]
    made_with += [engine.name, engine.precision] if engine else []
    return json.dumps([*made_with, output_settings(asdict(job.options))], sort_keys=True)


def fingerprint_of(path: Path | Remote, settings: str, verify: str = "mtime") -> str:
    """Digest of a path, its file's size and modification time or content, and the settings."""
    try:
        state = path.state if isinstance(path, Remote) else _state(path, verify)
    except (OSError, ValueError):
        state = "missing"
    return hashlib.sha256(
        f"{path}\0{state}\0{settings}".encode(errors="surrogateescape")
    ).hexdigest()


def _state(path: Path, verify: str) -> str:
    status = path.stat()
    if verify == "hash" and path.is_file():  # reading a pipe would wait for its writer
        return f"{status.st_size} {file_sha256(path)}"
    return f"{status.st_size} {status.st_mtime_ns}"
