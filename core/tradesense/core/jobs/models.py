"""Work that is done later, by whoever is free."""

from __future__ import annotations

import hashlib
import zlib
from datetime import datetime
from typing import Any

import msgspec

from tradesense.core.errors import InvalidInput

MAX_ATTEMPTS = 5
MAX_JOB = 256 * 1024
"""Bytes of a job's JSON. What is larger belongs where a handler can fetch it, and its address into the payload."""


class Job(msgspec.Struct, frozen=True, kw_only=True):
    """One piece of work."""

    id: str
    name: str
    """Which handler does it, as in ``identity.welcome``."""
    payload: dict[str, Any] = {}
    """What the handler needs, in JSON's types. Never a secret: queues keep it in the clear."""
    key: str = ""
    """Two jobs of one name with one key are one job; empty means that this one is unlike any other."""
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


def encode(job: Job) -> bytes:
    """The job as JSON.

    :raises InvalidInput: its payload is not JSON.
    """
    try:
        return msgspec.json.encode(job)
    except (TypeError, ValueError) as error:
        raise InvalidInput(f"the payload of the job {job.name!r} is not JSON") from error


def encode_bounded(job: Job) -> bytes:
    """The job as JSON, where it has room in an outbox.

    :raises InvalidInput: its payload is not JSON, or it has more than 256 KiB.
    """
    row = encode(job)
    if len(row) > MAX_JOB:
        raise InvalidInput(
            f"a job has at most {MAX_JOB} bytes of JSON, this one {len(row)}",
            origin=f"the payload of {job.name!r}",
            mend="store what is large, and let the payload say where",
        )
    return row


def digest(name: str, key: str) -> bytes:
    """The 32 bytes that a job's name and key are remembered by; keys of different names are different."""
    return hashlib.sha256(msgspec.json.encode((name, key))).digest()


def retry_pause(job: Job, failures: int, *, first: float) -> float:
    """Seconds until the next attempt after so many failures: ``first``, doubled with each further one.

    Up to a half is added, by the job's id, so that jobs which failed together do not come back together.
    """
    spread = zlib.crc32(f"{job.id}:{failures}".encode()) / 2**32
    return first * 2.0 ** (failures - 1) * (1 + spread / 2)
