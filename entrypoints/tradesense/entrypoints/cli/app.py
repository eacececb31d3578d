"""The root of the command line: imports a command when it is used, and turns errors into lines and exit codes."""

from __future__ import annotations

import importlib
from collections.abc import Sequence
from typing import Any

import click

from tradesense.entrypoints.cli import failures
from tradesense.entrypoints.cli.commands import COMMANDS, overview
from tradesense.entrypoints.cli.guards import inventory
from tradesense.entrypoints.cli.output import flush, is_lost


class Root(click.Group):
    """The command `tradesense` itself."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        """All names, in the order of `--help`."""
        del ctx
        return list(COMMANDS)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        """The command, imported now.

        :raises ConfigurationError: it, or one below it, does not declare who acts in it.
        """
        del ctx
        if cmd_name not in COMMANDS:
            return None
        module, _, attribute = COMMANDS[cmd_name][0].partition(":")
        command: click.Command = getattr(importlib.import_module(f"{__package__}.{module}"), attribute)
        inventory(command, cmd_name)
        return command

    def resolve_command(
        self, ctx: click.Context, args: list[str]
    ) -> tuple[str | None, click.Command | None, list[str]]:
        """The command of the first argument.

        A name that is none is told with the nearest, as elsewhere.
        """
        if not args[0].startswith("-") and args[0] not in COMMANDS:
            raise click.NoSuchCommand(args[0], possibilities=COMMANDS, ctx=ctx)
        return super().resolve_command(ctx, args)

    def get_help(self, ctx: click.Context) -> str:
        """The same text that `tradesense --help` prints without click."""
        del ctx
        return overview().rstrip("\n")

    def invoke(self, ctx: click.Context) -> Any:
        """Run the command; what goes wrong ends in one line and a documented exit code, never in a traceback."""
        try:
            result = super().invoke(ctx)
            flush()
        except (click.exceptions.Exit, click.ClickException):
            raise
        except (KeyboardInterrupt, click.Abort):
            ctx.exit(failures.INTERRUPTED)
        except Exception as error:
            if ctx.params["traceback"] and not is_lost(error):
                raise
            ctx.exit(_told(error))
        return result


@click.group(cls=Root)
@click.option("--traceback", is_flag=True)
@click.version_option(package_name="tradesense", message="%(prog)s %(version)s")
def tradesense(*, traceback: bool) -> None:
    """The backend every service needs first."""
    del traceback  # Root.invoke reads it


def run(arguments: Sequence[str]) -> int:
    """Run one command line and return its exit code."""
    try:
        tradesense.main(args=list(arguments), prog_name="tradesense")
    except SystemExit as end:
        return end.code if isinstance(end.code, int) else failures.FAILED
    except OSError as error:  # of what click itself prints, such as the version
        return _told(error)
    return 0


def _told(error: Exception) -> int:
    """Print the lines for an error and return its exit code."""
    code, lines = failures.explain(error)
    for line in lines:
        click.echo(line, err=True)
    return code
