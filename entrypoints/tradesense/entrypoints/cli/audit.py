"""`tradesense audit`."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import click

from tradesense.core.acting import as_operator
from tradesense.entrypoints.cli.failures import FAILED
from tradesense.entrypoints.cli.output import output_option, safe, show_one, show_rows
from tradesense.entrypoints.cli.session import work

if TYPE_CHECKING:
    from tradesense.core.audit.models import AuditRecord, Verification
    from tradesense.entrypoints.services import Services


@click.group()
def audit() -> None:
    """The audit trail."""


@audit.command()
@click.option("-n", "--lines", type=click.IntRange(min=1), default=20, show_default=True, help="How many records.")
@click.option("--action", default="", help="An exact action, or a room followed by .*")
@click.option("--actor", "actor_id", default="", help="Who did it.")
@click.option("--subject", default="", help="What it was done to.")
@output_option
@as_operator("audit:read")
def tail(lines: int, action: str, actor_id: str, subject: str, output: str) -> None:
    """Print the last records, the newest at the end."""
    from tradesense.core.audit.models import AuditQuery  # noqa: PLC0415  # heavy: `--help` need not pay for it
    from tradesense.core.paging import MAX_PAGE  # noqa: PLC0415  # as above

    query = AuditQuery(action=action, actor_id=actor_id, subject=subject)

    async def read(services: Services) -> list[AuditRecord]:
        found: list[AuditRecord] = []
        cursor: str | None = None
        while len(found) < lines:
            limit = min(lines - len(found), MAX_PAGE)
            page = await services.trail.read(query, cursor=cursor, limit=limit, newest_first=True)
            found.extend(page.items)
            if (cursor := page.cursor) is None:
                break
        return found[::-1]

    rows = [
        {
            "seq": record.seq,
            "at": record.at,
            "action": record.entry.action,
            "subject": record.entry.subject,
            "outcome": record.entry.outcome,
            "actor": f"{record.entry.actor.kind} {record.entry.actor.id}".strip(),
            "address": record.entry.actor.address,
            "correlation_id": record.entry.correlation_id,
            "detail": record.entry.detail,
        }
        for record in work(read)
    ]
    show_rows(rows, ["seq", "at", "action", "subject", "outcome", "actor", "detail"], output)


@audit.command()
@click.option(
    "--anchor",
    "anchors",
    type=click.Path(exists=True, dir_okay=False, path_type=Path),
    multiple=True,
    metavar="FILE",
    help="Anchors to check against, besides those of audit.anchor_file. Can be given again.",
)
@output_option
@click.pass_context
@as_operator("audit:read")
def verify(ctx: click.Context, anchors: tuple[Path, ...], output: str) -> None:
    """Check every link of the trail's hash chain, and its anchors; exit 1 if one does not hold."""

    async def check(services: Services) -> Verification:
        return await services.anchors.verify(*anchors)

    found = work(check)
    anchored = {"anchored": found.anchored} if found.anchored else {}
    bad = {} if found.ok else {"first_bad_seq": found.first_bad_seq, "reason": found.reason}
    show_one({"ok": found.ok, "checked": found.checked, **anchored, **bad}, output)
    if not found.ok:
        click.echo(f"error: the audit trail does not hold: {safe(found.reason)}", err=True)
        ctx.exit(FAILED)
