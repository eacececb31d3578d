"""Topics whose consumers die, and whose server goes away."""

from __future__ import annotations

import asyncio
import subprocess
import sys
import threading
from pathlib import Path

import pytest

from servers import wait_until
from tradesense.adapters.redis._client import RedisClients
from tradesense.adapters.redis._topics import RedisTopics
from tradesense.adapters.redis.settings import RedisSettings
from tradesense.core.acting import as_system
from tradesense.core.cache.cloudevents import CloudEvent, encode
from tradesense.core.cache.consumer import Consumer
from tradesense.core.errors import TopicsUnavailable
from tradesense.core.sensitive import Secret
from tradesense.core.telemetry.service import FanOut

SCRIPT = Path(__file__).parents[1] / "consumer_process.py"


class Process:
    """A consumer in another process, and the ids that it was given."""

    def __init__(self, url, prefix, mode):
        self.ids: list[str] = []
        words = [sys.executable, str(SCRIPT), url, prefix, mode]
        self.process = subprocess.Popen(words, stdout=subprocess.PIPE, text=True)
        self._reader = threading.Thread(target=self._read, daemon=True)
        self._reader.start()

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.kill()

    def kill(self):
        self.process.kill()
        self.process.wait()
        self._reader.join(10)
        self.process.stdout.close()

    def _read(self):
        for line in self.process.stdout:
            self.ids.append(line.strip())


def event(number):
    return encode(CloudEvent(id=str(number), source="/tests", type="org.example.made"))


def clients(url, prefix):
    return RedisClients(RedisSettings(url=Secret(url), prefix=prefix, timeout=2.0))


@pytest.mark.timeout(120)
async def test_F03_what_a_killed_consumer_left_is_handed_to_another_and_nothing_is_lost(valkey_url, unique_prefix):
    prefix = f"{unique_prefix}:"
    async with clients(valkey_url, prefix) as connected, RedisTopics(connected) as topics:
        await topics.join("orders", "billing")
        for number in range(40):
            await topics.publish("orders", event(number), retain=1000)
        with Process(valkey_url, prefix, "hang") as killed:
            await asyncio.to_thread(wait_until, lambda: len(killed.ids) >= 16, "a consumer", seconds=30)
            killed.kill()
        held = set(killed.ids)
        assert len(held) == 16
        assert await topics.pending("orders", "billing") == 16
        with Process(valkey_url, prefix, "work") as other:
            await asyncio.to_thread(wait_until, lambda: len(set(other.ids)) == 40, "the others", seconds=30)
            assert held <= set(other.ids)
        assert sorted(other.ids, key=int) == [str(number) for number in range(40)], "each once by who lived"


@pytest.mark.timeout(120)
async def test_F03_what_kills_every_consumer_is_a_dead_letter_after_five_attempts(valkey_url, unique_prefix):
    attempts: list[int] = []

    async def handle(_):
        attempts.append(1)
        raise ZeroDivisionError

    async with clients(valkey_url, f"{unique_prefix}:") as connected, RedisTopics(connected) as topics:
        await topics.publish("orders", event(7), retain=1000)
        await topics.publish("orders", b"no event", retain=1000)
        consumer = _consumer(topics, handle)
        running = asyncio.create_task(consumer.run())
        try:
            async with asyncio.timeout(60):
                while len((await topics.dead("orders", "billing")).items) < 2:  # noqa: ASYNC110  # it tells nobody
                    await asyncio.sleep(0.05)
        finally:
            running.cancel()
            await asyncio.gather(running, return_exceptions=True)
        unreadable, failed = (await topics.dead("orders", "billing")).items
        assert (unreadable.message, unreadable.attempts, unreadable.reason) == (b"no event", 1, "InvalidEvent")
        assert (failed.message, failed.attempts, failed.reason) == (event(7), 5, "ZeroDivisionError")
        assert len(attempts) == 5
        assert await topics.pending("orders", "billing") == 0


@pytest.mark.timeout(120)
async def test_while_the_server_is_away_publishing_says_so_and_a_consumer_waits(own_valkey):
    handled = asyncio.Queue()

    async def handle(event):
        handled.put_nowait(event.id)

    async with clients(own_valkey.server.url(), "t:") as connected, RedisTopics(connected) as topics:
        running = asyncio.create_task(_consumer(topics, handle).run())
        await topics.publish("orders", event(1), retain=1000)
        assert await asyncio.wait_for(handled.get(), 20) == "1"
        own_valkey.kill()
        with pytest.raises(TopicsUnavailable, match="redis at"):
            await topics.publish("orders", event(2), retain=1000)
        own_valkey.start()
        async with asyncio.timeout(20):
            while True:
                try:
                    await topics.publish("orders", event(3), retain=1000)
                    break
                except TopicsUnavailable:
                    await asyncio.sleep(0.05)
            assert await handled.get() == "3"
        running.cancel()
        await asyncio.gather(running, return_exceptions=True)


async def test_a_consumer_that_is_stopped_gives_back_what_it_holds(valkey_url, unique_prefix, monkeypatch):
    monkeypatch.setattr("tradesense.core.cache.consumer.GRACE", 0.05)
    begun = asyncio.Event()

    async def handle(_):
        begun.set()
        await asyncio.Event().wait()

    async with clients(valkey_url, f"{unique_prefix}:") as connected, RedisTopics(connected) as topics:
        await topics.publish("orders", event(1), retain=1000)
        running = asyncio.create_task(_consumer(topics, handle, retry=600.0).run())
        await asyncio.wait_for(begun.wait(), 20)
        running.cancel()
        await asyncio.gather(running, return_exceptions=True)
        (back,) = await topics.claim("orders", "billing", "other", idle=600, limit=5)
        assert back.attempt == 2


def _consumer(topics, handle, retry=0.3):
    return Consumer(
        groups=topics,
        letters=topics,
        topic="orders",
        group="billing",
        name="here",
        handle=as_system()(handle),
        telemetry=FanOut(metrics=(), traces=()),
        attempts=5,
        retry=retry,
        earliest=True,
    )
