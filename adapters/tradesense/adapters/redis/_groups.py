"""Consumer groups and dead letters on the server's streams."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from datetime import UTC, datetime
from typing import Any

from redis.exceptions import ResponseError

from tradesense.adapters.redis._client import RedisAdapter, milliseconds
from tradesense.adapters.redis._streams import (
    ACKNOWLEDGE,
    ATTEMPTS,
    BURY,
    CLAIM,
    FORGET_MILLISECONDS,
    JOIN,
    LEAVE,
    LOST,
    MESSAGE,
    PENDING,
    POSITION,
    REASON,
    REPLAY,
)
from tradesense.core.cache.models import MAX_DEAD, DeadLetter, Delivery, order
from tradesense.core.errors import InvalidTopic
from tradesense.core.paging import Page, check_cursor

AGAIN = "r"
"""What the receipt of a replayed message begins with."""
LONG_AGO = 365 * 24 * 60 * 60 * 1000
"""Milliseconds since which nobody has held what a consumer left."""


class RedisGroups(RedisAdapter):
    """A consumer group of the server per group, over the topic's stream and the one of what is replayed to it."""

    async def join(self, topic: str, group: str, *, earliest: bool = False) -> bool:
        """One run of a script."""
        redis = self._redis
        async with self._bounded():
            return bool(await JOIN(redis, self._read(topic, group), [group, "0" if earliest else "$"]))

    async def read(self, topic: str, group: str, consumer: str, *, limit: int, wait: float = 0) -> Sequence[Delivery]:
        """One XREADGROUP, on a connection of its own while it waits."""
        self._check_open()
        redis = self._clients.waiting if wait > 0 else self._redis
        stream, again = self._read(topic, group)
        found: Sequence[tuple[bytes, list[Any]]] = ()
        async with self._bounded(max(wait, 0) + self._clients.timeout):
            for last in (False, True):
                try:
                    found = await redis.xreadgroup(
                        group,
                        consumer,
                        {again: ">", stream: ">"},
                        count=limit,
                        block=milliseconds(wait) if wait > 0 else None,
                    )
                    break
                except ResponseError as error:
                    if last or not _no_group(error):
                        raise
                    await self.join(topic, group, earliest=True)
        return [
            _delivery(topic, place, fields, attempt=1, again=key == again.encode())
            for key, entries in found
            for place, fields in entries
        ]

    async def claim(self, topic: str, group: str, consumer: str, *, idle: float, limit: int) -> Sequence[Delivery]:
        """One run of a script, as a message and how often it was handed out belong together."""
        redis = self._redis
        async with self._bounded():
            answers = await CLAIM(
                redis,
                self._read(topic, group),
                [group, consumer, int(idle * 1000), limit, FORGET_MILLISECONDS],
            )
        return [
            _delivery(topic, place, dict(zip(flat[::2], flat[1::2], strict=True)), attempt=attempt, again=again)
            for again, entries in zip((False, True), answers, strict=True)
            for place, flat, attempt in entries
        ]

    async def acknowledge(self, topic: str, group: str, receipts: Sequence[str]) -> int:
        """One run of a script."""
        redis = self._redis
        fresh = list(_places(receipt for receipt in receipts if not receipt.startswith(AGAIN)))
        again = list(_places(receipt.removeprefix(AGAIN) for receipt in receipts if receipt.startswith(AGAIN)))
        if not (fresh or again):
            return 0
        async with self._bounded():
            done: int = await ACKNOWLEDGE(redis, self._read(topic, group), [group, len(fresh), *fresh, *again])
        return done

    async def leave(self, topic: str, group: str, consumer: str) -> None:
        """One run of a script."""
        redis = self._redis
        async with self._bounded():
            await LEAVE(redis, self._read(topic, group), [group, consumer, LOST, LONG_AGO])

    async def pending(self, topic: str, group: str) -> int:
        """One run of a script."""
        redis = self._redis
        async with self._bounded():
            count: int = await PENDING(redis, self._read(topic, group), [group])
        return count

    async def bury(self, group: str, delivery: Delivery, reason: str) -> bool:
        """One run of a script, so that a message is in one place at any time."""
        redis = self._redis
        stream, again = self._read(delivery.topic, group)
        replayed = delivery.receipt.startswith(AGAIN)
        about: list[str | int | bytes] = [delivery.message, delivery.position, delivery.attempt, reason]
        place = delivery.receipt.removeprefix(AGAIN)
        async with self._bounded():
            buried = await BURY(
                redis,
                [again if replayed else stream, self._letters(delivery.topic, group)],
                [group, place, "again" if replayed else "", MAX_DEAD, *about],
            )
        return bool(buried)

    async def dead(self, topic: str, group: str, *, cursor: str | None = None, limit: int = 100) -> Page[DeadLetter]:
        """One XRANGE."""
        redis = self._redis
        after = check_cursor(cursor, order)
        async with self._bounded():
            found = await redis.xrange(self._letters(topic, group), f"({after}" if after else "-", count=limit + 1)
        letters = tuple(_letter(topic, group, place.decode(), fields) for place, fields in found)
        more = len(letters) > limit
        return Page(items=letters[:limit], cursor=letters[limit - 1].id if more else None)

    async def replay(self, topic: str, group: str, ids: Sequence[str]) -> int:
        """One run of a script."""
        redis = self._redis
        known = list(_places(ids))
        if not known:
            return 0
        async with self._bounded():
            count: int = await REPLAY(
                redis, [self._letters(topic, group), self._read(topic, group)[1]], [group, *known]
            )
        return count

    async def discard(self, topic: str, group: str, ids: Sequence[str]) -> int:
        """One XDEL."""
        redis = self._redis
        known = list(_places(ids))
        if not known:
            return 0
        async with self._bounded():
            return await redis.xdel(self._letters(topic, group), *known)

    def _stream(self, topic: str) -> str:
        return self._key("stream", topic)

    def _read(self, topic: str, group: str) -> tuple[str, str]:
        """What a group reads: the topic, and what is replayed to this group alone."""
        return self._stream(topic), self._key("stream-again", topic, group)

    def _letters(self, topic: str, group: str) -> str:
        return self._key("stream-dead", topic, group)


def _places(ids: Iterable[str]) -> Iterable[str]:
    """Those that can be the place of an entry; others are of no entry."""
    for one in ids:
        try:
            if order(one) != (0, 0):
                yield one
        except InvalidTopic:
            continue


def _no_group(error: ResponseError) -> bool:
    return str(error).startswith(("NOGROUP", "UNBLOCKED"))


def _delivery(topic: str, place: bytes, fields: dict[bytes, bytes], *, attempt: int, again: bool) -> Delivery:
    position = place.decode()
    return Delivery(
        topic=topic,
        position=fields[POSITION].decode() if again else position,
        receipt=AGAIN + position if again else position,
        message=fields.get(MESSAGE, b""),
        attempt=attempt,
    )


def _letter(topic: str, group: str, place: str, fields: dict[bytes, bytes]) -> DeadLetter:
    return DeadLetter(
        id=place,
        topic=topic,
        group=group,
        position=fields[POSITION].decode(),
        message=fields[MESSAGE],
        attempts=int(fields[ATTEMPTS]),
        reason=fields[REASON].decode(),
        at=datetime.fromtimestamp(order(place)[0] / 1000, UTC),
    )
