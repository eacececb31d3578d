"""One consumer of a group: what a handler does to its own event happens to no other."""

from __future__ import annotations

import asyncio
from collections import Counter
from contextlib import asynccontextmanager

import pytest

from tradesense.adapters.memory._state import MemoryState
from tradesense.adapters.memory._topics import MemoryTopics
from tradesense.adapters.system.ambient import SystemClock
from tradesense.core.acting import as_system
from tradesense.core.cache.cloudevents import CloudEvent, encode
from tradesense.core.cache.consumer import AT_ONCE, Consumer
from tradesense.core.telemetry.service import FanOut

SECONDS = 10.0


@pytest.fixture
async def topics():
    async with MemoryTopics(MemoryState(), clock=SystemClock()) as topics:
        yield topics


@asynccontextmanager
async def consuming(topics, handle, *, retry=60.0):
    consumer = Consumer(
        groups=topics,
        letters=topics,
        topic="orders",
        group="billing",
        name="here",
        handle=as_system()(handle),
        telemetry=FanOut(metrics=(), traces=()),
        attempts=3,
        retry=retry,
        earliest=True,
    )
    running = asyncio.create_task(consumer.run())
    try:
        yield running
    finally:
        running.cancel()
        await asyncio.gather(running, return_exceptions=True)


async def publish(topics, *numbers):
    for number in numbers:
        event = CloudEvent(id=str(number), source="/tests", type="org.example.made")
        await topics.publish("orders", encode(event), retain=1000)


async def test_a_handler_that_awaits_what_was_cancelled_has_failed_and_no_more(topics):
    seen, last = [], asyncio.Event()

    async def handle(event):
        seen.append(event.id)
        if event.id == "5":
            last.set()
        if event.id == "2":
            other = asyncio.ensure_future(asyncio.Event().wait())
            other.cancel()
            await other

    async with consuming(topics, handle, retry=0.2) as running:
        await publish(topics, 1, 2, 3, 4, 5)
        async with asyncio.timeout(SECONDS):
            await last.wait()
            while not (letters := (await topics.dead("orders", "billing")).items):  # noqa: ASYNC110  # it tells nobody
                await asyncio.sleep(0.01)
        assert not running.done()
    assert Counter(seen) == Counter({"1": 1, "2": 3, "3": 1, "4": 1, "5": 1})
    assert [(letter.attempts, letter.reason) for letter in letters] == [(3, "CancelledError")]


async def test_a_slow_event_holds_up_no_other(topics):
    done, enough, free = [], asyncio.Event(), asyncio.Event()

    async def handle(event):
        if event.id == "0":
            await free.wait()
        done.append(event.id)
        if len(done) == 3 * AT_ONCE:
            enough.set()

    async with consuming(topics, handle):
        await publish(topics, *range(3 * AT_ONCE + 1))
        async with asyncio.timeout(SECONDS):
            await enough.wait()
        assert "0" not in done
        free.set()
        async with asyncio.timeout(SECONDS):
            while await topics.pending("orders", "billing"):  # noqa: ASYNC110  # it tells nobody
                await asyncio.sleep(0.01)
    assert Counter(done) == Counter(str(number) for number in range(3 * AT_ONCE + 1))


async def test_no_more_are_handled_at_once_than_there_are_hands(topics):
    now, most, free = set(), [], asyncio.Event()

    async def handle(event):
        now.add(event.id)
        most.append(len(now))
        await free.wait()
        now.discard(event.id)

    async with consuming(topics, handle):
        await publish(topics, *range(2 * AT_ONCE))
        async with asyncio.timeout(SECONDS):
            while len(now) < AT_ONCE:  # noqa: ASYNC110  # it tells nobody
                await asyncio.sleep(0.01)
        assert await topics.pending("orders", "billing") == AT_ONCE, "others could not be given what waits"
        free.set()
        async with asyncio.timeout(SECONDS):
            while len(most) < 2 * AT_ONCE:  # noqa: ASYNC110  # as above
                await asyncio.sleep(0.01)
    assert max(most) == AT_ONCE
