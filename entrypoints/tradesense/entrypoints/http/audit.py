"""Audit: the trail, read and verified."""

from __future__ import annotations

from datetime import datetime

from litestar import get, post
from litestar.handlers import HTTPRouteHandler
from litestar.params import FromQuery
from msgspec import Struct

from tradesense.core.audit.models import Actor, AuditQuery, AuditRecord
from tradesense.core.paging import MAX_PAGE
from tradesense.entrypoints.http.exchange import current
from tradesense.entrypoints.http.guards import guard


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
    reason: str


@get("/api/v1/audit", opt=guard("audit:read"), tags=["audit"])
async def read_audit(
    *,
    action: FromQuery[str] = "",
    actor: FromQuery[str] = "",
    subject: FromQuery[str] = "",
    cursor: FromQuery[str | None] = None,
    limit: FromQuery[int] = 100,
) -> Rows:
    """A page of the trail. ``action`` is exact or a room followed by ``.*``; ``actor`` is an id."""
    query = AuditQuery(action=action, actor_id=actor, subject=subject)
    page = await current().services.trail.read(query, cursor=cursor, limit=min(max(limit, 1), MAX_PAGE))
    return Rows(items=tuple(_row(record) for record in page.items), cursor=page.cursor)


@post("/api/v1/audit/verify", opt=guard("audit:read"), status_code=200, tags=["audit"])
async def verify_audit() -> Verdict:
    """Check every link of the chain."""
    found = await current().services.trail.verify()
    return Verdict(ok=found.ok, checked=found.checked, first_bad_seq=found.first_bad_seq, reason=found.reason)


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
