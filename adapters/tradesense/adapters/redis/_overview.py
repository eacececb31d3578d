"""What there is on all topics of the server, and removing what is old."""

from __future__ import annotations

import re
from collections.abc import Sequence

from tradesense.adapters.redis._groups import RedisGroups
from tradesense.adapters.redis._streams import ABOUT, EXPIRE
from tradesense.core.cache.models import GroupSummary, TopicSummary

SCANNED = 1_000
"""Keys that the server looks at in one step."""
STREAM, DEAD = "stream", "stream-dead"


class RedisOverview(RedisGroups):
    """See :class:`TopicOverview`. The server's keys are walked in small steps, between which it serves others."""

    async def overview(self) -> Sequence[TopicSummary]:
        """One walk, and one run of a script for each topic."""
        names = sorted(await self._named(STREAM))
        return [await self._about(name[0]) for name in names]

    async def expire(self, *, messages: float | None = None, letters: float | None = None) -> int:
        """One walk, and one run of a script for each stream."""
        gone = 0
        for kind, age in ((STREAM, messages), (DEAD, letters)):
            if age is None:
                continue
            for name in await self._named(kind):
                redis = self._redis
                async with self._bounded():
                    gone += await EXPIRE(redis, [self._key(kind, *name)], [int(age * 1000)])
        return gone

    async def _about(self, topic: str) -> TopicSummary:
        redis = self._redis
        async with self._bounded():
            messages, first, last, groups = await ABOUT(redis, [self._stream(topic)], [])
        found = [await self._group(topic, name.decode()) for name in sorted(groups)]
        return TopicSummary(
            topic=topic, messages=messages, first=first.decode(), last=last.decode(), groups=tuple(found)
        )

    async def _group(self, topic: str, group: str) -> GroupSummary:
        redis = self._redis
        async with self._bounded():
            dead = await redis.xlen(self._letters(topic, group))
        return GroupSummary(group=group, pending=await self.pending(topic, group), dead=dead)

    async def _named(self, kind: str) -> set[tuple[str, ...]]:
        """What the streams of one kind are about: a topic, or a topic and a group. No name of these has a colon."""
        start = self._key(kind, "")
        pattern = re.sub(r"([][*?\\])", r"\\\1", start) + "*"
        found, cursor = set[tuple[str, ...]](), 0
        while True:
            redis = self._redis
            async with self._bounded():
                cursor, keys = await redis.scan(cursor, match=pattern, count=SCANNED, _type="stream")
            found |= {tuple(key.decode().removeprefix(start).split(":")) for key in keys}
            if not cursor:
                return found
