"""Segments, for administrators: people whom rules of flags speak of by one name."""

from __future__ import annotations

from datetime import datetime

from litestar import Response, delete, get, post, put
from litestar.handlers import HTTPRouteHandler
from litestar.params import FromPath, JSONBody
from msgspec import Struct

from tradesense.core.flags.kinds import SEGMENT
from tradesense.core.flags.models import Segment
from tradesense.entrypoints.http.definitions import Rollback, Shelf
from tradesense.entrypoints.http.exchange import current
from tradesense.entrypoints.http.guards import guard
from tradesense.entrypoints.http.queries import Cursor, Limit


class SegmentBody(Segment, frozen=True, kw_only=True):
    """A segment. ``key`` may be left out; when it is there it is the path's."""

    key: str = ""


class SegmentView(Segment, frozen=True, kw_only=True, omit_defaults=False):
    """A segment at one revision."""

    revision: int
    updated_at: datetime
    updated_by: str
    deleted: bool
    digest: str
    """SHA-256 of the definition; the audit trail holds the same."""


class SegmentPage(Struct, frozen=True, kw_only=True):
    """A page of segments."""

    items: tuple[SegmentView, ...]
    cursor: str | None


class SegmentHistory(Struct, frozen=True, kw_only=True):
    """Every revision, oldest first."""

    items: tuple[SegmentView, ...]


SHELF = Shelf(SEGMENT, SegmentView, lambda services: services.flags.segments)


@get("/api/v1/segments", opt=guard("flags:read"), tags=["flags"])
async def list_segments(cursor: Cursor = None, limit: Limit = 100) -> SegmentPage:
    """A page of segments, by key."""
    page = await current().services.flags.segments.list(cursor=cursor, limit=limit)
    return SegmentPage(items=tuple(map(SHELF.view, page.items)), cursor=page.cursor)


@get("/api/v1/segments/{key:str}", opt=guard("flags:read"), tags=["flags"])
async def read_segment(key: FromPath[str]) -> Response[SegmentView]:
    """A segment, with its revision as the entity tag."""
    return await SHELF.read(key)


@put("/api/v1/segments/{key:str}", opt=guard("flags:write"), tags=["flags"])
async def write_segment(key: FromPath[str], data: JSONBody[SegmentBody]) -> Response[SegmentView]:
    """Write a segment; with `If-Match` only over that revision, with `If-None-Match: *` only where there is none.

    Every flag that asks for it is evaluated by it at once.
    """
    return await SHELF.write(key, data)


@delete("/api/v1/segments/{key:str}", opt=guard("flags:write"), status_code=204, tags=["flags"])
async def delete_segment(key: FromPath[str]) -> None:
    """Remove a segment that nothing asks for; with `If-Match` only that revision. Its history stays."""
    await SHELF.delete(key)


@get("/api/v1/segments/{key:str}/history", opt=guard("flags:read"), tags=["flags"])
async def segment_history(key: FromPath[str]) -> SegmentHistory:
    """Every revision of a segment, removals included."""
    return SegmentHistory(items=await SHELF.history(key))


@post("/api/v1/segments/{key:str}/rollback", opt=guard("flags:write"), status_code=200, tags=["flags"])
async def rollback_segment(key: FromPath[str], data: JSONBody[Rollback]) -> Response[SegmentView]:
    """Write an earlier revision as a new one; with `If-Match` only over that revision."""
    return await SHELF.rollback(key, data.revision)


ROUTES: tuple[HTTPRouteHandler, ...] = (
    list_segments,
    read_segment,
    write_segment,
    delete_segment,
    segment_history,
    rollback_segment,
)
