"""Progress of a batch, and its last words."""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from ..errors import OutputError
from . import discard_output

if TYPE_CHECKING:
    from ..batch.journal import Record
    from ..batch.options import Summary
    from . import console


def _warnings_and_notes(row: dict[str, Any]) -> str:
    return "; ".join(filter(None, (row.get("warnings"), row.get("notes"))))


class BatchProgress:
    """Shows the progress of a batch: as a bar on a terminal, as lines in a log, or as JSON."""

    #: Approximate number of progress lines in a log.
    _LINES = 20

    def __init__(self, quiet: bool, verbose: bool, as_json: bool, has_report: bool) -> None:
        self.quiet, self.verbose, self.as_json = quiet, verbose, as_json
        self.has_report = has_report
        self._bar: console.Bar | None = None
        self._lost: OSError | None = None
        self._stack = ExitStack()

    @contextmanager
    def shown(self) -> Iterator[None]:
        """Close the bar at the end of the block; the first call opens it."""
        with self._stack:
            yield

    def __call__(self, summary: Summary, record: Record | None) -> None:
        """Show the summary so far, and the record of the input that was finished."""
        from . import console

        if record is None or self._bar is None:
            hidden = self.quiet or self.as_json
            self._bar = self._stack.enter_context(console.bar("segmenting", summary.total, hidden))
        if record is None:
            return
        if self.as_json:
            self._print_json({"event": "image", "key": record.key, **record.row})
        if record.is_skipped:
            if not self.quiet:
                console.warning(f"skipped {record.row['error']}")
        elif not record.done:
            console.failure(record.row["error"])
        elif not self.quiet and (warnings := _warnings_and_notes(record.row)):
            console.warning(f"{record.row['input']}: {warnings}")
        elif self.verbose:
            console.line(f"done {record.row['input']}")
        rate = f"{summary.done / max(summary.seconds, 1e-9):.1f} images/s"
        failed = f", {summary.failed} failed" if summary.failed else ""
        self._bar.move(summary.processed, rate + failed)
        step = max(1, summary.total // self._LINES)
        is_log = not (self.quiet or self.as_json or console.err.is_terminal)
        if is_log and summary.processed % step == 0:
            done = summary.done + summary.kept
            console.line(f"{done}/{summary.total} done{failed}, {rate}")

    def _print_json(self, facts: dict[str, Any]) -> None:
        try:
            click.echo(json.dumps(facts))
        except OSError as error:  # the batch continues
            discard_output()
            if not isinstance(error, BrokenPipeError):  # that is a reader that has had enough
                self._lost = error

    def end(self, summary: Summary, out: Path) -> None:
        """Print the summary: a JSON line, or a table and the paths of the outputs.

        Raises:
            OutputError: events were lost since standard output cannot be written.
        """
        from ..batch.options import COUNTS
        from . import console

        counts = {name: summary.counts[name] for name in COUNTS}
        if self.as_json:
            facts = {"total": summary.total, **counts, "interrupted": summary.interrupted}
            facts["doubtful"] = summary.doubtful
            if summary.distrusted is not None:
                facts["distrusted"] = summary.distrusted
            self._print_json({"event": "summary", "out": str(out), **facts})
        elif not self.quiet:
            rate = f"{summary.done / max(summary.seconds, 1e-9):.1f}"
            columns = [
                "inputs",
                "done",
                "kept from before",
                "failed",
                "skipped",
                "seconds",
                "images/s",
            ]
            cells = [summary.total, *counts.values(), f"{summary.seconds:.1f}", rate]
            console.table("", columns, [[str(cell) for cell in cells]])
            if summary.doubtful:
                console.say(
                    f"{summary.doubtful} with doubtful masks: status doubtful in results.csv"
                )
            if summary.distrusted:
                console.say(
                    f"{summary.distrusted} to distrust, lowest predicted Dice first: "
                    f"{out}/distrusted.csv"
                )
            report = f"   Review page: {out / 'report.html'}" if self.has_report else ""
            console.say(f"Outputs: {out}   One row per input: {out / 'results.csv'}{report}")
        if summary.interrupted:
            console.line("interrupted: what was finished is kept; run the same command to go on")
        if self._lost is not None:
            raise OutputError(
                f"standard output: cannot be written: {self._lost.strerror or self._lost}; "
                f"events were lost, the outputs in {out} were not"
            )
