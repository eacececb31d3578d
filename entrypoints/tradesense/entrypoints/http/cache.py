"""Cache: what it has done, and dropping keys from it."""

from __future__ import annotations

from typing import Annotated

from litestar import get, post
from litestar.handlers import HTTPRouteHandler
from litestar.params import JSONBody
from msgspec import Meta, Struct

from tradesense.core.audit.service import Event
from tradesense.entrypoints.http.codec import Body
from tradesense.entrypoints.http.exchange import current
from tradesense.entrypoints.http.guards import guard


class Stats(Struct, frozen=True, kw_only=True):
    """Counts since this process opened the cache."""

    hits: int
    misses: int
    backend_up: bool


class Invalidation(Body, frozen=True, kw_only=True):
    """The keys to drop."""

    keys: Annotated[tuple[str, ...], Meta(min_length=1, max_length=1000)]


class Invalidated(Struct, frozen=True, kw_only=True):
    """How many of the keys the shared cache held."""

    removed: int


@get("/api/v1/cache/stats", opt=guard("cache:read"), tags=["cache"])
async def cache_stats() -> Stats:
    """What the cache of this process has done."""
    stats = current().services.cache.stats()
    return Stats(hits=stats.hits, misses=stats.misses, backend_up=stats.backend_up)


@post("/api/v1/cache/invalidate", opt=guard("cache:write"), status_code=200, tags=["cache"])
async def invalidate(data: JSONBody[Invalidation]) -> Invalidated:
    """Drop keys in every process."""
    here = current()
    event = Event("cache.invalidate", f"{len(data.keys)} keys", here.actor, here.correlation_id)
    async with here.services.trail.change(event, joined=False):
        removed = await here.services.cache.invalidate(data.keys)
        event.detail["removed"] = str(removed)
    return Invalidated(removed=removed)


ROUTES: tuple[HTTPRouteHandler, ...] = (cache_stats, invalidate)
