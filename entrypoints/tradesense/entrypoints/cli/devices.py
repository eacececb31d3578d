"""`tradesense users sessions` and `tradesense users logout`: where an account is logged in, and ending that."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING

import click

from tradesense.core.acting import as_operator
from tradesense.entrypoints.cli.output import output_option, say, show_rows
from tradesense.entrypoints.cli.session import operator, pages, work

if TYPE_CHECKING:
    from tradesense.core.identity.models import Session
    from tradesense.entrypoints.services import Services


@click.command()
@click.argument("email")
@output_option
@as_operator("users:read")
def sessions(email: str, output: str) -> None:
    """List where an account is logged in."""
    from tradesense.core.identity.devices import device_of  # noqa: PLC0415  # `--help` need not pay for it

    async def read(services: Services) -> list[Session]:
        user = await services.accounts.named(email)
        return [session async for session in pages(partial(services.devices.list, user.id))]

    rows = [
        {
            "id": session.id,
            "device": device_of(session.user_agent),
            "address": session.address,
            "authenticated_at": session.created_at,
            "last_seen_at": session.last_seen_at,
            "methods": session.methods,
        }
        for session in work(read)
    ]
    show_rows(rows, ["id", "device", "address", "authenticated_at", "last_seen_at", "methods"], output)


@click.command()
@click.argument("email")
@click.option("--session", "session_id", metavar="ID", help="This one alone, as `users sessions` names it.")
@as_operator("users:write", "identity.sessions-end", "identity.session-end")
def logout(email: str, session_id: str | None) -> None:
    """End every session of an account, or one."""

    async def end(services: Services) -> int:
        user = await services.accounts.named(email)
        if session_id is None:
            return await services.devices.end_all(user.id, actor=operator())
        await services.devices.end(user.id, session_id, actor=operator())
        return 1

    ended = work(end)
    say(f"{ended} {'session is' if ended == 1 else 'sessions are'} ended")
