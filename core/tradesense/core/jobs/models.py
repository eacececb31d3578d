"""Work that is done later, by whoever is free."""

from __future__ import annotations

import zlib
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
    correlation_id: str = ""
    """The name under which logs and the audit trail tell of the cause."""
    attempt: int = 1
    """Which attempt this is, 1 to 5. The queue counts; who enqueues leaves it alone."""


class DeadJob(msgspec.Struct, frozen=True, kw_only=True):
    """A job that failed in every attempt."""

    job: Job
    error: str
    """The class of the last error; its text may hold what must not be kept."""
    failed_at: datetime


def retry_pause(job: Job, failures: int, *, first: float) -> float:
    """Seconds until the next attempt after so many failures: ``first``, doubled with each further one.

    Up to a half is added, by the job's id, so that jobs which failed together do not come back together.
    """
    spread = zlib.crc32(f"{job.id}:{failures}".encode()) / 2**32
    return first * 2.0 ** (failures - 1) * (1 + spread / 2)
