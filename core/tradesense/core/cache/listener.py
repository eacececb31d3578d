"""One client's place in the fan-out: where it stands on its topics, and what it has not taken yet."""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Callable, Sequence
from typing import Literal, Protocol

import msgspec

from tradesense.core.cache.models import Entry, History, check_topic, order
from tradesense.core.errors import InvalidTopic, ListenerDropped, TopicsUnavailable

PAGE = 16
"""Messages that are read at a time by who catches up."""
PAUSE = 0.2
"""Seconds until a server that is away is asked again for what was missed."""
VAIN = 3
"""How often what the fan-out is ahead by is looked for; a server that has lost its memory has it no more."""
MOST_TOPICS = 16
"""Topics of one listener."""


class News(msgspec.Struct, frozen=True, kw_only=True):
    """What a listener is told next."""

    topic: str
    cursor: str
    """Where to listen on from, once this was taken."""
    message: bytes = b""
    gap: bool = False
    """It is no message, but the word that some of the topic may have been missed for good before what follows."""


class Feed(Protocol):
    """What a listener asks of the fan-out that it belongs to."""

    async def history(self, topic: str, position: str, limit: int) -> History:
        """What the topic holds after a position."""
        ...

    def attach(self, listener: Listener, topic: str, position: str, *, anyway: bool) -> bool:
        """Let the listener be given what comes after ``position``; ``False`` when the fan-out is ahead of it."""
        ...


class Listener:
    """Made by :meth:`EventHub.listen`. It takes at most ``most`` messages and ``most_bytes`` that wait to be taken."""

    def __init__(
        self,
        feed: Feed,
        positions: dict[str, str],
        *,
        behind: Sequence[str],
        most: int,
        most_bytes: int,
        dropped: Callable[[ListenerDropped], None],
    ) -> None:
        self._feed = feed
        self._at = dict(positions)
        """Up to where each topic was handed to this listener."""
        self._told = dict(positions)
        """Up to where each topic was taken."""
        self._behind = deque(behind)
        self._most = most
        self._most_bytes = most_bytes
        self._dropped = dropped
        self._waiting: deque[Entry | str] = deque()
        """Messages, and topics of which something is gone."""
        self._bytes = 0
        self._vain = 0
        self._ended: ListenerDropped | None = None
        self._news = asyncio.Event()
        self._over = asyncio.Event()

    @property
    def cursor(self) -> str:
        """Where to listen on from: what was taken so far."""
        return format_cursor(self._told)

    async def next(self, wait: float) -> News | None:
        """The next message, or ``None`` after ``wait`` seconds without one.

        :raises ListenerDropped: the stream is over; its ``reason`` says why.
        """
        try:
            async with asyncio.timeout(wait):
                return await self._next()
        except TimeoutError:
            return None

    def offer(self, entry: Entry, *, anew: bool = False) -> None:
        """Hand a message over.

        :param anew: the topic has begun anew; what is known of its positions is void.
        """
        if self._ended is not None or entry.topic in self._behind:
            return
        if not anew and order(entry.position) <= order(self._at[entry.topic]):
            return
        self._put(entry)
        if len(self._waiting) > self._most or self._bytes > self._most_bytes:
            self.end("slow", "the client takes what it is sent too slowly")

    def caught_up(self, topic: str) -> None:
        """There is nothing to read of the topic that the fan-out will not hand over."""
        self._behind.remove(topic)

    def miss(self, topic: str) -> None:
        """Tell that something of the topic is gone."""
        if self._ended is None and topic not in self._behind:
            self._waiting.append(topic)
            self._news.set()

    def end(self, reason: Literal["slow", "closing"], detail: str) -> None:
        """End the stream. Who was slow gets nothing more; otherwise what waits is still taken."""
        if self._ended is None:
            self._ended = ListenerDropped(detail, reason=reason)
            if reason == "slow":
                self._waiting.clear()
            self._news.set()
            self._over.set()
            self._dropped(self._ended)

    async def ended(self) -> ListenerDropped | None:
        """Return once the stream was ended, taken or not, and say why."""
        await self._over.wait()
        return self._ended

    def _put(self, entry: Entry) -> None:
        self._at[entry.topic] = entry.position
        self._waiting.append(entry)
        self._bytes += len(entry.message)
        self._news.set()

    async def _next(self) -> News:
        while True:
            if self._waiting:
                return self._taken(self._waiting.popleft())
            if self._ended is not None:
                raise self._ended
            if self._behind:
                await self._catch_up(self._behind[0])
                continue
            self._news.clear()
            await self._news.wait()

    def _taken(self, found: Entry | str) -> News:
        if isinstance(found, str):
            return News(topic=found, cursor=self.cursor, gap=True)
        self._bytes -= len(found.message)
        self._told[found.topic] = found.position
        return News(topic=found.topic, cursor=self.cursor, message=found.message)

    async def _catch_up(self, topic: str) -> None:
        """Read what was missed, until the fan-out has nothing that this listener has not."""
        try:
            history = await self._feed.history(topic, self._at[topic], PAGE)
        except TopicsUnavailable:
            await asyncio.sleep(PAUSE)
            return
        if history.gap and not self._vain:
            self._waiting.append(topic)
        if history.gap and not history.entries:  # the topic is empty: all that it will ever hold is new
            self._at[topic] = self._told[topic] = ""
        for entry in history.entries:
            self._put(entry)
        self._vain = 0 if history.entries else self._vain + 1
        if len(history.entries) == PAGE:
            return
        if self._feed.attach(self, topic, self._at[topic], anyway=self._vain > VAIN):
            self._behind.popleft()
            self._vain = 0


def format_cursor(positions: dict[str, str]) -> str:
    """Where a listener stands on all its topics, in one line: ``orders=1732-0;payments=1733-4``."""
    return ";".join(f"{topic}={position}" for topic, position in positions.items())


def parse_cursor(cursor: str) -> dict[str, str]:
    """What :func:`format_cursor` gave.

    :raises InvalidTopic: it is nothing of the kind.
    """
    positions: dict[str, str] = {}
    for part in cursor.split(";") if cursor else ():
        topic, equals, position = part.partition("=")
        if not equals or len(positions) >= MOST_TOPICS:
            raise InvalidTopic("this is not where a stream stopped", mend="begin without the last event's id")
        order(position)
        positions[check_topic(topic)] = position
    return positions
