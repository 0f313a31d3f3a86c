"""The output folder of a batch: locked, swept of unfinished files, with its journal open."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from .._util.folder_lock import HIDDEN, is_output_folder, lock_output_folder
from ..errors import OutputError
from ..outputs import FOLDERS
from .journal import Journal
from .options import BatchOptions
from .run_files import run_file_names


def journal_path(out: Path, run_suffix: str) -> Path:
    """Where the journal of a run, or of a shard's run, lies."""
    return out / HIDDEN / f"journal{run_suffix}.jsonl"


def refuse_foreign_folder(out: Path, run_suffix: str, options: BatchOptions) -> None:
    """Refuse an output folder with files that a run would replace, and no run has written.

    Args:
        out: the output folder; one with a run's own files in it is accepted.
        run_suffix: of a shard; empty for a whole run.
        options: of the batch.

    Raises:
        OutputError: there are such files; it names some.
    """
    if options.adopt or is_output_folder(out):
        return
    taken = [out / name for name in run_file_names(run_suffix) if (out / name).exists()]
    for folder in [out / name for name in FOLDERS]:
        if folder.is_dir() and any(folder.iterdir()):
            taken.append(folder)
    if taken:
        shown = ", ".join(map(str, taken[:5])) + (" ..." if len(taken) > 5 else "")
        raise OutputError(
            f"{out}: holds files that xrayseg did not write and would replace: {shown}; give "
            "another --out, or --adopt to take the folder over"
        )


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
