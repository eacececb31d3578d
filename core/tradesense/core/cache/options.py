"""How an entry is kept: for how long, and what happens when its value cannot be made in time."""

from __future__ import annotations

from typing import Annotated

import msgspec
from msgspec import Meta

MAX_LIFE = 30 * 24 * 60 * 60.0
"""Seconds that any entry is kept at most, its time on fail-safe included."""
MAX_JITTER = 0.5
Seconds = Annotated[float, Meta(ge=0, le=MAX_LIFE)]


class EntryOptions(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """How one entry is kept. All times are seconds; 0 turns an option off where nothing else is said.

    :raises ValueError: a value is out of its range, or two options exclude each other.
    """

    ttl: Annotated[float, Meta(gt=0, le=MAX_LIFE)] = 60.0
    """Life of a value, after which it is made anew."""
    jitter: Annotated[float, Meta(ge=0, le=MAX_JITTER)] = 0.0
    """The part of ``ttl`` that is taken off at random, so that entries of one moment do not end at one moment."""
    sliding: Seconds = 0.0
    """An entry that nobody reads for this long ends before its ``ttl``."""
    fail_safe: Seconds = 0.0
    """How long beyond its ``ttl`` a value may be served when it cannot be made anew."""
    throttle: Annotated[float, Meta(gt=0, le=3600)] = 30.0
    """After a failed attempt that was covered by a stale value, how long nobody in this process tries again."""
    soft_timeout: Seconds = 0.0
    """How long a caller waits for a new value where a stale one is at hand; the factory goes on meanwhile."""
    hard_timeout: Seconds = 30.0
    """How long a caller waits where there is none; the factory goes on meanwhile."""
    background: Annotated[float, Meta(ge=0, le=3600)] = 60.0
    """How long a factory that nobody waits for may go on until it is cancelled."""
    eager: Annotated[float, Meta(ge=0, lt=1)] = 0.0
    """The part of ``ttl`` after which a read renews the value in the background."""
    negative_ttl: Seconds = 0.0
    """How long the answer ``None`` of a factory is kept; at 0 it is not kept at all."""
    size: Annotated[int, Meta(ge=0)] = 0
    """Bytes that the entry counts for in the first level; its encoded length at 0."""
    lease: bool = True
    """Whether of all processes that share the store one makes the value while the others wait for it."""

    def __post_init__(self) -> None:
        """Refuse what cannot be meant."""
        for holds, message in (
            (0 < self.ttl <= MAX_LIFE, f"ttl is over 0 and at most {MAX_LIFE:g} s"),
            (self.ttl + self.fail_safe <= MAX_LIFE, f"ttl and fail_safe together are at most {MAX_LIFE:g} s"),
            (0 <= self.jitter <= MAX_JITTER, f"jitter is a part between 0 and {MAX_JITTER:g}"),
            (0 <= self.eager < 1, "eager is a part of the ttl, from 0 to below 1"),
            (self.throttle > 0, "throttle is over 0"),
            (min(self.sliding, self.fail_safe, self.soft_timeout, self.hard_timeout) >= 0, "no time is below 0"),
            (min(self.background, self.negative_ttl, self.size) >= 0, "no time and no size is below 0"),
            (not (self.sliding and self.fail_safe), "a sliding entry leaves nothing for fail_safe to serve"),
        ):
            if not holds:
                raise ValueError(message)
