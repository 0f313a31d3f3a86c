"""Console output of all commands: progress bars on a terminal, plain lines in a log."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass

from rich.console import Console
from rich.markup import escape
from rich.progress import (
    BarColumn,
    MofNCompleteColumn,
    Progress,
    TaskID,
    TextColumn,
    TimeElapsedColumn,
    TimeRemainingColumn,
)
from rich.table import Table

from .printable import printable

#: Standard output: results and tables.
out = Console(highlight=False)
#: Standard error: progress, warnings and failures.
err = Console(stderr=True, highlight=False)


@dataclass
class Bar:
    """A progress bar.

    Attributes:
        progress: rich's display.
        task: the bar's task within it.
    """

    progress: Progress
    task: TaskID

    def move(self, done: float, note: str = "") -> None:
        """Set the number of steps done, and a short note such as the rate."""
        self.progress.update(self.task, completed=done, note=note)


@contextmanager
def bar(title: str, total: int, quiet: bool = False) -> Iterator[Bar]:
    """Show a bar with count, note, elapsed and remaining time; only on a terminal."""
    columns = (
        TextColumn("{task.description}"),
        BarColumn(),
        MofNCompleteColumn(),
        TextColumn("{task.fields[note]}"),
        TimeElapsedColumn(),
        TextColumn("left"),
        TimeRemainingColumn(),
    )
    hidden = quiet or not err.is_terminal
    with Progress(*columns, console=err, disable=hidden, transient=True) as progress:
        yield Bar(progress, progress.add_task(title, total=total, note=""))


def say(text: str) -> None:
    """Print a result line to standard output, without markup and line wrapping."""
    out.print(escape(text), soft_wrap=True)


def line(text: str) -> None:
    """Print a log line to standard error, without markup and line wrapping."""
    _log(escape(printable(text)))


def failure(text: str) -> None:
    """Print a failure to standard error."""
    _log(f"[red]failed[/red] {escape(printable(text))}")


def warning(text: str) -> None:
    """Print a warning about a result that should be checked to standard error."""
    _log(f"[yellow]look at[/yellow] {escape(printable(text))}")


def _log(markup: str) -> None:
    """Print a line to standard error; a log that cannot be written does not end a run."""
    with suppress(OSError):
        err.print(markup, soft_wrap=True)


def table(title: str, columns: list[str], rows: list[list[str]]) -> None:
    """Print a table to standard output; columns after the first are right-aligned."""
    shown = Table(title=title, title_justify="left", title_style="bold")
    for index, column in enumerate(columns):
        shown.add_column(column, justify="right" if index else "left", overflow="fold")
    for row in rows:
        shown.add_row(*map(escape, row))
    out.print(shown)
