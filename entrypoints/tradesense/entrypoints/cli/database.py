"""`tradesense db`."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

import click

from tradesense.core.acting import at_machine
from tradesense.entrypoints.cli.output import output_option, say, show_one, show_rows
from tradesense.entrypoints.cli.session import loaded

if TYPE_CHECKING:
    from tradesense.settings.load import Loaded


@click.group()
def db() -> None:
    """The database's schema."""


@db.command()
@output_option
@at_machine()
def upgrade(output: str) -> None:
    """Bring the schema to this release."""
    revisions = upgraded(loaded())
    if revisions or output == "json":
        show_rows([{"revision": revision} for revision in revisions], ["revision"], output)
    if not revisions:
        say("nothing to do: the schema is that of this release")


@db.command()
@output_option
@at_machine()
def current(output: str) -> None:
    """Print the schema's revision, and the one that this release needs."""
    from tradesense.entrypoints.database import current_database  # noqa: PLC0415  # heavy: `--help` need not pay for it

    revision, head = asyncio.run(current_database(loaded().settings))
    show_one({"current": revision, "head": head, "up_to_date": revision == head}, output)


def upgraded(found: Loaded) -> list[str]:
    """Bring the schema to this release, and return the revisions that were gone through."""
    from tradesense.entrypoints.database import needed, upgrade_database  # noqa: PLC0415  # heavy, as above

    return asyncio.run(upgrade_database(found.settings)) if needed(found.settings) else []
