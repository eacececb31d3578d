"""Topics on the server's streams."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from tradesense.adapters.redis._client import RedisClients, milliseconds
from tradesense.adapters.redis._overview import RedisOverview
from tradesense.adapters.redis._streams import AFTER, MESSAGE
from tradesense.core.cache.models import Entry, History
from tradesense.core.cache.ports import DeadLetters, TopicGroups, TopicOverview, Topics
from tradesense.core.errors import TopicsUnavailable

MOST_FOLLOWED = 1_000
"""Messages that one call of `follow` returns."""


class RedisTopics(RedisOverview):
    """One stream per topic, one more per group for what is replayed, and one for its dead letters.

    How long the server keeps them is its own matter: what must outlive it needs its persistence switched on.
    """

    def __init__(self, clients: RedisClients) -> None:
        super().__init__(clients, TopicsUnavailable)

    async def publish(self, topic: str, message: bytes, *, retain: int) -> str:
        """One XADD, which trims as it goes (``MAXLEN ~``)."""
        redis = self._redis
        async with self._bounded():
            position = await redis.xadd(self._stream(topic), {MESSAGE: message}, maxlen=retain, approximate=True)
        return position.decode()

    async def after(self, topic: str, position: str, limit: int) -> History:
        """One run of a script."""
        redis = self._redis
        async with self._bounded():
            gap, entries = await AFTER(redis, [self._stream(topic)], [position, limit])
        return History(entries=tuple(_entry(topic, *each) for each in entries), gap=gap == 1)

    async def last(self, topic: str) -> str:
        """One XREVRANGE."""
        redis = self._redis
        async with self._bounded():
            newest = await redis.xrevrange(self._stream(topic), count=1)
        return newest[0][0].decode() if newest else ""

    async def follow(self, positions: Mapping[str, str], wait: float) -> Sequence[Entry]:
        """One XREAD over all topics, on a connection of its own while it waits."""
        self._check_open()
        topics = {self._stream(topic).encode(): topic for topic in positions}
        if not topics:
            return []
        redis = self._clients.waiting
        async with self._bounded(max(wait, 0) + self._clients.timeout):
            found = await redis.xread(
                {key: positions[topic] or "0-0" for key, topic in topics.items()},
                count=max(1, MOST_FOLLOWED // len(topics)),
                block=milliseconds(wait) if wait > 0 else None,
            )
        return [
            Entry(topic=topics[key], position=place.decode(), message=fields.get(MESSAGE, b""))
            for key, entries in found
            for place, fields in entries
        ]


def _entry(topic: str, place: bytes, fields: list[Any]) -> Entry:
    """An entry of a script's answer, whose fields are a flat list."""
    values = dict(zip(fields[::2], fields[1::2], strict=True))
    return Entry(topic=topic, position=place.decode(), message=values.get(MESSAGE, b""))


_: type[Topics] = RedisTopics
_groups: type[TopicGroups] = RedisTopics
_dead: type[DeadLetters] = RedisTopics
_overview: type[TopicOverview] = RedisTopics
