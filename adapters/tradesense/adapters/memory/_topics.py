"""Topics within one process, with their groups and dead letters."""

from __future__ import annotations

import asyncio
from collections import OrderedDict
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from datetime import timedelta
from itertools import islice
from typing import TypeVar

from tradesense.adapters.memory._lifecycle import Lifecycle
from tradesense.adapters.memory._log import LOST, Held, Logs
from tradesense.adapters.memory._state import MemoryState
from tradesense.core.ambient import Clock
from tradesense.core.cache.models import MAX_DEAD, DeadLetter, Delivery, Entry, History, TopicSummary, order
from tradesense.core.cache.ports import DeadLetters, TopicGroups, TopicOverview, Topics
from tradesense.core.errors import InvalidInput
from tradesense.core.paging import Page, check_cursor

T = TypeVar("T")

MOST_FOLLOWED = 1_000
"""Messages that one call of `follow` returns."""
LONGEST_NUMBER = 20
"""Digits of a cursor."""


class MemoryTopics(Lifecycle):
    """Logs over one :class:`MemoryState`. See :class:`Topics`, :class:`TopicGroups` and :class:`DeadLetters`."""

    def __init__(self, state: MemoryState, *, clock: Clock) -> None:
        super().__init__()
        self._logs = state.part(Logs)
        self._clock = clock

    async def publish(self, topic: str, message: bytes, *, retain: int) -> str:
        """See :meth:`Topics.publish`."""
        self.check_open()
        position = self._logs.of(topic).append(message, int(self._clock.now().timestamp() * 1000), retain)
        self._logs.tell()
        return position

    async def after(self, topic: str, position: str, limit: int) -> History:
        """See :meth:`Topics.after`."""
        self.check_open()
        return self._logs.of(topic).history(position, limit)

    async def last(self, topic: str) -> str:
        """See :meth:`Topics.last`."""
        self.check_open()
        return self._logs.of(topic).last

    async def follow(self, positions: Mapping[str, str], wait: float) -> Sequence[Entry]:
        """See :meth:`Topics.follow`."""
        self.check_open()
        places = {topic: order(position) for topic, position in positions.items()}

        def look() -> list[Entry]:
            found = (
                entry for topic, place in places.items() for entry in self._logs.of(topic).since(place, MOST_FOLLOWED)
            )
            return list(islice(found, MOST_FOLLOWED))

        return await self._until(look, wait)

    async def join(self, topic: str, group: str, *, earliest: bool = False) -> bool:
        """See :meth:`TopicGroups.join`."""
        self.check_open()
        return self._logs.group(topic, group, earliest=earliest)[1]

    async def read(self, topic: str, group: str, consumer: str, *, limit: int, wait: float = 0) -> Sequence[Delivery]:
        """See :meth:`TopicGroups.read`."""
        self.check_open()

        def look() -> list[Delivery]:
            own, _ = self._logs.group(topic, group, earliest=True)
            now = self._clock.monotonic()
            deliveries: list[Delivery] = []
            for receipt, held in self._logs.take(topic, own, limit):
                held.consumer, held.since = consumer, now
                own.held[receipt] = held
                deliveries.append(_delivery(receipt, held))
            return deliveries

        return await self._until(look, wait)

    async def claim(self, topic: str, group: str, consumer: str, *, idle: float, limit: int) -> Sequence[Delivery]:
        """See :meth:`TopicGroups.claim`."""
        self.check_open()
        own = self._logs.groups.get((topic, group))
        if own is None:
            return []
        now = self._clock.monotonic()
        deliveries: list[Delivery] = []
        for receipt in self._logs.overdue(topic, own, now - idle)[:limit]:
            held = own.held[receipt]
            held.consumer, held.since, held.attempt = consumer, now, held.attempt + 1
            deliveries.append(_delivery(receipt, held))
        return deliveries

    async def acknowledge(self, topic: str, group: str, receipts: Sequence[str]) -> int:
        """See :meth:`TopicGroups.acknowledge`."""
        self.check_open()
        own = self._logs.groups.get((topic, group))
        return 0 if own is None else sum(own.held.pop(receipt, None) is not None for receipt in receipts)

    async def leave(self, topic: str, group: str, consumer: str) -> None:
        """See :meth:`TopicGroups.leave`."""
        self.check_open()
        own = self._logs.groups.get((topic, group))
        for held in own.held.values() if own else ():
            if held.consumer == consumer:
                held.consumer, held.since = LOST, float("-inf")

    async def pending(self, topic: str, group: str) -> int:
        """See :meth:`TopicGroups.pending`."""
        self.check_open()
        own = self._logs.groups.get((topic, group))
        return len(own.held) if own else 0

    async def bury(self, group: str, delivery: Delivery, reason: str) -> bool:
        """See :meth:`DeadLetters.bury`."""
        self.check_open()
        own = self._logs.groups.get((delivery.topic, group))
        if own is None or own.held.pop(delivery.receipt, None) is None:
            return False
        letter = DeadLetter(
            id=self._logs.number(),
            topic=delivery.topic,
            group=group,
            position=delivery.position,
            message=delivery.message,
            attempts=delivery.attempt,
            reason=reason,
            at=self._clock.now(),
        )
        letters = self._letters(delivery.topic, group)
        letters[letter.id] = letter
        if len(letters) > MAX_DEAD:
            letters.popitem(last=False)
        return True

    async def dead(self, topic: str, group: str, *, cursor: str | None = None, limit: int = 100) -> Page[DeadLetter]:
        """See :meth:`DeadLetters.dead`."""
        self.check_open()
        after = int(check_cursor(cursor, _check_number) or "0")
        found = [letter for letter in self._letters(topic, group).values() if int(letter.id) > after][: limit + 1]
        return Page(items=tuple(found[:limit]), cursor=found[limit - 1].id if len(found) > limit else None)

    async def replay(self, topic: str, group: str, ids: Sequence[str]) -> int:
        """See :meth:`DeadLetters.replay`."""
        self.check_open()
        letters = self._letters(topic, group)
        own, _ = self._logs.group(topic, group, earliest=True)
        found = [letter for number in ids if (letter := letters.pop(number, None)) is not None]
        own.again += (Entry(topic=topic, position=letter.position, message=letter.message) for letter in found)
        self._logs.tell()
        return len(found)

    async def discard(self, topic: str, group: str, ids: Sequence[str]) -> int:
        """See :meth:`DeadLetters.discard`."""
        self.check_open()
        letters = self._letters(topic, group)
        return sum(letters.pop(number, None) is not None for number in ids)

    async def overview(self) -> Sequence[TopicSummary]:
        """See :meth:`TopicOverview.overview`."""
        self.check_open()
        return self._logs.overview()

    async def expire(self, *, messages: float | None = None, letters: float | None = None) -> int:
        """See :meth:`TopicOverview.expire`."""
        self.check_open()
        now, gone = self._clock.now(), 0
        if messages is not None:
            gone += self._logs.expire(int((now.timestamp() - messages) * 1000))
        if letters is not None:
            gone += self._logs.bury_no_longer(now - timedelta(seconds=letters))
        return gone

    def _letters(self, topic: str, group: str) -> OrderedDict[str, DeadLetter]:
        return self._logs.dead.setdefault((topic, group), OrderedDict())

    async def _until(self, look: Callable[[], list[T]], wait: float) -> list[T]:
        """What ``look`` finds, now or within ``wait`` seconds."""
        found = look()
        if found or wait <= 0:
            return found
        with suppress(TimeoutError):
            async with asyncio.timeout(wait):
                while not found:
                    await self._logs.news()
                    self.check_open()
                    found = look()
        return found


def _delivery(receipt: str, held: Held) -> Delivery:
    return Delivery(
        topic=held.entry.topic,
        position=held.entry.position,
        receipt=receipt,
        message=held.entry.message,
        attempt=held.attempt,
    )


def _check_number(cursor: str) -> None:
    if not (cursor.isascii() and cursor.isdecimal() and len(cursor) <= LONGEST_NUMBER):
        raise InvalidInput("a cursor of dead letters is a number")


_: type[Topics] = MemoryTopics
_groups: type[TopicGroups] = MemoryTopics
_dead: type[DeadLetters] = MemoryTopics
_overview: type[TopicOverview] = MemoryTopics
