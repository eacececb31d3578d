"""Flags: the definitions, for administrators. They are evaluated in :mod:`.ofrep`."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from litestar import Response, delete, get, patch, post, put
from litestar.handlers import HTTPRouteHandler
from litestar.params import FromPath, JSONBody
from msgspec import Struct

from tradesense.core.flags.explain import Explanation
from tradesense.core.flags.kinds import FLAG
from tradesense.core.flags.models import Flag
from tradesense.core.flags.preview import Preview
from tradesense.entrypoints.http.codec import Body
from tradesense.entrypoints.http.definitions import Rollback, Shelf
from tradesense.entrypoints.http.exchange import current
from tradesense.entrypoints.http.guards import guard
from tradesense.entrypoints.http.queries import Cursor, Flagged, Limit


class FlagBody(Flag, frozen=True, kw_only=True):
    """A definition. ``key`` may be left out; when it is there it is the path's."""

    key: str = ""


class FlagView(Flag, frozen=True, kw_only=True, omit_defaults=False):
    """A definition at one revision."""

    revision: int
    updated_at: datetime
    updated_by: str
    deleted: bool
    digest: str
    """SHA-256 of the definition; the audit trail holds the same."""


class FlagPage(Struct, frozen=True, kw_only=True):
    """A page of definitions."""

    items: tuple[FlagView, ...]
    cursor: str | None


class FlagHistory(Struct, frozen=True, kw_only=True):
    """Every revision, oldest first."""

    items: tuple[FlagView, ...]


SHELF = Shelf(FLAG, FlagView, lambda services: services.flags)


@get("/api/v1/flags", opt=guard("flags:read"), tags=["flags"])
async def list_flags(cursor: Cursor = None, limit: Limit = 100, stale: Flagged = False) -> FlagPage:  # noqa: FBT002  # a query
    """A page of definitions, by key; of those alone that are past their `expires` with `stale=true`."""
    page = await current().services.flags.list(cursor=cursor, limit=limit, stale=stale)
    return FlagPage(items=tuple(map(SHELF.view, page.items)), cursor=page.cursor)


@get("/api/v1/flags/{key:str}", opt=guard("flags:read"), tags=["flags"])
async def read_flag(key: FromPath[str]) -> Response[FlagView]:
    """A definition, with its revision as the entity tag."""
    return await SHELF.read(key)


@put("/api/v1/flags/{key:str}", opt=guard("flags:write"), tags=["flags"])
async def write_flag(key: FromPath[str], data: JSONBody[FlagBody]) -> Response[FlagView]:
    """Write a definition; with `If-Match` only over that revision, with `If-None-Match: *` only where there is none."""
    return await SHELF.write(key, data)


@delete("/api/v1/flags/{key:str}", opt=guard("flags:write"), status_code=204, tags=["flags"])
async def delete_flag(key: FromPath[str]) -> None:
    """Remove a definition; with `If-Match` only that revision. Its history stays."""
    await SHELF.delete(key)


@get("/api/v1/flags/{key:str}/history", opt=guard("flags:read"), tags=["flags"])
async def flag_history(key: FromPath[str]) -> FlagHistory:
    """Every revision of a definition, removals included."""
    return FlagHistory(items=await SHELF.history(key))


@post("/api/v1/flags/{key:str}/rollback", opt=guard("flags:write"), status_code=200, tags=["flags"])
async def rollback_flag(key: FromPath[str], data: JSONBody[Rollback]) -> Response[FlagView]:
    """Write an earlier revision as a new one; with `If-Match` only over that revision."""
    return await SHELF.rollback(key, data.revision)


class ExplainRequest(Body, frozen=True, kw_only=True):
    """For whom."""

    context: dict[str, Any]


class PreviewRequest(Body, frozen=True, kw_only=True):
    """What would be written, and for whom it is tried."""

    definition: FlagBody
    contexts: list[dict[str, Any]]
    at: datetime | None = None
    """When; now, when left out."""


class Switch(Body, frozen=True, kw_only=True):
    """The kill switch."""

    enabled: bool


@post("/api/v1/flags/{key:str}/explain", opt=guard("flags:read"), status_code=200, tags=["flags"])
async def explain_flag(key: FromPath[str], data: JSONBody[ExplainRequest]) -> Explanation:
    """Evaluate a flag and say why: which rule, which bucket, why not the others."""
    return await current().services.flags.explain(key, data.context)


@post("/api/v1/flags/{key:str}/preview", opt=guard("flags:read"), status_code=200, tags=["flags"])
async def preview_flag(key: FromPath[str], data: JSONBody[PreviewRequest]) -> Preview:
    """Who of some sample contexts would be served another variant, were this definition written."""
    return await current().services.flags.preview(SHELF.named(key, data.definition), data.contexts, at=data.at)


@patch("/api/v1/flags/{key:str}", opt=guard("flags:write"), tags=["flags"])
async def switch_flag(key: FromPath[str], data: JSONBody[Switch]) -> Response[FlagView]:
    """Enable or disable a flag, whatever else stands in it."""
    here = current()
    stored = await here.services.flags.switch(
        key, on=data.enabled, actor=here.actor, correlation_id=here.correlation_id
    )
    return SHELF.tagged(stored)


ROUTES: tuple[HTTPRouteHandler, ...] = (
    list_flags,
    read_flag,
    write_flag,
    delete_flag,
    switch_flag,
    explain_flag,
    preview_flag,
    flag_history,
    rollback_flag,
)
