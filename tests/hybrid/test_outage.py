"""A real server is killed, flushed, full or frozen; the cache goes on and comes back by itself."""

from __future__ import annotations

import asyncio
import time

import pytest

from cachekit import Source, over_valkey, until
from tradesense.core.cache import EntryOptions
from tradesense.core.errors import TradeSenseError, Unavailable
from tradesense.core.telemetry.models import Status
from tradesense.core.testing import eventually


async def served(cache, key, value):
    async def seen():
        """the value is served"""
        return await cache.get(key) == value

    await eventually(seen, seconds=10)


async def well(*caches):
    await until(lambda: all(cache.stats().backend_up and not cache.stats().pending for cache in caches), seconds=10)


@pytest.mark.soak
async def test_F05_killed_under_load_nothing_is_raised_and_it_is_back_within_5_seconds(own_valkey, own_pair, soaking):
    outage = 30 if soaking else 3
    one, two = own_pair
    caches = [hybrid.named("load", bytes, options=EntryOptions(ttl=600)) for hybrid in own_pair]
    errors, stop, calls = [], asyncio.Event(), 0

    async def load(number):
        nonlocal calls
        source = Source(b"v")
        while not stop.is_set():
            cache = caches[calls % 2]
            try:
                await cache.get_or_set(f"{number}-{calls % 50}", source)
                await cache.set("k", b"v")
                await cache.remove(f"{number}-{calls % 50}")
            except TradeSenseError as error:
                errors.append(error)
            calls += 1
            await asyncio.sleep(0.002)

    workers = [asyncio.create_task(load(number)) for number in range(20)]
    await until(lambda: calls > 200)
    own_valkey.kill()
    await until(lambda: not one.stats().backend_up)
    assert (await one.health.check()).status is Status.DEGRADED
    before = calls
    await asyncio.sleep(outage)
    assert calls > before + 100
    own_valkey.start()
    began = time.monotonic()
    stop.set()
    await asyncio.gather(*workers)
    assert errors == []
    await well(one, two)
    assert time.monotonic() - began < 5
    assert (await one.health.check()).status is Status.UP


async def test_what_was_changed_during_an_outage_is_told_after_it(own_valkey, own_pair):
    one, two = (hybrid.named("n", bytes, options=EntryOptions(ttl=600)) for hybrid in own_pair)
    await one.set_many({"set": b"old", "removed": b"old"})
    await one.set("tagged", b"old", tags=["red"])
    assert len(await two.get_many(["set", "removed", "tagged"])) == 3
    own_valkey.kill()
    await one.set("set", b"new")
    assert await own_pair[0].invalidate(["n:removed"], tags=["red"]) is None
    assert await one.get_many(["set", "removed", "tagged"]) == {"set": b"new"}
    own_valkey.start()
    await well(*own_pair)
    await served(two, "set", b"new")
    await served(two, "removed", None)
    await served(two, "tagged", None)


async def test_a_flushed_server_costs_one_making(own_valkey, own_pair):
    one, two = (hybrid.named("n", bytes, options=EntryOptions(ttl=600)) for hybrid in own_pair)
    source = Source(b"v")
    assert await one.get_or_set("k", source) == b"v"
    own_valkey.server.command("FLUSHALL")
    assert await two.get_or_set("k", source) == b"v"
    await served(one, "k", b"v")
    assert source.runs == 2


async def test_a_full_server_serves_nothing_that_was_replaced(own_valkey, own_pair):
    one, two = (hybrid.named("n", bytes, options=EntryOptions(ttl=600)) for hybrid in own_pair)
    await one.set("k", b"old")
    assert await two.get("k") == b"old"
    own_valkey.server.command("CONFIG SET maxmemory-policy noeviction")
    own_valkey.server.command("CONFIG SET maxmemory 1")
    await one.set("k", b"new")
    assert await one.get("k") == b"new"
    await until(lambda: not own_pair[0].stats().backend_up)
    await served(two, "k", None)
    assert await one.get("k") == b"new"
    own_valkey.server.command("CONFIG SET maxmemory 0")
    await well(*own_pair)
    await served(two, "k", b"new")


async def test_a_frozen_server_is_waited_for_once(own_valkey, own_pair):
    cache = own_pair[0].named("n", bytes, options=EntryOptions(ttl=600))
    await cache.set("k", b"v")
    own_valkey.pause()
    try:
        began = time.monotonic()
        for number in range(200):
            assert await cache.get_or_set(str(number), Source(b"v")) == b"v"
        assert time.monotonic() - began < 60
        assert await cache.get("k") == b"v"
    finally:
        own_valkey.resume()
    await well(*own_pair)


async def test_a_wrong_password_is_told_at_the_start(own_valkey, unique_prefix):
    own_valkey.server.command("CONFIG SET requirepass right")
    with pytest.raises(Unavailable, match="password"):
        async with over_valkey(f"redis://:wrong@{own_valkey.server.host}:{own_valkey.server.port}/0", unique_prefix):
            pass
