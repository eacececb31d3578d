"""One reader, many listeners: nothing twice, nothing missed, nobody held up."""

from __future__ import annotations

import asyncio

import pytest

from tradesense.adapters.memory._state import MemoryState
from tradesense.adapters.memory._topics import MemoryTopics
from tradesense.core.cache.fanout import EventHub
from tradesense.core.cache.listener import format_cursor, parse_cursor
from tradesense.core.errors import InvalidTopic, LimitExceeded, ListenerDropped, TopicsUnavailable
from tradesense.core.telemetry.service import FanOut
from tradesense.core.testing import ManualClock

SECONDS = 10.0
QUIET = FanOut(metrics=(), traces=())


class Shaky(MemoryTopics):
    """Away, broken or slow when it is told to be."""

    away = False
    broken = False
    slow = False
    """Whether it reads what was before only once ``answer`` is set."""
    reads = 0

    def __init__(self, *args, **kwargs):
        super().__init__(*args, **kwargs)
        self.asked, self.answer = asyncio.Event(), asyncio.Event()

    async def follow(self, positions, wait):
        type(self).reads += 1
        if self.broken:
            raise ZeroDivisionError
        if self.away:
            raise TopicsUnavailable
        found = await super().follow(positions, min(wait, 0.05))
        if self.away:
            raise TopicsUnavailable
        return found

    async def after(self, topic, position, limit):
        type(self).reads += 1
        if self.away:
            raise TopicsUnavailable
        if self.slow:
            self.asked.set()
            await self.answer.wait()
        return await super().after(topic, position, limit)


@pytest.fixture
async def topics():
    async with Shaky(MemoryState(), clock=ManualClock()) as topics:
        yield topics


@pytest.fixture
async def hub(topics):
    made = EventHub(topics=topics, telemetry=QUIET, most=50, most_bytes=1000, most_listeners=5, most_per_caller=2)
    yield made
    await made.aclose()


async def publish(topics, topic, *numbers):
    for number in numbers:
        await topics.publish(topic, b"%d" % number, retain=200)


async def taken(listener, count):
    found = []
    for _ in range(count):
        news = await listener.next(SECONDS)
        assert news is not None, found
        found.append("gap" if news.gap else int(news.message))
    return found


async def test_all_listeners_are_told_everything_once_and_in_order(topics, hub):
    async with hub.listen(["a"]) as one, hub.listen(["a", "b"]) as two:
        await publish(topics, "a", *range(20))
        await publish(topics, "b", 100)
        await publish(topics, "c", 200)
        assert await taken(one, 20) == list(range(20))
        assert sorted(await taken(two, 21)) == [*range(20), 100]
        assert await one.next(0.05) is None
        assert await two.next(0.05) is None


async def test_what_was_before_is_not_told_to_who_has_no_cursor(topics, hub):
    await publish(topics, "a", 1)
    async with hub.listen(["a"]) as listener:
        await publish(topics, "a", 2)
        assert await taken(listener, 1) == [2]


async def test_who_comes_back_while_events_go_on_misses_none_and_gets_none_twice(topics, hub):
    async with hub.listen(["a"]) as listener:
        cursor = listener.cursor
        await publish(topics, "a", 0)
        await taken(listener, 1)
        cursor = listener.cursor

        async def go_on():
            for number in range(1, 120):
                await publish(topics, "a", number)
                await asyncio.sleep(0)

        async with asyncio.TaskGroup() as tasks:
            tasks.create_task(go_on())
            for first in range(1, 120, 7):
                expected = list(range(first, min(first + 7, 120)))
                async with hub.listen(["a"], cursor=parse_cursor(cursor)) as again:
                    assert await taken(again, len(expected)) == expected
                    cursor = again.cursor


async def test_what_is_no_longer_retained_is_a_gap(topics, hub):
    await publish(topics, "a", 0)
    position = await topics.last("a")
    await publish(topics, "a", *range(1, 301))
    async with hub.listen(["a"], cursor={"a": position}) as listener:
        assert await taken(listener, 3) == ["gap", 101, 102]
    async with hub.listen(["a"], cursor={"a": "99999999999999-0"}) as listener:
        assert (await taken(listener, 201))[:2] == ["gap", 101]


@pytest.mark.parametrize("begun", [False, True], ids=["empty", "begun"])
async def test_where_one_client_says_that_it_stands_decides_for_no_other(topics, hub, begun):
    if begun:
        await publish(topics, "a", 0)
    async with hub.listen(["a"], cursor={"a": "18446744073709551614-0"}) as odd:
        assert await taken(odd, 1) == ["gap"]
        assert await taken(odd, begun) == [0] * begun
        assert await odd.next(0.05) is None
        async with hub.listen(["a"]) as honest:
            await publish(topics, "a", 1, 2)
            assert await taken(honest, 2) == [1, 2]
            assert await taken(odd, 2) == [1, 2]
    async with hub.listen(["a"]) as late:
        await publish(topics, "a", 3)
        assert await taken(late, 1) == [3]


async def test_who_looked_for_what_it_missed_and_left_leaves_no_old_place_to_others(topics, hub):
    await publish(topics, "a", 0)
    topics.slow = True
    async with hub.listen(["a"], cursor={"a": await topics.last("a")}) as listener:
        looking = asyncio.create_task(listener.next(SECONDS))
        await asyncio.wait_for(topics.asked.wait(), SECONDS)
        looking.cancel()
        await asyncio.gather(looking, return_exceptions=True)
    topics.answer.set()
    await publish(topics, "a", 1)
    await asyncio.sleep(0.1)  # the reader may not have come by, which makes the test no less true
    async with hub.listen(["a"]) as late:
        await publish(topics, "a", 2)
        assert await taken(late, 1) == [2]


async def test_who_is_slow_is_dropped_and_holds_nobody_up(topics, hub):
    async with hub.listen(["a"]) as slow, hub.listen(["a"]) as quick:
        for number in range(60):
            await publish(topics, "a", number)
            assert await taken(quick, 1) == [number]
        await asyncio.wait_for(slow.ended(), SECONDS)
        cursor = slow.cursor
        with pytest.raises(ListenerDropped) as dropped:
            await slow.next(SECONDS)
        assert dropped.value.reason == "slow"
    async with hub.listen(["a"], cursor=parse_cursor(cursor)) as again:
        assert await taken(again, 1) != [59], "it goes on where it stopped"


async def test_bytes_that_wait_are_bounded_too(topics, hub):
    async with hub.listen(["a"]) as slow:
        for _ in range(3):
            await topics.publish("a", b"x" * 400, retain=200)
        await asyncio.wait_for(slow.ended(), SECONDS)


async def test_an_outage_is_made_good_for(topics, hub):
    async with hub.listen(["a"]) as listener:
        await publish(topics, "a", 1)
        assert await taken(listener, 1) == [1]
        topics.away = True
        before = Shaky.reads
        async with asyncio.timeout(SECONDS):
            while Shaky.reads < before + 3:  # noqa: ASYNC110  # the reader sets no event of ours
                await asyncio.sleep(0.01)
        await publish(topics, "a", 2, 3)
        assert await listener.next(0.1) is None
        topics.away = False
        assert await taken(listener, 2) == [2, 3]


async def test_who_comes_back_during_an_outage_waits_for_its_end(topics, hub):
    await publish(topics, "a", 1, 2)
    first = (await topics.after("a", "", 1)).entries[0].position
    topics.away = True
    async with hub.listen(["a"], cursor={"a": first}) as listener:
        assert await listener.next(0.3) is None
        topics.away = False
        assert await taken(listener, 1) == [2]


async def test_places_are_counted_and_given_back(hub):
    async with hub.listen(["a"], caller="x"), hub.listen(["a"], caller="x"):
        with pytest.raises(LimitExceeded):
            async with hub.listen(["a"], caller="x"):
                pass
        async with hub.listen(["a"], caller="y"), hub.listen(["a"]), hub.listen(["a"]):
            with pytest.raises(LimitExceeded):
                async with hub.listen(["a"]):
                    pass
    async with hub.listen(["a"], caller="x"), hub.listen(["a"], caller="x"):
        pass


async def test_closing_ends_every_stream_once_what_waits_is_taken(topics, hub):
    async with hub.listen(["a"]) as listener:
        await publish(topics, "a", 1)
        assert await taken(listener, 1) == [1]
        hub.end("over")
        with pytest.raises(ListenerDropped) as dropped:
            await listener.next(SECONDS)
        assert dropped.value.reason == "closing"
    with pytest.raises(ListenerDropped):
        async with hub.listen(["a"]):
            pass


async def test_a_reader_that_breaks_off_ends_the_streams_and_begins_anew(topics, hub):
    async with hub.listen(["a"]) as listener:
        topics.broken = True
        with pytest.raises(ListenerDropped):
            await listener.next(SECONDS)
    topics.broken = False
    async with hub.listen(["a"]) as listener:
        await publish(topics, "a", 1)
        assert await taken(listener, 1) == [1]


def test_a_cursor_is_what_was_formatted():
    positions = {"orders": "1732-0", "payments.made": ""}
    assert parse_cursor(format_cursor(positions)) == positions
    assert parse_cursor("") == {}


@pytest.mark.parametrize(
    "cursor",
    [
        "a",
        "a=1",
        "a=x-1",
        "A=1-0",
        "a=\u0661-\u0661",
        f"a={2**64}-0",
        f"a=1-{2**64}",
        f"a={2**64 - 1}-{2**64 - 1}",
        ";",
        "=1-0",
        ";".join(f"t{n}=1-0" for n in range(17)),
    ],
)
def test_what_is_no_cursor_is_refused(cursor):
    with pytest.raises(InvalidTopic):
        parse_cursor(cursor)
