"""What the cache promises in numbers, over a real server. One making for 1,000 callers is in `test_processes.py`."""

from __future__ import annotations

import asyncio
import time
from contextlib import AsyncExitStack
from statistics import median

import pytest
from redis.asyncio import Redis

from cachekit import a_world, over_valkey, until
from tradesense.core.cache import EntryOptions
from tradesense.core.cache.near import Near
from tradesense.core.testing import eventually
from tradesense.entrypoints.bench.zipf import popular

SEEN_SECONDS = 0.1
ROUNDS = 20
TTL = 1.0
BACK_SECONDS = 2.0
"""From when on after the server's return the promise holds."""
LONG = EntryOptions(ttl=600)


async def test_a_changed_value_is_seen_by_the_others_within_100_ms(valkey_url, unique_prefix):
    """Beside a bare message over the same server, as both wait for their turn on a busy machine."""
    async with AsyncExitStack() as stack:
        # With so long a life in the process nothing but a notice can bring the change.
        hybrids = [
            await stack.enter_async_context(over_valkey(valkey_url, unique_prefix, near_ttl=60.0)) for _ in range(4)
        ]
        writer, *readers = (hybrid.named("n", int, options=LONG) for hybrid in hybrids)
        redis = await stack.enter_async_context(Redis.from_url(valkey_url))
        listener = await stack.enter_async_context(redis.pubsub(ignore_subscribe_messages=True))
        await listener.subscribe(unique_prefix)
        await writer.set("k", 0)
        ours, bare = [], []
        for number in range(1, ROUNDS + 1):
            for reader in readers:
                assert await reader.get("k") == number - 1
            began = time.perf_counter()
            await redis.publish(unique_prefix, "x")
            while await listener.get_message(timeout=1) is None:
                pass
            bare.append(time.perf_counter() - began)
            await writer.set("k", number)
            began = time.perf_counter()
            await asyncio.gather(*(_served(reader, number) for reader in readers))
            ours.append(time.perf_counter() - began)
    assert median(ours) <= SEEN_SECONDS + 3 * median(bare), (ours, bare)
    assert max(ours) <= SEEN_SECONDS + 10 * max(bare), (ours, bare)


async def _served(reader, number):
    async def seen():
        """the change is seen"""
        return await reader.get("k") == number

    await eventually(seen, seconds=10)


@pytest.mark.soak
async def test_after_an_outage_nobody_serves_what_is_older_than_the_outage_and_its_life(
    own_valkey, unique_prefix, soaking
):
    outage = 10.0 if soaking else 2.0
    url = own_valkey.server.url()
    async with AsyncExitStack() as stack:
        hybrids = [
            await stack.enter_async_context(over_valkey(url, unique_prefix, answer_within=0.5)) for _ in range(3)
        ]
        changed = [hybrid.named("changed", bytes, options=LONG) for hybrid in hybrids]
        made = [hybrid.named("made", float, options=EntryOptions(ttl=TTL, fail_safe=60.0)) for hybrid in hybrids]
        await changed[0].set_many({"replaced": b"old", "removed": b"old"})
        await changed[0].set("tagged", b"old", tags=["red"])
        for cache in changed:
            assert len(await cache.get_many(["replaced", "removed", "tagged"])) == 3
        reading, ages = asyncio.Event(), []
        readers = [asyncio.create_task(_read(cache, reading, ages)) for cache in made]
        await until(lambda: len(ages) > 20)
        own_valkey.kill()
        killed = time.monotonic()
        await changed[0].set("replaced", b"new")
        await changed[1].remove("removed")
        await hybrids[2].invalidate(tags=["red"])
        await asyncio.sleep(max(0.0, outage - (time.monotonic() - killed)))
        own_valkey.start()
        lasted, back = time.monotonic() - killed, time.monotonic()
        await until(lambda: time.monotonic() - back > BACK_SECONDS, seconds=30)
        ages.clear()
        for cache in changed:
            assert await cache.get_many(["replaced", "removed", "tagged"]) == {"replaced": b"new"}
        await until(lambda: len(ages) > 100, seconds=60)
        reading.set()
        await asyncio.gather(*readers)
        assert max(ages) <= lasted + TTL


async def _read(cache, over, ages):
    """Read a value that says when it was made, again and again."""

    async def make(_):
        return time.monotonic()

    while not over.is_set():
        made = await cache.get_or_set("k", make)
        ages.append(time.monotonic() - made)
        await asyncio.sleep(0.01)


async def test_of_a_zipf_load_at_least_85_in_100_are_answered():
    """10,000 keys, each read in proportion to one over its rank, of which the process holds 1,000."""
    load = [str(number) for number in popular(10_000, 200_000, seed=1)]
    async with a_world() as world:
        cache = world.process(near=Near(max_entries=1_000), options=LONG).named("zipf", bytes)

        async def make(_):
            return b"v"

        for key in load:
            await cache.get_or_set(key, make)
        stats = cache._engine.counts
        assert 1 - stats.factories / len(load) >= 0.85
        assert len(cache._engine.near.entries) <= 1_000
