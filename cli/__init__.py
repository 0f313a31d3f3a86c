"""The command ``xrayseg``. Subcommands are imported when they run, so that help is fast."""

from __future__ import annotations

import os
import sys
from collections.abc import Sequence
from contextlib import suppress
from importlib import import_module

import click

from .._version import __version__

#: Subcommands and their one-line help, in the order of the help text.
COMMANDS = {
    "batch": "Segment folders of chest radiographs.",
    "measure": "Measure existing label maps.",
    "merge": "Merge the shards of a batch.",
    "unpack": "Convert Parquet outputs of a batch to files.",
    "verify": "Check the outputs of a batch against its journal.",
    "train": "Train a network on radiographs with masks.",
    "evaluate": "Score weights against reference masks.",
    "calibrate": "Calibrate predicted Dice for your own weights.",
    "bench": "Measure the speed on this machine.",
    "phantom": "Make synthetic radiographs with reference masks.",
    "info": "Show versions, devices, engines and weights.",
}


class _LazyGroup(click.Group):
    """A command group that imports a subcommand when it is used."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        return list(COMMANDS)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        if cmd_name not in COMMANDS:
            return None
        command: click.Command = import_module(f".{cmd_name}", __name__).command
        return command

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        with formatter.section("Commands"):
            formatter.write_dl(list(COMMANDS.items()))


@click.group(cls=_LazyGroup, context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(__version__, "-V", "--version", prog_name="xrayseg")
def cli() -> None:
    """Segment clavicles, heart and lungs in chest radiographs.

    \b
    xrayseg batch folder/ --out masks/    segment all radiographs below folder/
    xrayseg COMMAND --help                describe a command and its options

    Not a medical device.
    """


def main(args: Sequence[str] | None = None) -> None:
    """Run the command line and exit.

    Args:
        args: the arguments; those of the process by default.

    Raises:
        SystemExit: always. Exit status 0: done; 1: failed; 2: wrong usage; 130: interrupted.
    """
    from ..errors import EngineError, WeightsError, XraySegError

    _open_closed_streams()
    status = 0
    try:
        status = cli.main(args, prog_name="xrayseg", standalone_mode=False)
    except click.exceptions.Exit as stop:
        status = stop.exit_code
    except click.ClickException as error:
        with suppress(OSError):
            error.show()
        status = error.exit_code
    except (click.Abort, KeyboardInterrupt):
        _say("interrupted")
        status = 130
    except XraySegError as error:
        _say(f"xrayseg: {error}")
        # An unknown engine or model is wrong usage: the command stopped before its first input.
        status = 2 if isinstance(error, EngineError | WeightsError) else 1
    except OSError as error:
        status = 1
        if _is_of_output(error):
            _report_output(error)
        else:
            where = f"{error.filename}: " if error.filename else ""
            _say(f"xrayseg: {where}{error.strerror or error}; see to it and run the command again")
    if not _flush_output():
        status = status or 1
    sys.exit(status if isinstance(status, int) else 0)


def _say(text: str) -> None:
    """Print a line to standard error; it is lost where that cannot be written."""
    from .printable import printable

    with suppress(OSError):
        click.echo(printable(text), err=True)


def _flush_output() -> bool:
    """Flush standard output; where it cannot be written, say so and discard what is left."""
    try:
        if sys.stdout is not None:
            sys.stdout.flush()
    except BrokenPipeError:  # the reader has had enough
        discard_output()
    except OSError as error:
        _report_output(error)
        return False
    return True


def _is_of_output(error: OSError) -> bool:
    """Whether printing raised an error; such errors name no file, as those of other writers do."""
    trace = error.__traceback__
    while trace is not None and trace.tb_next is not None:
        trace = trace.tb_next
    printers = ("click", "rich")
    return trace is not None and trace.tb_frame.f_globals["__name__"].startswith(printers)


def _report_output(error: OSError) -> None:
    reason = error.strerror or error
    _say(f"xrayseg: standard output: cannot be written: {reason}; send it somewhere else")
    discard_output()


def discard_output() -> None:
    """Send standard output to nowhere, what is buffered already included."""
    with suppress(OSError, ValueError):
        nowhere = os.open(os.devnull, os.O_WRONLY)
        os.dup2(nowhere, sys.stdout.fileno())
        os.close(nowhere)


def _open_closed_streams() -> None:
    """Open standard streams that are closed, so that no output file gets the number of one.

    What a library prints to standard error would go into that file.
    """
    for number in range(3):
        try:
            os.fstat(number)
        except OSError:
            os.open(os.devnull, os.O_RDWR)  # takes the lowest free number
