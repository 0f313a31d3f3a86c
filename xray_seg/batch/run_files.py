"""Names of the files about a whole run, which lie in the output folder itself."""

from __future__ import annotations

import re
from collections.abc import Iterator

from ..outputs import MERGED_FILES

#: Their names and suffixes; a shard's have its suffix between.
_TABLES = (
    *((name, ".csv") for name in ("results", "distrusted")),
    ("results", ".parquet"),
    ("report", ".html"),
    ("run", ".json"),
    *MERGED_FILES.items(),
)
_SHARD = r"(-\d+-of-\d+)?"
_PATTERN = re.compile(
    "|".join(re.escape(name) + _SHARD + re.escape(suffix) for name, suffix in _TABLES)
    + r"|part-[-\w]+\.parquet"
)


def run_file_names(run_suffix: str) -> Iterator[str]:
    """Names of the files that a run, or a shard's run, may write besides Parquet parts."""
    return (f"{name}{run_suffix}{suffix}" for name, suffix in _TABLES)


def is_run_file(name: str) -> bool:
    """Whether a name is one that any run, or a shard's run, gives to a file about all inputs."""
    return _PATTERN.fullmatch(name) is not None
