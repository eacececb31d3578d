"""Calls that are bounded in time, what the client library's errors mean, and leaving a silent server alone."""

from __future__ import annotations

import asyncio
from types import TracebackType
from typing import Protocol

from redis.exceptions import (
    AskError,
    AuthenticationError,
    AuthorizationError,
    BusyLoadingError,
    ClusterCrossSlotError,
    ClusterDownError,
    NoPermissionError,
    OutOfMemoryError,
    ReadOnlyError,
    RedisError,
)
from redis.exceptions import ConnectionError as RedisConnectionError
from redis.exceptions import TimeoutError as RedisTimeoutError

from tradesense.core.breaker import Breaker
from tradesense.core.errors import Unavailable

ORIGIN = "redis.url"
NO_ANSWER = (RedisConnectionError, RedisTimeoutError, OSError)
"""What a server that is away or hangs looks like from here. TimeoutError is an OSError."""
SILENT = "it has not answered several times, and is tried again every second"


class Server(Protocol):
    """The server that is asked."""

    address: str
    timeout: float
    breaker: Breaker


class Bounded:
    """An ``async with`` block that may last ``seconds`` and turns the client library's errors into ``error``.

    The library's own timeouts are left off: on Python 3.11 they can swallow the cancellation of their caller.

    :param probe: enter although the server is left alone, as it has not answered before.
    """

    __slots__ = ("_error", "_probe", "_server", "_timeout")

    def __init__(
        self, server: Server, error: type[Unavailable], seconds: float | None = None, *, probe: bool = False
    ) -> None:
        self._server = server
        self._error = error
        self._probe = probe
        self._timeout = asyncio.timeout(server.timeout if seconds is None else seconds)

    async def __aenter__(self) -> None:
        server = self._server
        if not self._probe and not server.breaker.admits():
            raise self._error(f"redis at {server.address} is not asked: {SILENT}", origin=ORIGIN, mend=_REACH)
        await self._timeout.__aenter__()

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        try:
            await self._timeout.__aexit__(kind, error, traceback)
        except TimeoutError as late:
            error = late
        _judge(self._server.breaker, error)
        if isinstance(error, (RedisError, OSError)):
            detail, mend = _explain(error, self._server)
            raise self._error(f"redis at {self._server.address} {detail}", origin=ORIGIN, mend=mend) from error


def _judge(breaker: Breaker, error: BaseException | None) -> None:
    """Tell what became of a call. What this process did to itself says nothing of the server."""
    if error is None or (isinstance(error, RedisError) and not isinstance(error, NO_ANSWER)):
        breaker.worked()
    elif isinstance(error, NO_ANSWER) and not _is_exhaustion(error):
        breaker.failed()


def _is_exhaustion(error: BaseException) -> bool:
    return type(error) is RedisConnectionError and isinstance(error.__cause__, TimeoutError)


def _explain(error: RedisError | OSError, server: Server) -> tuple[str, str]:
    """What happened, in words that hold nothing of the server's own text, and what to do."""
    if _is_exhaustion(error):
        return "was not asked: every connection of this process is in use", "raise redis.pool_size"
    for kinds, detail, mend in _MEANINGS:
        if isinstance(error, kinds):
            return detail.format(timeout=server.timeout), mend
    return f"refused the command ({type(error).__name__})", "see the server's log"


_REACH = "start the server, or correct REDIS_URL"
_MEANINGS: tuple[tuple[tuple[type[Exception], ...], str, str], ...] = (
    ((AuthenticationError, AuthorizationError), "refused the user name or the password", "correct REDIS_URL"),
    ((NoPermissionError,), "does not let this user run the command", "widen the user's ACL"),
    ((BusyLoadingError,), "is still loading its data", "wait for it"),
    (
        (RedisTimeoutError, TimeoutError),
        "did not answer within {timeout:g} s",
        "look at its load, or raise redis.timeout",
    ),
    ((OutOfMemoryError,), "is out of memory", "raise maxmemory, or set maxmemory-policy"),
    (
        (AskError, ClusterCrossSlotError, ClusterDownError),
        "is a node of a cluster, and has not all keys",
        "name a server that holds all keys, alone or behind sentinels",
    ),
    ((ReadOnlyError,), "is a read-only replica", "point REDIS_URL at the primary"),
    ((RedisConnectionError, OSError), "cannot be reached", _REACH),
)
