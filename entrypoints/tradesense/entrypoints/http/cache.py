"""Cache: what it has done, and letting keys and tags be served no more."""

from __future__ import annotations

from typing import Annotated

from litestar import get, post
from litestar.handlers import HTTPRouteHandler
from litestar.params import JSONBody
from msgspec import Meta, Struct

from tradesense.core.audit.service import Event
from tradesense.core.cache.models import CacheStats
from tradesense.core.errors import InvalidInput
from tradesense.entrypoints.http.codec import Body
from tradesense.entrypoints.http.exchange import current
from tradesense.entrypoints.http.guards import guard


class Invalidation(Body, frozen=True, kw_only=True):
    """What is no longer to be served."""

    keys: Annotated[tuple[str, ...], Meta(max_length=1000)] = ()
    """Whole keys, as in ``NAME:KEY``."""
    tags: Annotated[tuple[str, ...], Meta(max_length=1000)] = ()


class Invalidated(Struct, frozen=True, kw_only=True):
    """What came of it."""

    removed: int
    """How many of the keys the shared store held; 0 while it is away."""
    pending: bool
    """Whether the shared store or other processes are still to be told, which happens when they are back."""


@get("/api/v1/cache/stats", opt=guard("cache:read"), tags=["cache"])
async def cache_stats() -> CacheStats:
    """What the cache of this process has done."""
    return current().services.cache.stats()


@post("/api/v1/cache/invalidate", opt=guard("cache:write"), status_code=200, tags=["cache"])
async def invalidate(data: JSONBody[Invalidation]) -> Invalidated:
    """Let keys, and everything that has one of the tags, be served no more by any process."""
    if not (data.keys or data.tags):
        raise InvalidInput("there is neither a key nor a tag", mend="name at least one")
    here = current()
    subject = f"{len(data.keys)} keys, {len(data.tags)} tags"
    event = Event("cache.invalidate", subject, here.actor, here.correlation_id)
    async with here.services.trail.change(event, joined=False):
        removed = await here.services.cache.invalidate(data.keys, tags=data.tags)
        event.detail["removed"] = "later" if removed is None else str(removed)
    return Invalidated(removed=removed or 0, pending=removed is None)


ROUTES: tuple[HTTPRouteHandler, ...] = (cache_stats, invalidate)
