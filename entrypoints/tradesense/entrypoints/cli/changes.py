"""`tradesense flags changes`: the changes of flags and segments that wait. Nobody approves one from here."""

from __future__ import annotations

from typing import TYPE_CHECKING

import click

from tradesense.core.acting import as_operator
from tradesense.core.flags.requests import State
from tradesense.entrypoints.cli.output import output_option, show_json, show_rows, tell
from tradesense.entrypoints.cli.session import operator, pages, work

if TYPE_CHECKING:
    from tradesense.core.flags.requests import ChangeRequest
    from tradesense.core.paging import Page
    from tradesense.entrypoints.services import Services


@click.group()
def changes() -> None:
    """List, show, reject and withdraw changes of flags and segments that wait.

    They are proposed by `flags propose` and `segments propose`, and approved over HTTP alone, where a login proves who
    approves.
    """


@changes.command("list")
@click.option("--state", type=click.Choice([state.value for state in State]), help="Those that have come this far.")
@output_option
@as_operator("flags:read")
def list_(state: str | None, output: str) -> None:
    """List changes, oldest first."""

    async def read(services: Services) -> list[ChangeRequest]:
        wanted = State(state) if state else None

        async def listed(*, cursor: str | None, limit: int) -> Page[ChangeRequest]:
            return await services.flags.review.list(state=wanted, cursor=cursor, limit=limit)

        return [request async for request in pages(listed)]

    rows = [
        {
            "id": request.id,
            "kind": request.kind,
            "key": request.key,
            "state": request.state,
            "does": "remove" if request.definition is None else "write",
            "base": request.base,
            "proposed_by": request.proposed_by.id,
            "proposed_at": request.proposed_at,
            "not_before": request.not_before,
            "reason": request.reason,
            "note": request.note,
        }
        for request in work(read)
    ]
    show_rows(rows, ["id", "kind", "key", "state", "does", "base", "proposed_by", "not_before"], output)


@changes.command()
@click.argument("change")
@output_option
@as_operator("flags:read")
def show(change: str, output: str) -> None:  # noqa: ARG001  # it is JSON either way
    """Print CHANGE as JSON, with what it would write."""
    show_json(work(lambda services: services.flags.review.get(change)))


@changes.command()
@click.argument("change")
@click.option("--note", default="", help="Why.")
@output_option
@as_operator("flags:approve", "flags.reject", "segments.reject")
def reject(change: str, note: str, output: str) -> None:
    """Let nothing become of CHANGE, which is not applied yet."""
    work(lambda services: services.flags.review.reject(change, actor=operator(), note=note), keeps="flags.provider")
    tell(f"rejected {change}", {"id": change, "state": State.REJECTED}, output)


@changes.command()
@click.argument("change")
@output_option
@as_operator("flags:write", "flags.withdraw", "segments.withdraw")
def withdraw(change: str, output: str) -> None:
    """Take back CHANGE, which is not applied yet."""
    work(lambda services: services.flags.review.withdraw(change, actor=operator()), keeps="flags.provider")
    tell(f"withdrew {change}", {"id": change, "state": State.WITHDRAWN}, output)
