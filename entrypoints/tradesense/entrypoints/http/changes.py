"""Changes of flags and segments that wait: proposed, approved by another, applied at once or at their time."""

from __future__ import annotations

from datetime import datetime
from typing import Annotated, Any

from litestar import get, post
from litestar.handlers import HTTPRouteHandler
from litestar.params import FromPath, JSONBody, QueryParameter
from msgspec import Meta, Struct

from tradesense.core.flags.requests import ChangeRequest, State
from tradesense.entrypoints.http import conditional, problems
from tradesense.entrypoints.http.codec import Body
from tradesense.entrypoints.http.definitions import Shelf
from tradesense.entrypoints.http.exchange import current
from tradesense.entrypoints.http.flags import SHELF as FLAGS
from tradesense.entrypoints.http.flags import FlagBody
from tradesense.entrypoints.http.guards import guard
from tradesense.entrypoints.http.problems import Refused
from tradesense.entrypoints.http.queries import Cursor, Limit
from tradesense.entrypoints.http.segments import SHELF as SEGMENTS
from tradesense.entrypoints.http.segments import SegmentBody


class Proposal(Body, frozen=True, kw_only=True):
    """A change to come. Beside a `definition` it may go back to a `revision`, or `remove` what is there."""

    revision: Annotated[int, Meta(ge=1)] | None = None
    remove: bool = False
    reason: str = ""
    not_before: datetime | None = None
    """When it is applied; as soon as it is approved, when left out."""


class FlagProposal(Proposal, frozen=True, kw_only=True):
    """A change of a flag."""

    definition: FlagBody | None = None


class SegmentProposal(Proposal, frozen=True, kw_only=True):
    """A change of a segment."""

    definition: SegmentBody | None = None


class Refusal(Body, frozen=True, kw_only=True):
    """Why a change is rejected."""

    note: str = ""


class ChangePage(Struct, frozen=True, kw_only=True):
    """A page of changes."""

    items: tuple[ChangeRequest, ...]
    cursor: str | None


Reached = Annotated[State | None, QueryParameter(name="state", description="Those alone that have come this far.")]


@post("/api/v1/flags/{key:str}/changes", opt=guard("flags:write"), tags=["flags"])
async def propose_flag_change(key: FromPath[str], data: JSONBody[FlagProposal]) -> ChangeRequest:
    """Propose a change of a flag, for approval or for a time; with `If-Match` only of that revision."""
    return await _propose(FLAGS, key, data, data.definition)


@post("/api/v1/segments/{key:str}/changes", opt=guard("flags:write"), tags=["flags"])
async def propose_segment_change(key: FromPath[str], data: JSONBody[SegmentProposal]) -> ChangeRequest:
    """Propose a change of a segment, for approval or for a time; with `If-Match` only of that revision."""
    return await _propose(SEGMENTS, key, data, data.definition)


@get("/api/v1/change-requests", opt=guard("flags:read"), tags=["flags"])
async def list_changes(cursor: Cursor = None, limit: Limit = 100, reached: Reached = None) -> ChangePage:
    """A page of changes, oldest first; those that wait with `state=pending` and `state=scheduled`."""
    page = await current().services.flags.review.list(state=reached, cursor=cursor, limit=limit)
    return ChangePage(items=page.items, cursor=page.cursor)


@get("/api/v1/change-requests/{request_id:str}", opt=guard("flags:read"), tags=["flags"])
async def read_change(request_id: FromPath[str]) -> ChangeRequest:
    """A change, and what became of it."""
    return await current().services.flags.review.get(request_id)


@post("/api/v1/change-requests/{request_id:str}/approve", opt=guard("flags:approve"), status_code=200, tags=["flags"])
async def approve_change(request_id: FromPath[str]) -> ChangeRequest:
    """Approve what somebody else has proposed: it is applied at once, or at its time. Nobody approves their own."""
    here = current()
    return await here.services.flags.review.approve(request_id, actor=here.actor, correlation_id=here.correlation_id)


@post("/api/v1/change-requests/{request_id:str}/reject", opt=guard("flags:approve"), status_code=200, tags=["flags"])
async def reject_change(request_id: FromPath[str], data: JSONBody[Refusal]) -> ChangeRequest:
    """Reject a change that is not applied yet."""
    here = current()
    return await here.services.flags.review.reject(
        request_id, actor=here.actor, note=data.note, correlation_id=here.correlation_id
    )


@post("/api/v1/change-requests/{request_id:str}/withdraw", opt=guard("flags:write"), status_code=200, tags=["flags"])
async def withdraw_change(request_id: FromPath[str]) -> ChangeRequest:
    """Take back a change that is not applied yet, scheduled ones as well."""
    here = current()
    return await here.services.flags.review.withdraw(request_id, actor=here.actor, correlation_id=here.correlation_id)


async def _propose(
    shelf: Shelf[Any, Any, Any], key: str, data: Proposal, definition: FlagBody | SegmentBody | None
) -> ChangeRequest:
    here = current()
    if (definition is not None) + (data.revision is not None) + data.remove != 1:
        raise Refused(
            problems.INVALID_BODY,
            faults=[{"path": "$", "message": "give one of `definition`, `revision` and `remove`"}],
        )
    wanted = None if definition is None else shelf.named(key, definition)
    if data.revision is not None:
        wanted = await shelf.of(here.services).past(key, data.revision)
    expected = conditional.expected(here)
    with conditional.precondition(expected):
        return await here.services.flags.review.propose(
            shelf.kind.name,
            key,
            wanted,
            actor=here.actor,
            expected=expected,
            reason=data.reason,
            not_before=data.not_before,
            correlation_id=here.correlation_id,
        )


ROUTES: tuple[HTTPRouteHandler, ...] = (
    propose_flag_change,
    propose_segment_change,
    list_changes,
    read_change,
    approve_change,
    reject_change,
    withdraw_change,
)
