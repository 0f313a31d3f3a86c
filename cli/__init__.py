"""The command ``xrayseg``: each subcommand is loaded when it is asked for, so help is instant."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from importlib import import_module

import click

from .._version import __version__

#: Subcommands in the order of the help text, with its first lines, so that help loads none.
COMMANDS = {
    "batch": "Segment folders of chest radiographs.",
    "measure": "Measure label maps that exist already.",
    "merge": "Bring the shards of a batch together.",
    "unpack": "Turn Parquet outputs of a batch into files.",
    "verify": "Check the outputs of a batch against its records.",
    "train": "Train a network on radiographs with masks.",
    "evaluate": "Score weights against true masks.",
    "bench": "Measure how fast this is here.",
    "phantom": "Make synthetic radiographs with true masks.",
    "info": "Show versions, devices, engines and weights.",
}


class _Lazy(click.Group):
    """A group that knows its commands' names and imports a command when it runs."""

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


@click.group(cls=_Lazy, context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(__version__, "-V", "--version", prog_name="xrayseg")
def cli() -> None:
    """Masks of clavicles, heart and lungs in chest radiographs.

    \b
    xrayseg batch folder/ --out masks/    a mask for every film below folder/
    xrayseg COMMAND --help                what a command can do

    Not a medical device.
    """


def main(args: Sequence[str] | None = None) -> None:
    """Run the command line and exit: 0 well, 1 failed, 2 wrong usage, 130 interrupted."""
    from ..errors import EngineError, WeightsError, XraySegError

    try:
        status = cli.main(args, prog_name="xrayseg", standalone_mode=False)
    except click.exceptions.Exit as stop:
        status = stop.exit_code
    except click.ClickException as error:
        error.show()
        status = error.exit_code
    except (click.Abort, KeyboardInterrupt):
        click.echo("interrupted", err=True)
        status = 130
    except XraySegError as error:
        from .printable import printable

        click.echo(f"xrayseg: {printable(str(error))}", err=True)
        # Nothing was tried with an engine or weights that do not exist: the call was wrong.
        status = 2 if isinstance(error, EngineError | WeightsError) else 1
    sys.exit(status if isinstance(status, int) else 0)
