"""What commands show, in one place: progress on a terminal, plain lines in a log."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
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

#: Results and tables; programs may read it.
out = Console(highlight=False)
#: Progress, warnings and failures.
err = Console(stderr=True, highlight=False)


@dataclass
class Bar:
    """A progress bar that a caller moves."""

    progress: Progress
    task: TaskID

    def move(self, done: int, note: str = "") -> None:
        """Show that ``done`` steps are done, with a short note such as the rate."""
        self.progress.update(self.task, completed=done, note=note)


@contextmanager
def bar(title: str, total: int, quiet: bool = False) -> Iterator[Bar]:
    """A bar with count, note, elapsed and remaining time; invisible off a terminal."""
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
    """A line of the result, as it is: names are no markup, and long ones are not folded."""
    out.print(escape(text), soft_wrap=True)


def line(text: str) -> None:
    """A plain line for the log; long paths are not folded."""
    err.print(escape(printable(text)), soft_wrap=True)


def failure(text: str) -> None:
    """A line about something that went wrong."""
    err.print(f"[red]failed[/red] {escape(printable(text))}", soft_wrap=True)


def doubt(text: str) -> None:
    """A line about something done that should be looked at."""
    err.print(f"[yellow]look at[/yellow] {escape(printable(text))}", soft_wrap=True)


def table(title: str, columns: list[str], rows: list[list[str]]) -> None:
    """A table of strings on standard output; columns after the first are right-aligned."""
    shown = Table(title=title, title_justify="left", title_style="bold")
    for index, column in enumerate(columns):
        shown.add_column(column, justify="right" if index else "left", overflow="fold")
    for row in rows:
        shown.add_row(*map(escape, row))
    out.print(shown)
