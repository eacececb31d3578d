"""The cache, the backplane, topics, leases and limits on Redis or Valkey: what several processes need to act as one.

The server may be Redis 7 or later, or Valkey. All keys begin with the ``prefix`` of the settings.
"""

from __future__ import annotations

from collections.abc import Iterable

from tradesense.adapters.redis.settings import RedisSettings
from tradesense.core.cache.ports import Backplane, CacheStore, LockProvider, RateLimiter, Topics
from tradesense.core.capabilities import Capability
from tradesense.plugins import Adapter, Requirement, hookimpl

_REDIS = (Requirement("redis", "redis", "redis"),)
_SHARED = frozenset({Capability.SHARED, Capability.PERSISTENT})


@hookimpl
def tradesense_adapters() -> Iterable[Adapter]:
    """The five ports of the cache room."""
    return (
        Adapter(
            port=CacheStore,
            name="redis",
            factory="tradesense.adapters.redis.cache:cache",
            summary="Cached values on Redis or Valkey",
            settings=RedisSettings,
            section="redis",
            capabilities=_SHARED,
            requires=_REDIS,
        ),
        Adapter(
            port=Backplane,
            name="redis",
            factory="tradesense.adapters.redis.cache:backplane",
            summary="Publish and subscribe on Redis or Valkey",
            settings=RedisSettings,
            section="redis",
            capabilities=frozenset({Capability.SHARED}),
            requires=_REDIS,
        ),
        Adapter(
            port=Topics,
            name="redis",
            factory="tradesense.adapters.redis.cache:topics",
            summary="Topics with groups and dead letters on streams of Redis or Valkey",
            settings=RedisSettings,
            section="redis",
            capabilities=frozenset(
                {Capability.SHARED, Capability.GROUPS, Capability.DEAD_LETTERS, Capability.OVERVIEW}
            ),
            requires=_REDIS,
        ),
        Adapter(
            port=LockProvider,
            name="redis",
            factory="tradesense.adapters.redis.cache:locks",
            summary="Leases with fencing tokens on Redis or Valkey",
            settings=RedisSettings,
            section="redis",
            capabilities=_SHARED,
            requires=_REDIS,
        ),
        Adapter(
            port=RateLimiter,
            name="redis",
            factory="tradesense.adapters.redis.cache:limiter",
            summary="Exact sliding-window limits on Redis or Valkey",
            settings=RedisSettings,
            section="redis",
            capabilities=_SHARED,
            requires=_REDIS,
        ),
    )
