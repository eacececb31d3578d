"""``[redis]``: the server that several processes share."""

from __future__ import annotations

from typing import Annotated

import msgspec
from msgspec import Meta

from tradesense.core.sensitive import Secret
from tradesense.core.urls import check_url, sentinels_of

SCHEMES = frozenset({"redis", "rediss", "unix"})


class RedisSettings(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """How the server is reached. The job queue on Redis streams reads this section too."""

    url: Secret = Secret("redis://127.0.0.1:6379/0")
    """``redis://``, ``rediss://`` or ``unix://``, with user name and password where the server asks for them.

    Or sentinels, which name the primary of the moment: ``redis+sentinel://USER:PASSWORD@HOST:PORT,HOST:PORT/SERVICE/0``.
    ``REDIS_URL`` sets it.
    """
    sentinel_password: Secret = Secret("")
    """The sentinels' own password, where they ask for one."""
    timeout: Annotated[float, Meta(gt=0, le=60)] = 0.5
    """Seconds until a connection or an answer counts as not coming."""
    pool_size: Annotated[int, Meta(ge=1, le=1_000)] = 16
    """Connections of one process for commands; those that wait for messages or leases come on top, 64 at most."""
    prefix: str = "tradesense:"
    """What every key begins with, so that deployments can share a server."""

    def __post_init__(self) -> None:
        """Refuse what is no address of a server."""
        if sentinels_of(self.url, key="redis.url") is None:
            check_url(self.url, key="redis.url", schemes=SCHEMES, form="redis://USER:PASSWORD@HOST:PORT/DATABASE")
