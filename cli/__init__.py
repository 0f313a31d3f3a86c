"""The command ``xrayseg``. Subcommands are imported when they run, so that help is fast."""

from __future__ import annotations

import sys
from collections.abc import Sequence
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
        # An unknown engine or model is wrong usage: the command stopped before its first input.
        status = 2 if isinstance(error, EngineError | WeightsError) else 1
    sys.exit(status if isinstance(status, int) else 0)
