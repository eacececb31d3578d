"""The contract of ``Topics``: logs that many read."""

from __future__ import annotations

import asyncio
from typing import Any, ClassVar

import pytest

from tradesense.core.cache.models import MAX_MESSAGE, Entry, order
from tradesense.core.cache.ports import DeadLetters, TopicGroups, TopicOverview, Topics
from tradesense.core.capabilities import Capability
from tradesense.core.errors import TopicsUnavailable
from tradesense.core.testing.base import Make, fresh, opened, requires, together
from tradesense.core.testing.cache.groups import DELIVERY, GroupsContract
from tradesense.core.testing.checks import Calls, interrupt, refuse_when_closed, refuse_when_unreachable, started

RETAIN = 1_000_000
CALLS: Calls = {
    "publish": lambda topics: topics.publish("a", b"x", retain=RETAIN),
    "after": lambda topics: topics.after("a", "", 10),
    "last": lambda topics: topics.last("a"),
    "follow": lambda topics: topics.follow({"a": ""}, 0),
}
GROUP_CALLS: Calls = {
    "join": lambda topics: topics.join("a", "g"),
    "read": lambda topics: topics.read("a", "g", "c", limit=1),
    "claim": lambda topics: topics.claim("a", "g", "c", idle=1, limit=1),
    "acknowledge": lambda topics: topics.acknowledge("a", "g", ["1-0"]),
    "leave": lambda topics: topics.leave("a", "g", "c"),
    "pending": lambda topics: topics.pending("a", "g"),
    "bury": lambda topics: topics.bury("g", DELIVERY, "why"),
    "dead": lambda topics: topics.dead("a", "g"),
    "replay": lambda topics: topics.replay("a", "g", ["1-0"]),
    "discard": lambda topics: topics.discard("a", "g", ["1-0"]),
}
OVERVIEW_CALLS: Calls = {
    "overview": lambda topics: topics.overview(),
    "expire": lambda topics: topics.expire(messages=60, letters=60),
}
FAR_BEYOND = "99999999999999-0"


class TopicsContract(GroupsContract):
    """What every :class:`Topics` must do, with its groups and dead letters where it declares them."""

    port = Topics
    extensions: ClassVar = {
        Capability.GROUPS: TopicGroups,
        Capability.DEAD_LETTERS: DeadLetters,
        Capability.OVERVIEW: TopicOverview,
    }

    @pytest.fixture
    def unreachable(self) -> Make[Topics] | None:
        """Override this where there is a server: like ``adapter``, with nothing answering at the other end."""
        return None

    @pytest.mark.parametrize(
        "message", [b"", b"\x00\xff\r\n", bytes(range(256)) * 256], ids=["empty", "any", "largest"]
    )
    async def test_any_message_comes_back_as_it_was(self, adapter: Make[Topics], message: bytes) -> None:
        assert len(message) <= MAX_MESSAGE
        async with opened(adapter()) as topics:
            topic = fresh()
            position = await topics.publish(topic, message, retain=RETAIN)
            expected = Entry(topic=topic, position=position, message=message)
            assert (await topics.after(topic, "", 10)).entries == (expected,)
            assert list(await topics.follow({topic: ""}, 0)) == [expected]

    async def test_messages_stand_in_the_order_in_which_they_were_published(self, adapter: Make[Topics]) -> None:
        async with opened(adapter()) as topics:
            topic = fresh()
            positions = [await topics.publish(topic, b"%d" % number, retain=RETAIN) for number in range(200)]
            assert [order(position) for position in positions] == sorted({order(position) for position in positions})
            for entries in ((await topics.after(topic, "", 1000)).entries, await topics.follow({topic: ""}, 0)):
                assert [entry.message for entry in entries] == [b"%d" % number for number in range(200)]
                assert [entry.position for entry in entries] == positions

    async def test_messages_of_many_publishers_all_stand_there(self, adapter: Make[Topics]) -> None:
        async with opened(adapter()) as topics:
            topic = fresh()
            positions = await together(100, lambda number: topics.publish(topic, b"%d" % number, retain=RETAIN))
            entries = (await topics.after(topic, "", 1000)).entries
            assert {entry.position: entry.message for entry in entries} == {
                position: b"%d" % number for number, position in enumerate(positions)
            }

    async def test_topics_are_kept_apart(self, adapter: Make[Topics]) -> None:
        async with opened(adapter()) as topics:
            topic = fresh()
            for other in (f"{topic}.x", f"{topic}-x", f"x.{topic}", topic[:-1]):
                await topics.publish(other, b"for others", retain=RETAIN)
            assert await topics.last(topic) == ""
            assert (await topics.after(topic, "", 10)).entries == ()
            assert list(await topics.follow({topic: ""}, 0)) == []

    async def test_one_goes_on_from_where_one_stopped(self, adapter: Make[Topics]) -> None:
        async with opened(adapter()) as topics:
            topic = fresh()
            positions = [await topics.publish(topic, b"%d" % number, retain=RETAIN) for number in range(10)]
            read: list[bytes] = []
            position = ""
            for _ in range(4):
                entries = list((await topics.after(topic, position, 3)).entries)
                assert len(entries) <= 3
                read += [entry.message for entry in entries]
                position = entries[-1].position
            assert read == [b"%d" % number for number in range(10)]
            history = await topics.after(topic, positions[6], 100)
            assert [entry.position for entry in history.entries] == positions[7:]
            assert history.gap is False
            assert [entry.position for entry in await topics.follow({topic: positions[8]}, 0)] == positions[9:]

    async def test_last_is_the_position_of_the_newest(self, adapter: Make[Topics]) -> None:
        async with opened(adapter()) as topics:
            topic = fresh()
            assert await topics.last(topic) == ""
            for _ in range(3):
                position = await topics.publish(topic, b"x", retain=RETAIN)
                assert await topics.last(topic) == position
                assert (await topics.after(topic, position, 10)).entries == ()

    async def test_reading_takes_nothing_away(self, adapter: Make[Topics]) -> None:
        async with opened(adapter()) as topics:
            topic = fresh()
            await topics.publish(topic, b"x", retain=RETAIN)
            for _ in range(3):
                assert [entry.message for entry in await topics.follow({topic: ""}, 0)] == [b"x"]

    async def test_who_follows_is_woken_by_the_first_message(self, adapter: Make[Topics]) -> None:
        async with opened(adapter()) as topics:
            one, two = fresh(), fresh()
            await topics.publish(one, b"old", retain=RETAIN)
            positions = {one: await topics.last(one), two: ""}
            async with started(topics.follow(positions, self.patience * 6)) as following:
                await asyncio.sleep(0.05)  # it may not have begun to wait, which makes the test no less true
                position = await topics.publish(two, b"new", retain=RETAIN)
                async with asyncio.timeout(self.patience):
                    assert list(await following) == [Entry(topic=two, position=position, message=b"new")]

    async def test_who_follows_in_vain_is_told_nothing(self, adapter: Make[Topics]) -> None:
        async with opened(adapter()) as topics:
            topic = fresh()
            async with asyncio.timeout(self.patience):
                assert list(await topics.follow({topic: ""}, 0.05)) == []
                assert list(await topics.follow({}, 0)) == []

    async def test_several_topics_are_followed_at_once(self, adapter: Make[Topics]) -> None:
        async with opened(adapter()) as topics:
            names = [fresh() for _ in range(5)]
            for number, name in enumerate(names):
                await topics.publish(name, b"%d" % number, retain=RETAIN)
            found = await topics.follow(dict.fromkeys(names[1:], ""), 0)
            assert {(entry.topic, entry.message) for entry in found} == {
                (name, b"%d" % number) for number, name in enumerate(names) if number
            }

    async def test_the_newest_are_retained(self, adapter: Make[Topics]) -> None:
        async with opened(adapter()) as topics:
            topic = fresh()
            positions = [await topics.publish(topic, b"%d" % number, retain=100) for number in range(1500)]
            kept = (await topics.after(topic, "", 2000)).entries
            assert [entry.position for entry in kept] == positions[-len(kept) :]
            assert 100 <= len(kept) <= 800, "of older ones a few hundred at most"
            lost = await topics.after(topic, positions[3], 2000)
            assert (lost.gap, lost.entries) == (True, kept), "who reads on is told that something is gone"
            assert (await topics.after(topic, positions[-50], 2000)).gap is False
            assert (await topics.after(topic, "", 2000)).gap is False

    async def test_a_position_that_the_topic_never_reached_is_a_gap(self, adapter: Make[Topics]) -> None:
        """The server has lost its memory, and its clock was set back."""
        async with opened(adapter()) as topics:
            topic = fresh()
            assert (await topics.after(topic, FAR_BEYOND, 10)).gap is True
            await topics.publish(topic, b"x", retain=RETAIN)
            history = await topics.after(topic, FAR_BEYOND, 10)
            assert ([entry.message for entry in history.entries], history.gap) == ([b"x"], True)

    async def test_a_cancelled_call_leaves_it_usable(self, adapter: Make[Topics]) -> None:
        async with opened(adapter()) as topics:
            topic = fresh()
            await interrupt(lambda: topics.publish(topic, b"cancelled", retain=RETAIN))
            last = await topics.last(topic)
            await interrupt(lambda: topics.follow({topic: last}, 5))
            position = await topics.publish(topic, b"done", retain=RETAIN)
            found = await topics.follow({topic: last}, self.patience)
            assert Entry(topic=topic, position=position, message=b"done") in found

    async def test_a_closed_adapter_says_so(self, adapter: Make[Any]) -> None:
        await refuse_when_closed(adapter(), self._calls())

    async def test_an_unreachable_server_is_unavailable(self, unreachable: Make[Any] | None) -> None:
        await refuse_when_unreachable(unreachable, TopicsUnavailable, self._calls())

    @requires(Capability.SHARED)
    async def test_two_adapters_share_their_topics(self, adapter: Make[Topics]) -> None:
        async with opened(adapter()) as one, opened(adapter()) as two:
            topic = fresh()
            async with started(two.follow({topic: ""}, self.patience)) as following:
                position = await one.publish(topic, b"x", retain=RETAIN)
                assert [entry.position for entry in await following] == [position]
            assert await two.last(topic) == position

    def _calls(self) -> Calls:
        calls = dict(CALLS)
        if Capability.GROUPS in self.capabilities:
            calls |= GROUP_CALLS
        if Capability.OVERVIEW in self.capabilities:
            calls |= OVERVIEW_CALLS
        return calls
