"""Leases, limits and the bounds on keys and values."""

from __future__ import annotations

import re
from collections.abc import Sequence
from datetime import datetime

import msgspec

from tradesense.core.errors import CacheValueTooLarge, EventTooLarge, InvalidCacheKey, InvalidTopic

MAX_KEY = 512
_CONTROL = re.compile(r"[\x00-\x1f\x7f]")
MAX_VALUE = 8 * 1024 * 1024
"""Bytes."""
MAX_LEASE = 31 * 24 * 60 * 60.0
"""Seconds of a lease."""
MAX_COST = 10_000
"""Of one attempt: it bounds for how long a shared counter is busy with it."""
MAX_COUNT = 10_000_000
MAX_PERIOD = 400 * 24 * 60 * 60.0
"""Seconds of a limit."""
MAX_MESSAGE = 64 * 1024
"""Bytes of a message on a topic: what every intermediary of CloudEvents has to forward."""
MAX_DEAD = 1_000
"""Dead letters that are kept of one group of a topic; the oldest go first."""
_NAME = re.compile(r"[a-z0-9](?:[a-z0-9._-]{0,126}[a-z0-9])?")
_POSITION = re.compile(r"([0-9]{1,20})-([0-9]{1,20})")
_LARGEST = 2**64 - 1
"""Of either number of a position; after the last of all positions nothing can come."""


class Lease(msgspec.Struct, frozen=True, kw_only=True):
    """The right to do something alone, until it expires or is released."""

    name: str
    owner: str
    """Unpredictable; proves who holds the lease."""
    token: int
    """The fencing token. It grows with every acquisition of ``name``, so that a store can refuse a stale holder."""
    ttl: float
    """Seconds that the lease lasts from its acquisition or last renewal."""


MOST_DOUBLINGS = 50
"""More would be longer than any limit lasts."""


class Limit(msgspec.Struct, frozen=True, kw_only=True):
    """At most ``count`` within any ``period`` seconds; and, with a ``delay``, further and further apart."""

    name: str
    count: int
    """1 to 10,000,000."""
    period: float
    """Over 0, at most 400 days."""
    free: int = 0
    """How many within the period need not wait for each other."""
    delay: float = 0.0
    """Seconds that the next one waits after the last; each further one twice as long. 0 for none."""
    longest: float = 0.0
    """Seconds that none of them waits longer than."""

    def gap(self, used: int) -> float:
        """Seconds between the last of ``used`` attempts and the next."""
        if not self.delay or not used or used < self.free:
            return 0.0
        return min(self.longest, self.delay * 2.0 ** min(used - self.free, MOST_DOUBLINGS))


class Attempt(msgspec.Struct, frozen=True, kw_only=True):
    """What one attempt counts for under one limit."""

    key: str
    limit: Limit
    cost: int = 1
    """1 to ``limit.count``, at most 10,000."""
    shadow: bool = False
    """Whether the limit only looks on: what it would refuse is told, and refuses nothing."""


class Verdict(msgspec.Struct, frozen=True, kw_only=True):
    """What the limiter says of one attempt under one limit."""

    allowed: bool
    remaining: int
    """How many more the period has room for."""
    retry_after: float
    """Seconds until an attempt of the same cost is allowed; 0 when this one was."""
    reset_after: float = 0.0
    """Seconds until the oldest attempt that counts is given back; 0 when none counts."""


class Entry(msgspec.Struct, frozen=True, kw_only=True):
    """A message where it stands on its topic."""

    topic: str
    position: str
    message: bytes


class History(msgspec.Struct, frozen=True, kw_only=True):
    """What a topic holds after a position."""

    entries: tuple[Entry, ...]
    gap: bool = False
    """Whether messages between the position and these may be gone: for their age, or with the server's memory."""


class Delivery(msgspec.Struct, frozen=True, kw_only=True):
    """A message in the hands of one consumer of a group."""

    topic: str
    position: str
    """Where it stands, or stood, on its topic."""
    receipt: str
    """What it is acknowledged by."""
    message: bytes
    attempt: int
    """How often it has been handed out to this group, this time included."""


class DeadLetter(msgspec.Struct, frozen=True, kw_only=True):
    """A message that a group has given up."""

    id: str
    """What it is replayed or discarded by."""
    topic: str
    group: str
    position: str
    message: bytes
    attempts: int
    reason: str
    """The class of the last error, or why else it was given up. Never the text of an error."""
    at: datetime


class GroupSummary(msgspec.Struct, frozen=True, kw_only=True):
    """How a group stands."""

    group: str
    pending: int
    """Messages that are handed out and not acknowledged."""
    dead: int
    """Messages that it has given up, and that are kept aside."""


class TopicSummary(msgspec.Struct, frozen=True, kw_only=True):
    """How a topic stands."""

    topic: str
    messages: int
    first: str = ""
    """The position of the oldest message; ``""`` where there is none."""
    last: str = ""
    groups: tuple[GroupSummary, ...] = ()
    """By name."""


class CacheStats(msgspec.Struct, frozen=True, kw_only=True):
    """What the cache of one process has done since it was opened, and how it is."""

    hits: int = 0
    misses: int = 0
    stale: int = 0
    """Values served beyond their life, as no new one could be made in time."""
    factories: int = 0
    """Values that this process set out to make."""
    failures: int = 0
    """Factories that raised an error, or made what cannot be kept."""
    timeouts: int = 0
    """Factories that took longer than callers wait."""
    avoided: int = 0
    """Callers who were given what another caller, here or in another process, was making already."""
    unreadable: int = 0
    """Entries of the shared store that were corrupt, of a later format, or of another type."""
    near_entries: int = 0
    near_bytes: int = 0
    evictions: int = 0
    """Entries that had to leave the first level for others."""
    pending: int = 0
    """Changes that the shared store or the other processes are still to be told of."""
    lost: int = 0
    """Such changes that were given up, as there were too many."""
    backend_up: bool = True
    """False while the shared store or the backplane is away and the cache goes on in the process."""


def check_key(key: str) -> str:
    """Return ``key`` when it has 1 to 512 characters, no control character and no half of a surrogate pair.

    :raises InvalidCacheKey: anything else.
    """
    if not key or len(key) > MAX_KEY:
        raise InvalidCacheKey(f"a cache key has 1 to {MAX_KEY} characters, this one {len(key)}")
    if _CONTROL.search(key):
        raise InvalidCacheKey("a cache key has no control characters")
    if not _is_text(key):
        raise InvalidCacheKey("a cache key has no half of a surrogate pair")
    return key


def check_lease(name: str, ttl: float) -> None:
    """Check what is to be held.

    :raises ValueError: the name has not 1 to 512 characters or a half of a surrogate pair, or ``ttl`` is not over 0 and
        at most 31 days.
    """
    if not 0 < len(name) <= MAX_KEY or not _is_text(name):
        raise ValueError(f"the name of a lease has 1 to {MAX_KEY} characters, and no half of a surrogate pair")
    if not 0 < ttl <= MAX_LEASE:
        raise ValueError(f"a lease lasts more than 0 and at most {MAX_LEASE:g} s, not {ttl:g}")


def check_limit(limit: Limit) -> None:
    """Check what is to be counted by.

    :raises ValueError: the count is not within 1 to 10,000,000, or the period not over 0 and at most 400 days.
    """
    if not 1 <= limit.count <= MAX_COUNT or not 0 < limit.period <= MAX_PERIOD:
        raise ValueError(f"a limit is 1 to {MAX_COUNT} in more than 0 and at most {MAX_PERIOD:g} s, not {limit}")


def check_cost(limit: Limit, cost: int) -> None:
    """Check what one attempt costs.

    :raises ValueError: it is not within 1 to ``limit.count``, or above 10,000.
    """
    if not 1 <= cost <= min(limit.count, MAX_COST):
        raise ValueError(f"an attempt costs 1 to {min(limit.count, MAX_COST)}, not {cost}")


def _is_text(text: str) -> bool:
    """Whether it has a form in UTF-8."""
    try:
        return text.isascii() or bool(text.encode())
    except UnicodeEncodeError:
        return False


def check_attempts(attempts: Sequence[Attempt]) -> None:
    """Check what is to be counted together.

    :raises ValueError: a cost or a limit is out of its range, or two attempts are under one key and limit.
    """
    for attempt in attempts:
        check_limit(attempt.limit)
        check_cost(attempt.limit, attempt.cost)
    if len({(attempt.limit.name, attempt.key) for attempt in attempts}) != len(attempts):
        raise ValueError("two attempts that are counted together are under one key and limit")


def check_value(value: bytes) -> bytes:
    """Return ``value`` when it fits.

    :raises CacheValueTooLarge: it has more than 8 MiB.
    """
    if len(value) > MAX_VALUE:
        raise CacheValueTooLarge(f"a cache value has at most {MAX_VALUE} bytes, this one {len(value)}")
    return value


def check_topic(name: str) -> str:
    """Return the name of a topic, group or consumer when it is one.

    It has 1 to 128 lower-case letters, digits, points, underscores and hyphens, a letter or a digit at both ends.

    :raises InvalidTopic: anything else.
    """
    if _NAME.fullmatch(name) is None:
        raise InvalidTopic("a topic or group has 1 to 128 of a-z, 0-9, point, underscore and hyphen")
    return name


def check_message(message: bytes) -> bytes:
    """Return ``message`` when it fits.

    :raises EventTooLarge: it has more than 64 KiB.
    """
    if len(message) > MAX_MESSAGE:
        raise EventTooLarge(f"an event has at most {MAX_MESSAGE} bytes, this one {len(message)}")
    return message


def order(position: str) -> tuple[int, int]:
    """What positions of one topic are compared by; ``""`` comes before all.

    :raises InvalidTopic: it is no position.
    """
    if not position:
        return (0, 0)
    parts = _POSITION.fullmatch(position)
    if parts is None:
        raise InvalidTopic("a position is two numbers with a hyphen between them")
    place = int(parts[1]), int(parts[2])
    if max(place) > _LARGEST or place == (_LARGEST, _LARGEST):
        raise InvalidTopic("the numbers of a position have 64 bits, and something can come after it")
    return place
