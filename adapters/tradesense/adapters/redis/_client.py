"""The connections of one process to one server, and what the server's errors mean."""

from __future__ import annotations

import hashlib
import time
from collections.abc import Awaitable, Callable, Sequence
from typing import Any, Self, TypeVar, cast
from urllib.parse import urlsplit

from redis.asyncio import Redis
from redis.exceptions import NoPermissionError, NoScriptError

from tradesense.adapters.redis._batches import Batches
from tradesense.adapters.redis._bounds import ORIGIN, Bounded
from tradesense.adapters.redis._commands import Client
from tradesense.adapters.redis._pool import pool_of
from tradesense.adapters.redis.settings import RedisSettings
from tradesense.core.breaker import Breaker
from tradesense.core.errors import AdapterClosed, ConfigurationError, Unavailable
from tradesense.core.telemetry.models import Health, Status
from tradesense.core.urls import sentinels_of
from tradesense.plugins import AdapterContext

WAITING_CONNECTIONS = 64

Q = TypeVar("Q")
A = TypeVar("A")


class RedisClients:
    """Two pools: one for commands, which answer within the timeout, one for connections that wait on purpose.

    Nothing is retried here: a command whose answer was lost may have been carried out, and every caller has its own
    way of going on without the server.
    """

    def __init__(self, settings: RedisSettings) -> None:
        self.address = _address(settings)
        self.prefix = settings.prefix
        self.timeout = settings.timeout
        self.settings = settings
        self.breaker = Breaker(time.monotonic)
        self._commands: Client | None = None
        self._waiting: Client | None = None

    async def __aenter__(self) -> Self:
        """Connect.

        :raises Unavailable: the server does not answer, or refuses the password.
        :raises ConfigurationError: it is a node of a cluster.
        """
        commands = self._client(self.settings.pool_size)
        try:
            async with Bounded(self, Unavailable):
                await commands.ping()
                await self._refuse_cluster(commands)
        except BaseException:
            await commands.aclose()
            raise
        self._commands = commands
        self._waiting = self._client(WAITING_CONNECTIONS)
        return self

    async def __aexit__(self, *_: object) -> None:
        for client in (self._waiting, self._commands):
            if client is not None:
                await client.aclose()
        self._commands = self._waiting = None

    @property
    def commands(self) -> Client:
        """For commands that answer at once.

        :raises AdapterClosed: before opening and after closing.
        """
        return _opened(self._commands)

    @property
    def waiting(self) -> Client:
        """For subscriptions and blocking commands; the caller bounds the time.

        :raises AdapterClosed: before opening and after closing.
        """
        return _opened(self._waiting)

    async def _refuse_cluster(self, commands: Client) -> None:
        """A node of a cluster has some of the keys only, and would send us elsewhere for the others."""
        try:
            told = await commands.info("cluster")
        except NoPermissionError:
            return
        if told.get("cluster_enabled"):
            raise ConfigurationError(
                f"redis at {self.address} is a node of a cluster",
                origin=ORIGIN,
                mend="name a server that holds all keys, alone or behind sentinels",
            )

    def _client(self, size: int) -> Client:
        return cast("Client", Redis.from_pool(pool_of(self.settings, size)))


class RedisAdapter:
    """What the adapters of this provider have in common: they open, close, and translate errors."""

    def __init__(self, clients: RedisClients, error: type[Unavailable]) -> None:
        self._clients = clients
        self._error = error
        self._open = False
        self._batches: list[Batches[Any, Any]] = []

    async def __aenter__(self) -> Self:
        self._open = True
        return self

    async def __aexit__(self, *_: object) -> None:
        self._open = False
        for batches in self._batches:
            await batches.aclose()

    @property
    def _redis(self) -> Client:
        self._check_open()
        return self._clients.commands

    def _check_open(self) -> None:
        if not self._open:
            raise AdapterClosed(f"{type(self).__name__} is not open")

    def _batched(self, send: Callable[[Client, list[Q]], Awaitable[Sequence[A]]], *, most: int) -> Batches[Q, A]:
        """Questions that ``send`` asks the server together, within the timeout."""

        async def bounded(questions: list[Q]) -> Sequence[A]:
            redis = self._clients.commands
            async with self._bounded():
                return await send(redis, questions)

        batches = Batches[Q, A](bounded, most=most, patience=self._clients.timeout)
        self._batches.append(batches)
        return batches

    def _bounded(self, seconds: float | None = None) -> Bounded:
        return Bounded(self._clients, self._error, seconds)

    def _key(self, *parts: str) -> str:
        return self._clients.prefix + ":".join(parts)


class RedisHealth:
    """Pings the server."""

    name = "redis"
    essential = False

    def __init__(self, clients: RedisClients) -> None:
        self._clients = clients

    async def check(self) -> Health:
        """One PING, within the connection's timeout."""
        try:
            async with Bounded(self._clients, Unavailable, probe=True):
                await self._clients.commands.ping()
        except Unavailable as error:
            return Health(name=self.name, status=Status.DOWN, detail=error.detail)
        return Health(name=self.name, status=Status.UP, detail=self._clients.address)


class Script:
    """A Lua script, which the server runs as one step and keeps by its digest."""

    def __init__(self, source: str) -> None:
        self._source = source
        self._digest = hashlib.sha1(source.encode(), usedforsecurity=False).hexdigest()

    async def __call__(
        self, redis: Client, keys: Sequence[str] | Sequence[bytes], arguments: Sequence[str | int | bytes]
    ) -> Any:
        """Run it; a server that does not know it yet is given the source."""
        try:
            return await redis.evalsha(self._digest, len(keys), *keys, *arguments)
        except NoScriptError:
            return await redis.eval(self._source, len(keys), *keys, *arguments)


def shared(settings: RedisSettings, context: AdapterContext) -> RedisClients:
    """The provider's one set of connections, watched by one health check."""

    def make() -> RedisClients:
        clients = RedisClients(settings)
        context.watch(RedisHealth(clients))
        return clients

    return context.share("redis", make)


def milliseconds(seconds: float) -> int:
    """Whole milliseconds, rounded down so that nothing outlives its time, and at least one."""
    return max(1, int(seconds * 1000))


def _opened(client: Client | None) -> Client:
    if client is None:
        raise AdapterClosed("the connections to redis are not open")
    return client


def _address(settings: RedisSettings) -> str:
    """Host and port, without user name and password.

    :raises ConfigurationError: the URL is not one. Its text is left out, as it may hold a password.
    """
    sentinels = sentinels_of(settings.url, key=ORIGIN)
    if sentinels is not None:
        return sentinels.address
    try:
        parts = urlsplit(settings.url.reveal())
        port = parts.port
    except ValueError:
        # The library's own message quotes the part that it could not read, which may be the password.
        raise _not_a_url() from None
    if parts.scheme == "unix" and parts.path:
        return parts.path
    if parts.scheme not in {"redis", "rediss"} or not parts.hostname:
        raise _not_a_url()
    return f"{parts.hostname}:{port or 6379}"


def _not_a_url() -> ConfigurationError:
    return ConfigurationError(
        "redis.url is not a URL of the form redis://USER:PASSWORD@HOST:PORT/DATABASE",
        origin=ORIGIN,
        mend="correct REDIS_URL; percent-encode special characters in the password",
    )
