"""Every command declares who acts in it, what that would take over HTTP, and what it leaves on the audit trail."""

from __future__ import annotations

from collections.abc import Generator
from contextlib import contextmanager
from typing import NamedTuple

import click

from tradesense.core.acting import Acting, Who, acting, declared


class Entry(NamedTuple):
    """One command in the inventory."""

    command: str
    """Its words, as in ``users disable``."""
    guard: Acting


def inventory(command: click.Command, words: str) -> list[Entry]:
    """``command``, or all that are below it, with what each declares.

    :raises ConfigurationError: one declares nothing.
    """
    if isinstance(command, click.Group):
        return [entry for name, below in command.commands.items() for entry in inventory(below, f"{words} {name}")]
    return [Entry(words, _of(command, words))]


@contextmanager
def within_guard() -> Generator[None]:
    """Let the command that runs leave on the audit trail what it declared, and nothing else."""
    context = click.get_current_context()
    with acting(_of(context.command, context.command_path)):
        yield


def _of(command: click.Command, words: str) -> Acting:
    return declared(command.callback, f"the command `{words}`", who=Who.OPERATOR)
