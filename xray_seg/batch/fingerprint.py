"""By what a run knows that an input was done already: the file, the weights, the settings."""

from __future__ import annotations

import hashlib
import json
from dataclasses import asdict
from typing import TYPE_CHECKING

from .._util.remote import InputPath, content_version
from .._version import __version__

if TYPE_CHECKING:
    from ..segmenter import Segmenter
    from .options import BatchOptions

#: What can tell, beside its size, that an input is the same as before.
VERIFY = ("mtime", "hash")
#: Options that change how, not what, a batch writes of an input that it can read.
_INDIFFERENT = ("overwrite", "batch_size", "workers", "verify", "max_pixels", "report")


def settings_of(segmenter: Segmenter, options: BatchOptions) -> str:
    """What, besides the input, decides what the outputs are."""
    kept = {key: value for key, value in asdict(options).items() if key not in _INDIFFERENT}
    engine = segmenter.engine
    made_by = [__version__, segmenter.model.sha256, engine.name, engine.precision]
    return json.dumps([*made_by, kept], sort_keys=True)


def fingerprint_of(path: InputPath, settings: str, verify: str = "mtime") -> str:
    """Digest of a path, its file's size and modification time or content, and of the settings."""
    try:
        state = content_version(path, verify)
    except (OSError, ValueError):
        state = "missing"
    return hashlib.sha256(
        f"{path}\0{state}\0{settings}".encode(errors="surrogateescape")
    ).hexdigest()
