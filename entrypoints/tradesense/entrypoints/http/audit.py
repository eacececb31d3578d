"""Audit: the trail, read and verified."""

from __future__ import annotations

from datetime import datetime

from litestar import get, post
from litestar.handlers import HTTPRouteHandler
from msgspec import Struct

from tradesense.core.audit.models import Actor, AuditQuery, AuditRecord
from tradesense.entrypoints.http.exchange import current
from tradesense.entrypoints.http.guards import guard
from tradesense.entrypoints.http.queries import Cursor, Limit, Text


class Row(Struct, frozen=True, kw_only=True):
    """One record of the trail."""

    seq: int
    at: datetime
    action: str
    subject: str
    actor: Actor
    outcome: str
    correlation_id: str
    detail: dict[str, str]
    hash: str
    """In hexadecimal."""


class Rows(Struct, frozen=True, kw_only=True):
    """A page of the trail, oldest first."""

    items: tuple[Row, ...]
    cursor: str | None


class Verdict(Struct, frozen=True, kw_only=True):
    """What checking the chain found."""

    ok: bool
    checked: int
    first_bad_seq: int | None
    """The first row that is wrong or missing; 0 where the head itself cannot be read."""
    reason: str
    anchored: int
    """The last row that an anchor vouches for; 0 without one."""


@get("/api/v1/audit", opt=guard("audit:read"), tags=["audit"])
async def read_audit(
    *,
    action: Text = "",
    actor: Text = "",
    subject: Text = "",
    cursor: Cursor = None,
    limit: Limit = 100,
) -> Rows:
    """A page of the trail. ``action`` is exact or a room followed by ``.*``; ``actor`` is an id."""
    query = AuditQuery(action=action, actor_id=actor, subject=subject)
    page = await current().services.trail.read(query, cursor=cursor, limit=limit)
    return Rows(items=tuple(_row(record) for record in page.items), cursor=page.cursor)


@post("/api/v1/audit/verify", opt=guard("audit:read"), status_code=200, tags=["audit"])
async def verify_audit() -> Verdict:
    """Check every link of the chain, and where it ends against the anchors of ``audit.anchor_file``."""
    found = await current().services.anchors.verify()
    return Verdict(
        ok=found.ok,
        checked=found.checked,
        first_bad_seq=found.first_bad_seq,
        reason=found.reason,
        anchored=found.anchored,
    )


def _row(record: AuditRecord) -> Row:
    entry = record.entry
    return Row(
        seq=record.seq,
        at=record.at,
        action=entry.action,
        subject=entry.subject,
        actor=entry.actor,
        outcome=entry.outcome,
        correlation_id=entry.correlation_id,
        detail=entry.detail,
        hash=record.hash.hex(),
    )


ROUTES: tuple[HTTPRouteHandler, ...] = (read_audit, verify_audit)
