"""The connections to one server, or to the one that sentinels name."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from typing import Any

from redis.asyncio import BlockingConnectionPool
from redis.asyncio.retry import Retry
from redis.asyncio.sentinel import MasterNotFoundError, Sentinel, SentinelConnectionPool
from redis.backoff import NoBackoff
from redis.exceptions import RedisError

from tradesense.adapters.redis._bounds import ORIGIN
from tradesense.adapters.redis.settings import RedisSettings
from tradesense.core.urls import Sentinels, sentinels_of


def pool_of(settings: RedisSettings, size: int) -> BlockingConnectionPool:
    """At most ``size`` connections, none of them made yet."""
    options: dict[str, Any] = {
        "max_connections": size,
        "timeout": settings.timeout / 2,
        "socket_timeout": None,
        "socket_connect_timeout": settings.timeout,
        "socket_keepalive": True,
        "retry": Retry(NoBackoff(), 0),
        "protocol": 2,
    }
    sentinels = sentinels_of(settings.url, key=ORIGIN)
    if sentinels is None:
        return BlockingConnectionPool.from_url(settings.url.reveal(), **options)  # pyright: ignore[reportUnknownMemberType]  # its options are untyped
    return PrimaryPool(  # type: ignore[no-untyped-call]  # the library gives no types
        sentinels.service,
        _sentinel(sentinels, settings),
        db=sentinels.database,
        username=sentinels.username or None,
        password=sentinels.password.reveal() or None,
        ssl=sentinels.tls,
        **options,
    )


def _sentinel(sentinels: Sentinels, settings: RedisSettings) -> Sentinel:
    # Within the time that a caller waits, one after the other can be asked, and then the primary.
    each = settings.timeout / (len(sentinels.hosts) + 1)
    options = {
        "password": settings.sentinel_password.reveal() or None,
        "ssl": sentinels.tls,
        "socket_timeout": None,
        "retry": Retry(NoBackoff(), 0),
        "protocol": 2,
    }
    return Asked(sentinels.hosts, each, options)


class Asked(Sentinel):
    """Sentinels that are asked one after the other, each for a while.

    The library's own way bounds each by a time-out of the connection, which can swallow its caller's cancellation.
    """

    def __init__(self, hosts: Sequence[tuple[str, int]], seconds: float, options: dict[str, Any]) -> None:
        super().__init__(hosts, sentinel_kwargs=options)  # type: ignore[no-untyped-call]  # the library gives no types
        self._seconds = seconds

    async def discover_master(self, service_name: str) -> tuple[str, int]:
        """The address of the primary.

        :raises MasterNotFoundError: no sentinel that answers knows one.
        """
        known: list[Any] = self.sentinels
        for place, sentinel in enumerate(known):
            try:
                async with asyncio.timeout(self._seconds):
                    state = (await sentinel.sentinel_masters()).get(service_name)
            except (RedisError, OSError):
                continue
            if state and self.check_master_state(state, service_name):  # pyright: ignore[reportUnknownMemberType]  # no types
                known[0], known[place] = sentinel, known[0]  # the first to be asked the next time
                return state["ip"], state["port"]
        raise MasterNotFoundError(f"no sentinel knows a primary of {service_name!r}")


class PrimaryPool(SentinelConnectionPool, BlockingConnectionPool):
    """Connections to the primary of the moment, as the sentinels name it whenever one is made."""

    async def disconnect(self, inuse_connections: bool = True) -> None:  # noqa: FBT001, FBT002  # the library's signature
        """Disconnect; at the end, which is when those in use go as well, from the sentinels too."""
        await super().disconnect(inuse_connections)
        if inuse_connections:
            manager: Any = self.sentinel_manager  # the library gives no types
            for sentinel in manager.sentinels:
                await sentinel.aclose()
