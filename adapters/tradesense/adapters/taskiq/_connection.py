"""The connections to the server, and what its errors mean for the queue."""

from __future__ import annotations

from types import TracebackType
from typing import Any
from urllib.parse import urlsplit

from redis.asyncio import Redis
from redis.exceptions import (
    AskError,
    AuthenticationError,
    AuthorizationError,
    ClusterCrossSlotError,
    ClusterDownError,
    NoPermissionError,
    OutOfMemoryError,
    ReadOnlyError,
    RedisError,
)
from redis.exceptions import ConnectionError as RedisConnectionError
from redis.exceptions import TimeoutError as RedisTimeoutError

from tradesense.adapters.taskiq._pool import ORIGIN, pool_of
from tradesense.adapters.taskiq.settings import TaskiqSettings
from tradesense.core.errors import ConfigurationError, JobQueueUnavailable
from tradesense.core.urls import sentinels_of

CONNECTIONS = 16
FAILURES = (RedisError, OSError)
"""What the client library raises when the server does not do as it is told."""

Client = Any
"""``redis.asyncio.Redis``, most of whose methods the library leaves partly untyped."""


def client(settings: TaskiqSettings) -> Client:
    """A client for commands, unconnected yet."""
    return Redis.from_pool(pool_of(settings, CONNECTIONS))


class Translated:
    """A ``with`` block that turns the client library's errors into :class:`JobQueueUnavailable`."""

    def __init__(self, address: str) -> None:
        self._address = address

    def __enter__(self) -> None:
        return

    def __exit__(self, _: type[BaseException] | None, error: BaseException | None, __: TracebackType | None) -> None:
        if isinstance(error, FAILURES):
            detail, mend = _explain(error)
            raise JobQueueUnavailable(f"redis at {self._address} {detail}", origin=ORIGIN, mend=mend) from error


def address(settings: TaskiqSettings) -> str:
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


def _explain(error: RedisError | OSError) -> tuple[str, str]:
    """What happened, in words that hold nothing of the server's own text, and what to do."""
    for kinds, detail, mend in _MEANINGS:
        if isinstance(error, kinds):
            return detail, mend
    return f"refused the command ({type(error).__name__})", "see the server's log"


_MEANINGS: tuple[tuple[tuple[type[Exception], ...], str, str], ...] = (
    ((AuthenticationError, AuthorizationError), "refused the user name or the password", "correct REDIS_URL"),
    ((NoPermissionError,), "does not let this user run the command", "widen the user's ACL"),
    ((RedisTimeoutError, TimeoutError), "did not answer in time", "look at its load, or raise redis.timeout"),
    ((OutOfMemoryError,), "is out of memory", "raise maxmemory, with the policy noeviction"),
    (
        (AskError, ClusterCrossSlotError, ClusterDownError),
        "is a node of a cluster, and has not all keys",
        "name a server that holds all keys, alone or behind sentinels",
    ),
    ((ReadOnlyError,), "is a read-only replica", "point REDIS_URL at the primary"),
    ((RedisConnectionError, OSError), "cannot be reached", "start the server, or correct REDIS_URL"),
)
