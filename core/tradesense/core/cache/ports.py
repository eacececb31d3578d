"""Keeping things for a while, and coordinating the processes that do."""

from __future__ import annotations

from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import AbstractAsyncContextManager
from typing import Protocol

from tradesense.core.cache.models import (
    Attempt,
    DeadLetter,
    Delivery,
    Entry,
    History,
    Lease,
    Limit,
    TopicSummary,
    Verdict,
)
from tradesense.core.paging import Page


class CacheStore(Protocol):
    """Bytes by key, each for a limited time. Losing any entry at any time is allowed; serving an expired one is not.

    Every method may raise :class:`CacheUnavailable` and, before opening and after closing, :class:`AdapterClosed`.
    Keys and values are checked by the caller with :func:`check_key` and :func:`check_value`.
    """

    async def get(self, key: str) -> bytes | None:
        """The value, or ``None`` when it is absent or has expired."""
        ...

    async def set(self, key: str, value: bytes, ttl: float) -> None:
        """Keep ``value`` for ``ttl`` seconds (over 0, precise to the millisecond), replacing value and time."""
        ...

    async def get_many(self, keys: Sequence[str]) -> dict[str, bytes]:
        """The values that are present; absent and expired keys are left out."""
        ...

    async def set_many(self, items: Mapping[str, bytes], ttl: float) -> None:
        """:meth:`set` for several keys with one time; a failure may leave some of them set."""
        ...

    async def delete(self, *keys: str) -> int:
        """Remove the keys and return how many of them were present. Absent keys are no error."""
        ...

    async def expire(self, key: str, ttl: float) -> bool:
        """Give a present entry a new time of ``ttl`` seconds from now; ``False`` when there is none."""
        ...

    async def remaining(self, keys: Sequence[str]) -> dict[str, float]:
        """The seconds for which the present ones of ``keys`` still last, by the clock that ends them."""
        ...


class Backplane(Protocol):
    """Messages to every process that listens now. A listener that was away has missed what was said."""

    async def publish(self, topic: str, payload: bytes) -> None:
        """Hand ``payload`` to every current subscriber of ``topic``, in every process, this one included.

        :raises BackplaneUnavailable: it could not be handed over.
        :raises AdapterClosed: before opening and after closing.
        """
        ...

    def subscribe(self, topic: str) -> AbstractAsyncContextManager[AsyncIterator[bytes]]:
        """Enter to listen, iterate to receive, leave to stop. What is published after entering is received, in order.

        :raises BackplaneUnavailable: on entry, or from the iterator when the connection is lost for good.
        """
        ...


class Topics(Protocol):
    """Messages that stay: each topic is a log, which many may read, now or later, from where they stopped.

    A position names a message of a topic: two numbers with a hyphen between them, compared as numbers, which grow
    with every message. ``""`` stands before the first. Topics, positions and messages are checked by the caller with
    :func:`check_topic`, :func:`order` and :func:`check_message`.

    Every method may raise :class:`TopicsUnavailable` and, before opening and after closing, :class:`AdapterClosed`.
    """

    async def publish(self, topic: str, message: bytes, *, retain: int) -> str:
        """Append ``message`` and return its position.

        Of older ones at least ``retain`` - 1 stay, a few hundred more at most.

        :raises TopicsUnavailable: it was not taken or, where the answer was lost, may have been. Who publishes it
            again may publish it twice; readers tell by the event's source and id.
        """
        ...

    async def after(self, topic: str, position: str, limit: int) -> History:
        """Up to ``limit`` messages after ``position``, the oldest first.

        Where the message at ``position`` is no longer there, ``gap`` is set; where everything there is comes before
        ``position``, as the server has lost its memory, all of it is returned, with ``gap``.
        """
        ...

    async def last(self, topic: str) -> str:
        """The position of the newest message; ``""`` where there is none."""
        ...

    async def follow(self, positions: Mapping[str, str], wait: float) -> Sequence[Entry]:
        """What comes after the given position of each topic, in each topic's order, a thousand messages at most.

        Where there is nothing yet, it waits up to ``wait`` seconds for the first; then nothing is returned. It takes
        nothing away: a cancelled call loses nothing.
        """
        ...


class TopicGroups(Protocol):
    """Consumer groups over :class:`Topics` (``GROUPS``): each message goes to one consumer of each group.

    Delivery is **at least once**. A message is its consumer's until it is acknowledged; one whose consumer gave no
    sign of life for a while is claimed by another, also where the first has done its work and died before it could
    say so. Consumers therefore de-duplicate by the event's ``source`` and ``id``, or do what may be done twice.
    What a topic no longer retains is handed out to nobody.

    Every method may raise :class:`TopicsUnavailable` and, before opening and after closing, :class:`AdapterClosed`.
    """

    async def join(self, topic: str, group: str, *, earliest: bool = False) -> bool:
        """Make the group, unless it is there; whether it is new.

        A new one gets what is published from now on or, with ``earliest``, all that the topic holds.
        """
        ...

    async def read(self, topic: str, group: str, consumer: str, *, limit: int, wait: float = 0) -> Sequence[Delivery]:
        """Up to ``limit`` messages that nobody in the group was given, and as many that are replayed.

        Where there are none, it waits up to ``wait`` seconds. A group that is not there, as nobody joined it or the
        server lost its memory, is made and gets all that the topic holds.
        """
        ...

    async def claim(self, topic: str, group: str, consumer: str, *, idle: float, limit: int) -> Sequence[Delivery]:
        """Up to ``limit`` messages, and as many replayed ones, that nobody has acknowledged for ``idle`` seconds.

        They are ``consumer``'s now, whoever had them. No message is claimed by two.
        """
        ...

    async def acknowledge(self, topic: str, group: str, receipts: Sequence[str]) -> int:
        """The group has done these; how many of them it had not yet. Unknown receipts are passed over."""
        ...

    async def leave(self, topic: str, group: str, consumer: str) -> None:
        """The consumer is gone; what it holds may be claimed at once, however long ago it was handed out."""
        ...

    async def pending(self, topic: str, group: str) -> int:
        """How many messages are handed out and not acknowledged; 0 where there is no such group."""
        ...


class DeadLetters(Protocol):
    """What consumer groups have given up (``DEAD_LETTERS``): kept aside, the last 1000 of each group.

    Every method may raise :class:`TopicsUnavailable` and, before opening and after closing, :class:`AdapterClosed`.
    """

    async def bury(self, group: str, delivery: Delivery, reason: str) -> bool:
        """Acknowledge and keep aside, in one step; ``False``, doing neither, when it was acknowledged before."""
        ...

    async def dead(self, topic: str, group: str, *, cursor: str | None = None, limit: int = 100) -> Page[DeadLetter]:
        """A page of dead letters, oldest first."""
        ...

    async def replay(self, topic: str, group: str, ids: Sequence[str]) -> int:
        """Hand these out to this group, and no other, as if for the first time; how many there were."""
        ...

    async def discard(self, topic: str, group: str, ids: Sequence[str]) -> int:
        """Remove these; how many there were."""
        ...


class TopicOverview(Protocol):
    """What there is on all topics, for operators, and what is to go from them by its age (``OVERVIEW``).

    Both look at everything that the adapter holds, and are for once in a while. Every method may raise
    :class:`TopicsUnavailable` and, before opening and after closing, :class:`AdapterClosed`.
    """

    async def overview(self) -> Sequence[TopicSummary]:
        """Every topic that holds a message or has a group, by name."""
        ...

    async def expire(self, *, messages: float | None = None, letters: float | None = None) -> int:
        """Remove messages that are older than ``messages`` seconds, and dead letters older than ``letters``.

        ``None`` leaves them all. Groups stay where they are. Returns how many went.
        """
        ...


class Compressor(Protocol):
    """Makes large values smaller. Its methods are synchronous; they are called for values of up to 8 MiB."""

    name: str
    """What entries are marked with: 1 to 16 lower-case letters and digits. It names one format for ever."""

    def compress(self, data: bytes) -> bytes:
        """``data`` packed. It may be longer than ``data``, in which case it is not used."""
        ...

    def decompress(self, data: bytes, limit: int) -> bytes:
        """What :meth:`compress` was given, never more than ``limit`` bytes, whatever ``data`` claims.

        :raises ValueError: ``data`` is damaged, or holds more.
        """
        ...


class LockProvider(Protocol):
    """Leases with fencing tokens. A lease is a promise in time only; the fencing token is what makes a write safe.

    Every method may raise :class:`LocksUnavailable`, in which case no lease may be assumed, and :class:`AdapterClosed`.
    """

    async def acquire(self, name: str, ttl: float, *, wait: float = 0) -> Lease | None:
        """Take the lease for ``ttl`` seconds, trying for ``wait`` seconds; ``None`` when another holds it still.

        A cancelled wait leaves nothing behind. No token is below the clock in microseconds since 1970, so that they
        grow on in the next provider. Raises ValueError, for this caller alone, where :func:`check_lease` does.
        """
        ...

    async def renew(self, lease: Lease) -> bool:
        """Let the lease last ``lease.ttl`` seconds from now; ``False`` when it is no longer ours."""
        ...

    async def release(self, lease: Lease) -> bool:
        """Give the lease back; ``False``, touching nothing, when it is no longer ours."""
        ...


class Fences(Protocol):
    """Refuses the writes of a holder that has lost its lease, by the greatest fencing token that has come by.

    It joins the transaction that writes: that of the :class:`~tradesense.core.transactions.Transactions` of the same
    provider. Leases of any :class:`LockProvider` will do.
    """

    async def guard(self, lease: Lease) -> None:
        """Let the rest of this task's transaction happen only if no later holder of ``lease`` has written.

        Call it in the transaction that writes, before the write. The writes of two holders are one after the other,
        and the earlier token is never the later write. A transaction that is rolled back leaves the fence where it
        was; one that was refused can only be rolled back, whatever its caller goes on to do.

        :raises LeaseLost: a later holder was here.
        :raises DatabaseUnavailable: no transaction of this task is open, or the fence cannot be read.
        :raises AdapterClosed: before opening and after closing.
        """
        ...


class RateLimiter(Protocol):
    """Counts attempts exactly, over all processes that share the adapter."""

    async def hit(self, key: str, limit: Limit, *, cost: int = 1) -> Verdict:
        """Count an attempt of ``cost`` against ``key``, which is any text, and say whether it is allowed.

        A refused attempt costs nothing. However many attempts run at once, at most ``limit.count`` of them are
        allowed before time has given some back. Keys and limits of different names never share a count.

        :raises ValueError: :func:`check_limit` or :func:`check_cost` refuses it. Nobody else's call is touched by it.
        :raises LimiterUnavailable: the count is not known; whether to go on is the policy's to say.
        :raises AdapterClosed: before opening and after closing.
        """
        ...

    async def hit_many(self, attempts: Sequence[Attempt]) -> tuple[Verdict, ...]:
        """Count one attempt under several limits at once, and say what each makes of it, in their order.

        It counts under all of them or, where one that is not a ``shadow`` refuses, under none: nothing comes between.
        A shadow that would refuse says so, does not count it, and holds back no other. ``remaining`` and
        ``reset_after`` are as they stand afterwards, so that of a refused attempt a limit that would have allowed it
        tells what it still has.

        :raises ValueError: a cost or a limit is out of its range, or two attempts are under one key and limit.
        :raises LimiterUnavailable: the counts are not known.
        :raises AdapterClosed: before opening and after closing.
        """
        ...

    async def reset(self, key: str, limit: Limit) -> None:
        """Forget the attempts that were counted against ``key`` under ``limit``."""
        ...
