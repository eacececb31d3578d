"""The settings of the memory adapters."""

from __future__ import annotations

from typing import Annotated

import msgspec
from msgspec import Meta


class MemoryCacheSettings(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """``[cache.memory]``: how much the process keeps."""

    max_entries: Annotated[int, Meta(ge=1)] = 100_000
    """Cached values; above it the one that was not read for longest goes."""
    max_limits: Annotated[int, Meta(ge=1)] = 100_000
    """Keys that attempts are counted for; above it the one that was not tried for longest is forgotten."""


class MemoryIdentitySettings(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """``[identity.memory]``: what is known of passwords."""

    breached: tuple[str, ...] = ()
    """Passwords that nobody may choose."""


class MemoryJobsSettings(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """``[jobs.memory]``: the queue of one process."""

    concurrency: Annotated[int, Meta(ge=1)] = 8
    """Jobs that are done at once."""
    retry_seconds: Annotated[float, Meta(ge=0)] = 1.0
    """The pause after the first failure; it doubles with each further one, and each job adds up to a half."""
    grace_seconds: Annotated[float, Meta(ge=0)] = 10.0
    """How long jobs that are being done may go on once the work is cancelled; then they are given back."""
    max_waiting: Annotated[int, Meta(ge=1)] = 100_000
    """Jobs that may wait; above it none is taken."""
