"""Work that is done later, by whoever is free."""

from __future__ import annotations

from datetime import datetime
from typing import Any

import msgspec

MAX_ATTEMPTS = 5


class Job(msgspec.Struct, frozen=True, kw_only=True):
    """One piece of work."""

    id: str
    name: str
    """Which handler does it, as in ``identity.welcome``."""
    payload: dict[str, Any] = {}
    """What the handler needs, in JSON's types. Never a secret: queues keep it in the clear."""
    key: str = ""
    """Two jobs with one key are one job; empty means that this one is unlike any other."""
    traceparent: str = ""
    """The W3C trace context of the cause."""


class DeadJob(msgspec.Struct, frozen=True, kw_only=True):
    """A job that failed in every attempt."""

    job: Job
    error: str
    """The class of the last error; its text may hold what must not be kept."""
    failed_at: datetime
