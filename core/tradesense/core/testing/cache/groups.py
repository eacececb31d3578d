"""The part of the contract of ``Topics`` that is about consumer groups and dead letters."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from typing import Any

import pytest
from msgspec.structs import replace

from tradesense.core.cache.models import Delivery, GroupSummary, TopicSummary, order
from tradesense.core.capabilities import Capability
from tradesense.core.errors import InvalidInput
from tradesense.core.testing.base import Contract, Make, every, fresh, opened, requires, together
from tradesense.core.testing.checks import Advance, interrupt, started

RETAIN = 1_000_000
LONG = 60.0
SHORT = 0.4
GROUPS, DEAD, OVERVIEW = Capability.GROUPS, Capability.DEAD_LETTERS, Capability.OVERVIEW
DELIVERY = Delivery(topic="a", position="1-0", receipt="1-0", message=b"x", attempt=5)


class GroupsContract(Contract):
    """What is asked of who declares ``GROUPS`` and ``DEAD_LETTERS``. Topics and groups are new in each test."""

    @pytest.fixture
    def advance(self) -> Advance | None:
        """Override this when the adapter takes a Clock: let seconds pass. Otherwise they really pass."""
        return None

    @requires(GROUPS)
    async def test_each_message_goes_to_one_consumer_of_each_group(self, adapter: Make[Any]) -> None:
        async with opened(adapter()) as topics:
            topic, groups = fresh(), (fresh("g"), fresh("g"))
            for group in groups:
                assert await topics.join(topic, group) is True
            positions = [await topics.publish(topic, b"%d" % number, retain=RETAIN) for number in range(30)]
            for group in groups:
                read = await together(6, lambda n, group=group: topics.read(topic, group, f"c{n}", limit=5))  # type: ignore[misc]  # the group is bound at once
                deliveries = _all(read)
                assert sorted(order(each.position) for each in deliveries) == [order(each) for each in positions]
                assert {each.attempt for each in deliveries} == {1}
                assert {each.topic for each in deliveries} == {topic}
                assert sorted(each.message for each in deliveries) == sorted(b"%d" % number for number in range(30))

    @requires(GROUPS)
    async def test_a_new_group_gets_what_is_published_from_now_on(self, adapter: Make[Any]) -> None:
        async with opened(adapter()) as topics:
            topic, group, all_of_it = fresh(), fresh("g"), fresh("g")
            await topics.publish(topic, b"before", retain=RETAIN)
            assert await topics.join(topic, group) is True
            assert await topics.join(topic, all_of_it, earliest=True) is True
            await topics.publish(topic, b"after", retain=RETAIN)
            assert await topics.join(topic, group, earliest=True) is False, "a group that is there stays where it is"
            assert await self._read(topics, topic, group) == [b"after"]
            assert await self._read(topics, topic, all_of_it) == [b"before", b"after"]

    @requires(GROUPS)
    async def test_a_group_that_nobody_joined_gets_all(self, adapter: Make[Any]) -> None:
        async with opened(adapter()) as topics:
            topic, group = fresh(), fresh("g")
            await topics.publish(topic, b"x", retain=RETAIN)
            assert await topics.pending(topic, group) == 0
            assert list(await topics.claim(topic, group, "c", idle=0, limit=5)) == []
            assert await topics.acknowledge(topic, group, ["1-0"]) == 0
            await topics.leave(topic, group, "c")
            assert await self._read(topics, topic, group) == [b"x"]

    @requires(GROUPS)
    async def test_who_reads_is_woken_by_a_message(self, adapter: Make[Any]) -> None:
        async with opened(adapter()) as topics:
            topic, group = fresh(), fresh("g")
            await topics.join(topic, group)
            assert list(await topics.read(topic, group, "c", limit=5, wait=0.05)) == []
            async with started(topics.read(topic, group, "c", limit=5, wait=self.patience * 6)) as reading:
                await asyncio.sleep(0.05)  # it may not have begun to wait, which makes the test no less true
                await topics.publish(topic, b"x", retain=RETAIN)
                async with asyncio.timeout(self.patience):
                    assert [each.message for each in await reading] == [b"x"]

    @requires(GROUPS)
    async def test_what_is_not_acknowledged_is_claimed_after_a_while(
        self, adapter: Make[Any], advance: Advance | None
    ) -> None:
        async with opened(adapter()) as topics:
            topic, group = await self._held(topics, 2)
            assert list(await topics.read(topic, group, "other", limit=5)) == [], "it is in other hands"
            assert list(await topics.claim(topic, group, "other", idle=LONG, limit=5)) == [], "it was just handed out"
            for attempt in (2, 3, 4):
                await self._pass(advance)
                claimed = await topics.claim(topic, group, f"c{attempt}", idle=SHORT, limit=5)
                assert [(each.message, each.attempt) for each in claimed] == [(b"0", attempt), (b"1", attempt)]
                assert list(await topics.claim(topic, group, "late", idle=SHORT, limit=5)) == [], "it was just claimed"

    @requires(GROUPS)
    async def test_what_is_acknowledged_never_comes_again(self, adapter: Make[Any], advance: Advance | None) -> None:
        async with opened(adapter()) as topics:
            topic, group = fresh(), fresh("g")
            await topics.join(topic, group)
            for number in range(3):
                await topics.publish(topic, b"%d" % number, retain=RETAIN)
            first, second, third = await topics.read(topic, group, "c", limit=3)
            assert await topics.pending(topic, group) == 3
            assert await topics.acknowledge(topic, group, [first.receipt, third.receipt, "1-1", "no receipt"]) == 2
            assert await topics.acknowledge(topic, group, [first.receipt]) == 0
            assert await topics.pending(topic, group) == 1
            await self._pass(advance)
            claimed = await topics.claim(topic, group, "c", idle=SHORT, limit=5)
            assert [each.position for each in claimed] == [second.position]
            assert await topics.acknowledge(topic, group, [claimed[0].receipt]) == 1, "whoever has it now"
            assert await topics.pending(topic, group) == 0

    @requires(GROUPS)
    async def test_no_message_is_claimed_by_two(self, adapter: Make[Any], advance: Advance | None) -> None:
        async with opened(adapter()) as topics:
            topic, group = await self._held(topics, 30)
            idle, now = SHORT, asyncio.get_running_loop().time
            while True:
                await self._pass(advance, idle)
                asked = now()
                claimed = await together(
                    8,
                    lambda n, idle=idle: topics.claim(topic, group, f"c{n}", idle=idle, limit=7),  # type: ignore[misc]  # the time is bound at once
                )
                if advance is not None or now() - asked < idle:
                    break
                idle *= 2  # on so slow a machine the last may have found idle what the first had claimed
            receipts = [each.receipt for each in _all(claimed)]
            assert len(receipts) == len(set(receipts)), "two claimed one message"
            assert all(len(each) <= 7 for each in claimed if not isinstance(each, BaseException))
            assert len(receipts) == 30

    @requires(GROUPS)
    async def test_what_a_consumer_leaves_is_claimed_at_once(self, adapter: Make[Any]) -> None:
        async with opened(adapter()) as topics:
            topic, group = await self._held(topics, 2, consumer="leaves")
            await topics.publish(topic, b"2", retain=RETAIN)
            (kept,) = await topics.read(topic, group, "stays", limit=5)
            await topics.leave(topic, group, "leaves")
            claimed = await topics.claim(topic, group, "takes", idle=LONG, limit=5)
            assert [(each.message, each.attempt) for each in claimed] == [(b"0", 2), (b"1", 2)]
            assert kept.message == b"2"
            assert await topics.pending(topic, group) == 3

    @requires(GROUPS)
    async def test_what_is_no_longer_retained_is_handed_out_to_nobody(
        self, adapter: Make[Any], advance: Advance | None
    ) -> None:
        async with opened(adapter()) as topics:
            topic, group = await self._held(topics, 1)
            for _ in range(1200):
                await topics.publish(topic, b"x", retain=50)
            await self._pass(advance)
            assert list(await topics.claim(topic, group, "c", idle=SHORT, limit=5)) == []

    @requires(GROUPS)
    async def test_a_cancelled_consumer_leaves_the_group_usable(
        self, adapter: Make[Any], advance: Advance | None
    ) -> None:
        async with opened(adapter()) as topics:
            topic, group = fresh(), fresh("g")
            await topics.join(topic, group)
            await interrupt(lambda: topics.read(topic, group, "c", limit=5, wait=5))
            position = await topics.publish(topic, b"x", retain=RETAIN)
            # One that was cancelled may have been given it, and then it is claimed.
            found = list(await topics.read(topic, group, "d", limit=5, wait=0.2))
            await self._pass(advance)
            found += await topics.claim(topic, group, "d", idle=SHORT, limit=5)
            assert {each.position for each in found} == {position}

    @requires(GROUPS, DEAD)
    async def test_what_is_buried_is_kept_aside(self, adapter: Make[Any], advance: Advance | None) -> None:
        async with opened(adapter()) as topics:
            topic, group = await self._held(topics, 2)
            other = fresh("g")
            await topics.join(topic, other, earliest=True)
            await self._pass(advance)
            first, second = await topics.claim(topic, group, "c", idle=SHORT, limit=5)
            assert await topics.bury(group, first, "ZeroDivisionError") is True
            assert await topics.bury(group, first, "again") is False, "it is no longer in anybody's hands"
            assert await topics.acknowledge(topic, group, [second.receipt]) == 1
            assert await topics.bury(group, second, "too late") is False
            assert await topics.pending(topic, group) == 0
            (letter,) = (await topics.dead(topic, group)).items
            assert (letter.topic, letter.group, letter.position) == (topic, group, first.position)
            assert (letter.message, letter.attempts, letter.reason) == (b"0", 2, "ZeroDivisionError")
            assert letter.at.utcoffset() is not None
            assert (await topics.dead(topic, other)).items == ()
            assert await self._read(topics, topic, other) == [b"0", b"1"], "other groups have it still"

    @requires(GROUPS, DEAD)
    async def test_dead_letters_are_listed_in_pages_oldest_first(self, adapter: Make[Any]) -> None:
        async with opened(adapter()) as topics:
            topic, group = await self._buried(topics, 7)
            letters = await every(lambda cursor: topics.dead(topic, group, cursor=cursor, limit=3))
            assert [letter.message for letter in letters] == [b"%d" % number for number in range(7)]

    @requires(GROUPS, DEAD)
    @pytest.mark.parametrize("cursor", ["x", "-1", "\u0661", "\u0661-\u0661", "9" * 5000, f"{2**64}-0", f"1-{2**64}"])
    async def test_a_cursor_that_no_list_gave_out_is_refused(self, adapter: Make[Any], cursor: str) -> None:
        async with opened(adapter()) as topics:
            topic, group = await self._buried(topics, 1)
            with pytest.raises(InvalidInput):
                await topics.dead(topic, group, cursor=cursor)
            assert await topics.replay(topic, group, [cursor]) == 0
            assert await topics.discard(topic, group, [cursor]) == 0
            assert await topics.acknowledge(topic, group, [cursor]) == 0

    @requires(GROUPS, DEAD)
    async def test_what_is_replayed_comes_to_its_group_alone(self, adapter: Make[Any], advance: Advance | None) -> None:
        async with opened(adapter()) as topics:
            topic, group = await self._buried(topics, 3)
            other = fresh("g")
            await topics.join(topic, other)
            letters = (await topics.dead(topic, group)).items
            assert await topics.replay(topic, group, [letters[1].id, letters[1].id, "1-1", "none"]) == 1
            assert [letter.id for letter in (await topics.dead(topic, group)).items] == [letters[0].id, letters[2].id]
            assert list(await topics.read(topic, other, "c", limit=5)) == []
            (back,) = await topics.read(topic, group, "c", limit=5, wait=self.patience)
            assert (back.message, back.position, back.attempt) == (b"1", letters[1].position, 1)
            await self._pass(advance)
            (back,) = await topics.claim(topic, group, "d", idle=SHORT, limit=5)
            assert (back.message, back.attempt) == (b"1", 2)
            assert await topics.pending(topic, group) == 1
            assert await topics.bury(group, replace(back, attempt=9), "again") is True
            assert [letter.attempts for letter in (await topics.dead(topic, group)).items] == [1, 1, 9]
            await topics.replay(topic, group, [(await topics.dead(topic, group)).items[-1].id])
            (back,) = await topics.read(topic, group, "c", limit=5, wait=self.patience)
            assert await topics.acknowledge(topic, group, [back.receipt]) == 1
            assert await topics.pending(topic, group) == 0
            assert (await topics.after(topic, "", 10)).entries[-1].message == b"2", "the topic itself is as it was"

    @requires(GROUPS, DEAD)
    async def test_what_is_discarded_is_gone(self, adapter: Make[Any]) -> None:
        async with opened(adapter()) as topics:
            topic, group = await self._buried(topics, 3)
            first, second, third = (await topics.dead(topic, group)).items
            assert await topics.discard(topic, group, [first.id, third.id, "1-1", "none"]) == 2
            assert (await topics.dead(topic, group)).items == (second,)
            assert await topics.replay(topic, group, [first.id]) == 0

    @requires(GROUPS, DEAD, OVERVIEW)
    async def test_the_overview_tells_what_every_topic_holds(self, adapter: Make[Any]) -> None:
        async with opened(adapter()) as topics:
            topic, group = await self._held(topics, 2)
            first, second = (each.position for each in (await topics.after(topic, "", 10)).entries)
            other, plain = fresh("g"), fresh()
            await topics.join(topic, other)
            last = await topics.publish(plain, b"x", retain=RETAIN)
            held = await topics.claim(topic, group, "c", idle=0, limit=1)
            assert await topics.bury(group, held[0], "why") is True
            groups = [GroupSummary(group=group, pending=1, dead=1), GroupSummary(group=other, pending=0, dead=0)]
            expected = [
                TopicSummary(
                    topic=topic,
                    messages=2,
                    first=first,
                    last=second,
                    groups=tuple(sorted(groups, key=lambda one: one.group)),
                ),
                TopicSummary(topic=plain, messages=1, first=last, last=last),
            ]
            found = [each for each in await topics.overview() if each.topic in {topic, plain}]
            assert found == sorted(expected, key=lambda one: one.topic)

    @requires(GROUPS, DEAD, OVERVIEW)
    async def test_what_is_old_goes_when_asked_and_groups_stay_where_they_are(
        self, adapter: Make[Any], advance: Advance | None
    ) -> None:
        async with opened(adapter()) as topics:
            topic, group = await self._buried(topics, 3)
            assert await topics.expire() == 0
            assert await topics.expire(messages=LONG, letters=LONG) == 0
            await self._pass(advance)
            position = await topics.publish(topic, b"new", retain=RETAIN)
            assert await topics.expire(letters=SHORT) == 3
            assert (await topics.dead(topic, group)).items == ()
            assert len((await topics.after(topic, "", 10)).entries) == 4, "messages are another matter"
            assert await topics.expire(messages=SHORT, letters=SHORT) == 3
            assert [each.position for each in (await topics.after(topic, "", 10)).entries] == [position]
            assert await self._read(topics, topic, group) == [b"new"]

    async def _held(self, topics: Any, count: int, consumer: str = "c") -> tuple[str, str]:
        """A topic, and a group of which a consumer holds so many messages."""
        topic, group = fresh(), fresh("g")
        await topics.join(topic, group)
        for number in range(count):
            await topics.publish(topic, b"%d" % number, retain=RETAIN)
        assert len(await topics.read(topic, group, consumer, limit=count)) == count
        return topic, group

    async def _buried(self, topics: Any, count: int) -> tuple[str, str]:
        topic, group = fresh(), fresh("g")
        await topics.join(topic, group)
        for number in range(count):
            await topics.publish(topic, b"%d" % number, retain=RETAIN)
        for delivery in await topics.read(topic, group, "c", limit=count):
            assert await topics.bury(group, delivery, "why") is True
        return topic, group

    async def _read(self, topics: Any, topic: str, group: str) -> list[bytes]:
        return [each.message for each in await topics.read(topic, group, "c", limit=100, wait=self.patience)]

    async def _pass(self, advance: Advance | None, seconds: float = SHORT) -> None:
        """Let a little more than ``seconds`` pass."""
        if advance is None:
            await asyncio.sleep(seconds * 1.25)
        else:
            advance(seconds * 1.25)


def _all(answers: Sequence[Sequence[Delivery] | BaseException]) -> list[Delivery]:
    """Every delivery of several answers; the first error among them is raised."""
    deliveries: list[Delivery] = []
    for answer in answers:
        if isinstance(answer, BaseException):
            raise answer
        deliveries += answer
    return deliveries
