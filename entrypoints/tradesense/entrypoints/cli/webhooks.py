"""`tradesense webhooks`."""

from __future__ import annotations

from typing import TYPE_CHECKING

import click

from tradesense.core.acting import as_operator
from tradesense.entrypoints.cli.output import output_option, show_one, show_rows, tell
from tradesense.entrypoints.cli.session import operator, work

if TYPE_CHECKING:
    from tradesense.core.identity.webhooks import Delivery
    from tradesense.entrypoints.services import Services


@click.group()
def webhooks() -> None:
    """Who is told of identity's events, and what became of it."""


@webhooks.command("list")
@output_option
@as_operator("webhooks:read")
def list_(output: str) -> None:
    """List who is told of what, as the settings say."""

    async def read(services: Services) -> list[dict[str, object]]:
        known = services.webhooks.known
        return [{"name": name, "url": one.url, "events": one.events} for name, one in sorted(known.items())]

    show_rows(work(read), ["name", "url", "events"], output)


@webhooks.command()
@click.argument("name")
@click.option("-n", "--lines", type=click.IntRange(1, 1000), default=20, show_default=True, help="How many attempts.")
@output_option
@as_operator("webhooks:read")
def deliveries(name: str, lines: int, output: str) -> None:
    """List the last attempts to tell the webhook NAME of something, the newest first."""

    async def read(services: Services) -> tuple[Delivery, ...]:
        return (await services.webhooks.deliveries(name, limit=lines)).items

    rows = [
        {
            "id": one.id,
            "event": one.event,
            "at": one.at,
            "attempt": one.attempt,
            "taken": one.taken,
            "status": one.status,
            "error": one.error,
        }
        for one in work(read)
    ]
    show_rows(rows, ["id", "event", "at", "attempt", "taken", "status", "error"], output)


@webhooks.command()
@click.argument("name")
@click.argument("message_id", metavar="ID")
@output_option
@as_operator("webhooks:write", "webhooks.redeliver")
def redeliver(name: str, message_id: str, output: str) -> None:
    """Send the message ID to the webhook NAME once more, as soon as a worker has the time."""

    async def send(services: Services) -> None:
        await services.webhooks.redeliver(name, message_id, actor=operator())

    work(send, keeps="jobs.outbox")
    tell(f"{message_id} will be sent again", {"webhook": name, "id": message_id}, output)


@webhooks.command()
@click.argument("name")
@output_option
@as_operator("webhooks:write", "webhooks.test")
def test(name: str, output: str) -> None:
    """Tell the webhook NAME of an event that did not happen; `webhooks deliveries` shows what became of it."""

    async def send(services: Services) -> str:
        return await services.webhooks.test(name, actor=operator())

    show_one({"id": work(send, keeps="jobs.outbox")}, output)


@webhooks.command()
@click.argument("name")
@output_option
@as_operator("webhooks:write", "webhooks.rotate", "secrets.put")
def rotate(name: str, output: str) -> None:
    """Make a new secret for the webhook NAME, and print the path where `secrets get` reads it.

    For a day messages are signed with the one before as well.
    """

    async def change(services: Services) -> str:
        return await services.webhooks.rotate(name, actor=operator())

    show_one({"path": work(change, keeps="secrets.provider")}, output)
