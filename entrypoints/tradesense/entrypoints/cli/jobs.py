"""`tradesense worker`."""

from __future__ import annotations

import asyncio

import click

from tradesense.core.acting import at_machine
from tradesense.entrypoints.cli.session import loaded


@click.command()
@at_machine()
def worker() -> None:
    """Do queued and periodic jobs until stopped.

    SIGTERM ends it when what it has begun is done.
    """
    from tradesense.entrypoints.logs import configure  # noqa: PLC0415  # heavy: `--help` need not pay for it
    from tradesense.entrypoints.worker import run  # noqa: PLC0415  # the same

    settings = loaded().settings
    configure(settings.telemetry)
    asyncio.run(run(settings))
