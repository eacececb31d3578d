"""Leases, limits and the bounds on keys and values."""

from __future__ import annotations

import re

import msgspec

from tradesense.core.errors import CacheValueTooLarge, InvalidCacheKey

MAX_KEY = 512
_CONTROL = re.compile(r"[\x00-\x1f\x7f]")
MAX_VALUE = 8 * 1024 * 1024
"""Bytes."""


class Lease(msgspec.Struct, frozen=True, kw_only=True):
    """The right to do something alone, until it expires or is released."""

    name: str
    owner: str
    """Unpredictable; proves who holds the lease."""
    token: int
    """The fencing token. It grows with every acquisition of ``name``, so that a store can refuse a stale holder."""
    ttl: float
    """Seconds that the lease lasts from its acquisition or last renewal."""


class Limit(msgspec.Struct, frozen=True, kw_only=True):
    """At most ``count`` within any ``period`` seconds."""

    name: str
    count: int
    period: float


class Verdict(msgspec.Struct, frozen=True, kw_only=True):
    """What the limiter says of one attempt."""

    allowed: bool
    remaining: int
    """How many more would be allowed now."""
    retry_after: float
    """Seconds until an attempt of the same cost is allowed; 0 when this one was."""


class CacheStats(msgspec.Struct, frozen=True, kw_only=True):
    """What a cache has done since it was opened."""

    hits: int = 0
    misses: int = 0
    backend_up: bool = True
    """False while the shared store is away and the cache goes on in memory."""


def check_key(key: str) -> str:
    """Return ``key`` when it has 1 to 512 characters and no control character.

    :raises InvalidCacheKey: anything else.
    """
    if not key or len(key) > MAX_KEY:
        raise InvalidCacheKey(f"a cache key has 1 to {MAX_KEY} characters, this one {len(key)}")
    if _CONTROL.search(key):
        raise InvalidCacheKey("a cache key has no control characters")
    return key


def check_value(value: bytes) -> bytes:
    """Return ``value`` when it fits.

    :raises CacheValueTooLarge: it has more than 8 MiB.
    """
    if len(value) > MAX_VALUE:
        raise CacheValueTooLarge(f"a cache value has at most {MAX_VALUE} bytes, this one {len(value)}")
    return value
