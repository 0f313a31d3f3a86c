"""The output folder of a batch: locked, swept of unfinished files, with its journal open."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from .._util.folder_lock import HIDDEN, lock_output_folder
from ..outputs import FOLDERS
from .journal import Journal


def journal_path(out: Path, run_suffix: str) -> Path:
    """Where the journal of a run, or of a shard's run, lies."""
    return out / HIDDEN / f"journal{run_suffix}.jsonl"


@contextmanager
def open_output_folder(out: Path, run_suffix: str = "") -> Iterator[Journal]:
    """Lock an output folder against other runs, and open the journal.

    Args:
        out: the output folder; made if it does not exist.
        run_suffix: of a shard; empty for a whole run.

    Raises:
        OutputError: another run holds it.
        OSError: it cannot be made or written.
    """
    with (
        lock_output_folder(out, run_suffix, FOLDERS),
        Journal(journal_path(out, run_suffix)) as journal,
    ):
        yield journal
