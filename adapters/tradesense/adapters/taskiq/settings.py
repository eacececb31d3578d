"""``[redis]``, as the job queue reads it: the server, and how jobs are worked."""

from __future__ import annotations

from typing import Annotated

import msgspec
from msgspec import Meta

from tradesense.core.sensitive import Secret
from tradesense.core.urls import check_url, sentinels_of

Seconds = Annotated[float, Meta(gt=0, le=86_400)]

SCHEMES = frozenset({"redis", "rediss", "unix"})


class TaskiqSettings(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Where jobs wait, and how a worker goes about them."""

    url: Secret = Secret("redis://127.0.0.1:6379/0")
    """``redis://``, ``rediss://`` or ``unix://``, with user name and password where the server asks for them.

    Or sentinels, which name the primary of the moment: ``redis+sentinel://USER:PASSWORD@HOST:PORT,HOST:PORT/SERVICE/0``.
    ``REDIS_URL`` sets it.
    """
    sentinel_password: Secret = Secret("")
    """The sentinels' own password, where they ask for one."""
    timeout: Annotated[float, Meta(gt=0, le=60)] = 0.5
    """Seconds until a connection or an answer counts as not coming."""
    prefix: str = "tradesense:"
    """What every key begins with, so that deployments can share a server."""
    job_concurrency: Annotated[int, Meta(ge=1, le=1_000)] = 16
    """Jobs that one worker does at once."""
    job_idle_seconds: Seconds = 30.0
    """Seconds after which the jobs of a worker that gave no sign of life are done by another."""
    job_retry_seconds: Seconds = 1.0
    """Seconds until a failed job is tried again; they double with each failure, and each job adds up to a half."""
    job_grace_seconds: Annotated[float, Meta(ge=0, le=3_600)] = 20.0
    """Seconds that running jobs have to end when the worker is stopped; then they go back to the queue."""

    def __post_init__(self) -> None:
        """Refuse what is no address of a server."""
        if sentinels_of(self.url, key="redis.url") is None:
            check_url(self.url, key="redis.url", schemes=SCHEMES, form="redis://USER:PASSWORD@HOST:PORT/DATABASE")
