"""What topics in memory are made of: logs of messages, and what their groups have in hand."""

from __future__ import annotations

import asyncio
from bisect import bisect_left, bisect_right
from collections import OrderedDict, deque
from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import datetime

from tradesense.adapters.memory._state import MemoryState
from tradesense.core.cache.models import DeadLetter, Entry, GroupSummary, History, TopicSummary, order

LOST = ""
"""The consumer of messages whose consumer has left."""


class Log:
    """The messages of one topic, and the last position that was given out."""

    def __init__(self, topic: str) -> None:
        self.topic = topic
        self._order: list[tuple[int, int]] = []
        self._entries: list[Entry] = []

    @property
    def last(self) -> str:
        return self._entries[-1].position if self._entries else ""

    def append(self, message: bytes, milliseconds: int, retain: int) -> str:
        newest = self._order[-1] if self._order else (0, 0)
        place = (milliseconds, 0) if milliseconds > newest[0] else (newest[0], newest[1] + 1)
        position = f"{place[0]}-{place[1]}"
        self._order.append(place)
        self._entries.append(Entry(topic=self.topic, position=position, message=message))
        surplus = len(self._order) - retain
        del self._order[: max(surplus, 0)], self._entries[: max(surplus, 0)]
        return position

    def since(self, place: tuple[int, int], limit: int) -> tuple[Entry, ...]:
        first = bisect_right(self._order, place)
        return tuple(self._entries[first : first + limit])

    def find(self, place: tuple[int, int]) -> Entry | None:
        at = bisect_right(self._order, place) - 1
        return self._entries[at] if at >= 0 and self._order[at] == place else None

    def expire(self, before: int) -> int:
        """Drop what was published before so many milliseconds; returns how many."""
        old = bisect_left(self._order, (before, 0))
        del self._order[:old], self._entries[:old]
        return old

    def __len__(self) -> int:
        return len(self._order)

    @property
    def first(self) -> str:
        return self._entries[0].position if self._entries else ""

    def history(self, position: str, limit: int) -> History:
        place = order(position)
        gap = bool(position) and self.find(place) is None
        if gap and (not self._order or place > self._order[-1]):
            place = (0, 0)
        return History(entries=self.since(place, limit), gap=gap)


@dataclass
class Held:
    """A message that a consumer of a group was given."""

    entry: Entry
    consumer: str
    since: float
    attempt: int = 1
    again: bool = False
    """Whether it is a replayed one, which its topic need not hold any more."""


@dataclass
class Group:
    """Where one group stands on a topic."""

    read: tuple[int, int]
    """The place of the last message that was handed out for the first time."""
    held: dict[str, Held] = field(default_factory=dict[str, Held])
    again: deque[Entry] = field(default_factory=deque[Entry])


class Logs:
    """All topics of one backend."""

    def __init__(self, _: MemoryState) -> None:
        self._logs: dict[str, Log] = {}
        self.groups: dict[tuple[str, str], Group] = {}
        self.dead: dict[tuple[str, str], OrderedDict[str, DeadLetter]] = {}
        self._news = asyncio.Event()
        self._numbers = 0

    def of(self, topic: str) -> Log:
        log = self._logs.get(topic)
        if log is None:
            log = self._logs[topic] = Log(topic)
        return log

    def overview(self) -> list[TopicSummary]:
        """Every topic with a message or a group."""
        groups: dict[str, list[GroupSummary]] = {}
        for (topic, name), group in sorted(self.groups.items()):
            dead = len(self.dead.get((topic, name), ()))
            groups.setdefault(topic, []).append(GroupSummary(group=name, pending=len(group.held), dead=dead))
        return [
            TopicSummary(
                topic=topic,
                messages=len(log),
                first=log.first,
                last=log.last,
                groups=tuple(groups.get(topic, ())),
            )
            for topic, log in sorted(self._logs.items())
            if len(log) or topic in groups
        ]

    def expire(self, before: int) -> int:
        """Drop messages that were published before so many milliseconds; returns how many."""
        return sum(log.expire(before) for log in self._logs.values())

    def bury_no_longer(self, before: datetime) -> int:
        """Drop dead letters of before then; returns how many."""
        gone = 0
        for letters in self.dead.values():
            for number in [number for number, letter in letters.items() if letter.at < before]:
                del letters[number]
                gone += 1
        return gone

    def number(self) -> str:
        self._numbers += 1
        return str(self._numbers)

    def tell(self) -> None:
        """Wake everyone who waits for something new."""
        self._news.set()
        self._news = asyncio.Event()

    async def news(self) -> None:
        """Return once there is something new."""
        await self._news.wait()

    def group(self, topic: str, name: str, *, earliest: bool) -> tuple[Group, bool]:
        """The group, and whether it is new."""
        group = self.groups.get((topic, name))
        if group is not None:
            return group, False
        group = Group((0, 0) if earliest else order(self.of(topic).last))
        self.groups[topic, name] = group
        return group, True

    def take(self, topic: str, group: Group, limit: int) -> Sequence[tuple[str, Held]]:
        """What nobody in the group was given, now given; receipts with what they are for."""
        taken: list[tuple[str, Held]] = []
        while group.again and len(taken) < limit:
            entry = group.again.popleft()
            taken.append((f"r{self.number()}", Held(entry, LOST, 0, again=True)))
        fresh = self.of(topic).since(group.read, limit)
        taken += ((entry.position, Held(entry, LOST, 0)) for entry in fresh)
        if fresh:
            group.read = order(fresh[-1].position)
        return taken

    def overdue(self, topic: str, group: Group, before: float) -> Sequence[str]:
        """Receipts of what was handed out then or earlier and is not acknowledged; what is not retained is let go."""
        log = self.of(topic)
        gone = [key for key, held in group.held.items() if not held.again and log.find(order(key)) is None]
        for key in gone:
            del group.held[key]
        return [key for key, held in group.held.items() if held.since <= before]
