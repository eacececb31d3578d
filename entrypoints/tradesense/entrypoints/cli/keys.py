"""`tradesense keys`: the key-encryption keys behind the secrets that this platform keeps itself."""

from __future__ import annotations

from typing import TYPE_CHECKING

import click

from tradesense.core.acting import at_machine
from tradesense.entrypoints.cli.output import output_option, say, show_one, show_rows
from tradesense.entrypoints.cli.session import operator, work

if TYPE_CHECKING:
    from tradesense.core.secrets.keys import KeyReport
    from tradesense.entrypoints.services import Services


@click.group()
def keys() -> None:
    """Rotate and retire the keys that wrap data keys."""


@keys.command()
@output_option
@at_machine()
def status(output: str) -> None:
    """List the keys, and how many envelopes each seals."""

    async def read(services: Services) -> tuple[KeyReport, ...]:
        return await services.keys.status()

    rows = [
        {
            "key": report.key_id,
            "current": report.current,
            "known": report.known,
            "created_at": report.created_at,
            "envelopes": report.envelopes,
        }
        for report in work(read)
    ]
    show_rows(rows, ["key", "current", "known", "created_at", "envelopes"], output)


@keys.command()
@output_option
@at_machine("keys.rotate")
def rotate(output: str) -> None:
    """Make a new key that seals what is written from now on."""

    async def make(services: Services) -> str:
        return await services.keys.rotate(actor=operator())

    show_one({"key": work(make)}, output)


@keys.command()
@output_option
@at_machine("keys.rewrap")
def rewrap(output: str) -> None:
    """Seal everything anew that is not under the current key.

    The platform goes on reading and writing meanwhile. What was interrupted goes on where it was.
    """

    async def move(services: Services) -> int:
        return await services.keys.rewrap(actor=operator())

    show_one({"envelopes": work(move)}, output)


@keys.command()
@click.argument("key_id", metavar="ID")
@at_machine("keys.retire")
def retire(key_id: str) -> None:
    """Let the key ID unwrap no more, once it seals nothing."""

    async def end(services: Services) -> None:
        await services.keys.retire(key_id, actor=operator())

    work(end)
    say(f"{key_id} is retired")
