"""The command `tradesense`.

Nothing heavy is imported until a command needs it, and `tradesense --help` needs nothing at all: it is printed from a
table of names.
"""

from __future__ import annotations

import sys

from tradesense.entrypoints.cli.commands import overview

__all__ = ("main",)


def main() -> int:
    """Run the command line of this process and return its exit code."""
    if sys.argv[1:] == ["--help"]:
        return _helped()
    try:
        from tradesense.entrypoints.cli.app import run  # noqa: PLC0415  # click costs more than all of `--help`
    except ModuleNotFoundError as error:
        if error.name is None or error.name.startswith("tradesense"):
            raise
        sys.stderr.write(f"error: {error.name} is not installed; pip install 'tradesense[server]'\n")
        return 78
    return run(sys.argv[1:])


def _helped() -> int:
    try:
        sys.stdout.write(overview())
        sys.stdout.flush()
    except OSError as error:
        from tradesense.entrypoints.cli import failures, output  # noqa: PLC0415  # as above

        output.forget()
        if not isinstance(error, BrokenPipeError):
            sys.stderr.write(f"{failures.unwritable(error)}\n")
        return failures.FAILED
    return 0
