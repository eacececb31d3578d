"""``[redis]``: the server that several processes share."""

from __future__ import annotations

from typing import Annotated

import msgspec
from msgspec import Meta

from tradesense.core.sensitive import Secret
from tradesense.core.urls import check_url

SCHEMES = frozenset({"redis", "rediss", "unix"})


class RedisSettings(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """How the server is reached. The job queue on Redis streams reads this section too."""

    url: Secret = Secret("redis://127.0.0.1:6379/0")
    """``redis://``, ``rediss://`` or ``unix://``, with user name and password where the server asks for them.

    ``REDIS_URL`` sets it.
    """
    timeout: Annotated[float, Meta(gt=0, le=60)] = 0.5
    """Seconds until a connection or an answer counts as not coming."""
    pool_size: Annotated[int, Meta(ge=1, le=1_000)] = 16
    """Connections of one process for commands; those that wait for messages or leases come on top, 64 at most."""
    prefix: str = "tradesense:"
    """What every key begins with, so that deployments can share a server."""

    def __post_init__(self) -> None:
        """Refuse what is no address of a server."""
        check_url(self.url, key="redis.url", schemes=SCHEMES, form="redis://USER:PASSWORD@HOST:PORT/DATABASE")
