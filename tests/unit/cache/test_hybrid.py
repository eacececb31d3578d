"""The hybrid cache: two levels, one flight, and no outage that is felt."""

from __future__ import annotations

import asyncio

import pytest

from tradesense.adapters.memory._state import MemoryState
from tradesense.adapters.memory.cache import MemoryBackplane, MemoryCache
from tradesense.core.cache.models import MAX_VALUE, CacheStats
from tradesense.core.cache.service import HybridCache
from tradesense.core.errors import (
    BackplaneUnavailable,
    CacheUnavailable,
    CacheValueTooLarge,
    InvalidCacheKey,
)
from tradesense.core.testing import ManualClock, eventually

TTL = 60


class Fragile(MemoryCache):
    """A shared store whose server can be away; it counts what it was asked."""

    away = False
    asked = 0

    async def get(self, key):
        self.asked += 1
        self._answer()
        return await super().get(key)

    async def set(self, key, value, ttl):
        self._answer()
        await super().set(key, value, ttl)

    async def delete(self, *keys):
        self._answer()
        return await super().delete(*keys)

    def _answer(self):
        if self.away:
            raise CacheUnavailable


class FragileBackplane(MemoryBackplane):
    away = False

    async def publish(self, topic, payload):
        if self.away:
            raise BackplaneUnavailable
        await super().publish(topic, payload)


@pytest.fixture
def clock():
    return ManualClock()


@pytest.fixture
async def far(clock):
    async with Fragile(MemoryState(), clock=clock) as store:
        yield store


@pytest.fixture
async def backplane():
    async with FragileBackplane(MemoryState()) as plane:
        yield plane


@pytest.fixture
async def processes(clock, far, backplane):
    """Two processes, each with a first level of its own, over one shared store."""
    async with MemoryCache(MemoryState(), clock=clock) as one, MemoryCache(MemoryState(), clock=clock) as two:
        yield tuple(HybridCache(near=near, far=far, backplane=backplane) for near in (one, two))


@pytest.fixture
def cache(processes):
    return processes[0]


async def test_a_value_is_served_from_the_process_until_its_copy_ends(cache, far, clock):
    await cache.set("k", b"v", TTL)
    assert await cache.get("k") == b"v"
    assert far.asked == 0
    clock.advance(1)
    assert await cache.get("k") == b"v"
    assert far.asked == 1
    clock.advance(TTL)
    assert await cache.get("k") is None


async def test_a_value_of_the_shared_store_is_copied(processes, far):
    await processes[0].set("k", b"v", TTL)
    assert await processes[1].get("k") == b"v"
    assert await processes[1].get("k") == b"v"
    assert far.asked == 1


async def test_a_copy_does_not_outlive_a_short_value(cache, clock):
    await cache.set("k", b"v", 0.25)
    clock.advance(0.25)
    assert await cache.get("k") is None


async def test_an_empty_value_is_a_value(cache):
    await cache.set("k", b"", TTL)
    assert await cache.get("k") == b""
    assert await cache.get_or_set("k", pytest.fail, TTL) == b""


async def test_hits_and_misses_are_counted(cache):
    await cache.get("k")
    await cache.set("k", b"v", TTL)
    await cache.get("k")
    await cache.get("k")
    assert cache.stats() == CacheStats(hits=2, misses=1, backend_up=True)


async def test_of_many_callers_one_runs_the_factory(cache):
    gate, runs = asyncio.Event(), []

    async def factory():
        runs.append(1)
        await gate.wait()
        return b"made"

    callers = [asyncio.create_task(cache.get_or_set("k", factory, TTL)) for _ in range(50)]
    await asyncio.sleep(0)
    gate.set()
    assert await asyncio.gather(*callers) == [b"made"] * 50
    assert len(runs) == 1
    assert await cache.get("k") == b"made"


async def test_other_keys_do_not_wait(cache):
    gate = asyncio.Event()

    async def slow():
        await gate.wait()
        return b"slow"

    async def quick():
        return b"quick"

    waiting = asyncio.create_task(cache.get_or_set("slow", slow, TTL))
    assert await cache.get_or_set("quick", quick, TTL) == b"quick"
    assert not waiting.done()
    gate.set()
    assert await waiting == b"slow"


async def test_an_error_of_the_factory_reaches_everyone_and_is_not_kept(cache):
    gate, answers = asyncio.Event(), [LookupError("gone"), b"made"]

    async def factory():
        await gate.wait()
        answer = answers.pop(0)
        if isinstance(answer, Exception):
            raise answer
        return answer

    callers = [asyncio.create_task(cache.get_or_set("k", factory, TTL)) for _ in range(10)]
    await asyncio.sleep(0)
    gate.set()
    ended = await asyncio.gather(*callers, return_exceptions=True)
    assert {type(end) for end in ended} == {LookupError}
    assert await cache.get_or_set("k", factory, TTL) == b"made"


async def test_one_who_gives_up_does_not_stop_the_others(cache):
    gate, runs = asyncio.Event(), []

    async def factory():
        runs.append(1)
        await gate.wait()
        return b"made"

    first = asyncio.create_task(cache.get_or_set("k", factory, TTL))
    second = asyncio.create_task(cache.get_or_set("k", factory, TTL))
    await eventually(lambda: _true(runs), seconds=5)
    first.cancel()
    await asyncio.wait([first])
    gate.set()
    assert await second == b"made"
    assert first.cancelled()
    assert len(runs) == 1


async def test_without_the_shared_store_it_goes_on_in_the_process(cache, far):
    far.away = True

    async def factory():
        return b"made"

    assert await cache.get("k") is None
    await cache.set("k", b"v", TTL)
    assert await cache.get("k") == b"v"
    assert await cache.get_or_set("other", factory, TTL) == b"made"
    assert cache.stats().backend_up is False
    far.away = False
    await cache.get("absent")
    assert cache.stats().backend_up is True


async def test_without_the_backplane_it_goes_on_and_says_so(cache, backplane):
    backplane.away = True
    await cache.set("k", b"v", TTL)
    assert await cache.get("k") == b"v"
    assert cache.stats().backend_up is False


async def test_an_invalidated_key_is_gone_everywhere(processes):
    one, two = processes
    for key in ("a", "b"):
        await one.set(key, b"v", TTL)
        await two.get(key)
    listening = asyncio.create_task(two.listen())
    await asyncio.sleep(0)
    assert await one.invalidate(["a", "b", "absent"]) == 2
    await eventually(lambda: _gone(two, "a", "b"), seconds=5)
    assert await one.get("a") is None
    listening.cancel()
    await asyncio.wait([listening])


async def test_a_replaced_value_is_replaced_in_the_other_process(processes):
    one, two = processes
    await one.set("k", b"old", TTL)
    assert await two.get("k") == b"old"
    listening = asyncio.create_task(two.listen())
    await asyncio.sleep(0)
    await one.set("k", b"new", TTL)

    async def seen():
        """the other process serves the new value"""
        return await two.get("k") == b"new"

    await eventually(seen, seconds=5)
    listening.cancel()
    await asyncio.wait([listening])


async def test_a_lost_notice_costs_no_more_than_the_copys_time(processes, clock):
    one, two = processes
    await one.set("k", b"old", TTL)
    assert await two.get("k") == b"old"
    await one.set("k", b"new", TTL)
    clock.advance(1)
    assert await two.get("k") == b"new"


async def test_a_lost_subscription_is_told(processes, backplane):
    listening = asyncio.create_task(processes[0].listen())
    await asyncio.sleep(0)
    await backplane.__aexit__(None, None, None)
    with pytest.raises(BackplaneUnavailable):
        await listening


@pytest.mark.parametrize("key", ["", "a\n", "x" * 513])
async def test_an_invalid_key_is_refused_before_anything_happens(cache, key):
    for call in (cache.get(key), cache.set(key, b"v", TTL), cache.get_or_set(key, pytest.fail, TTL)):
        with pytest.raises(InvalidCacheKey):
            await call
    await cache.set("kept", b"v", TTL)
    with pytest.raises(InvalidCacheKey):
        await cache.invalidate(["kept", key])
    assert await cache.get("kept") == b"v"


async def test_a_value_that_is_too_large_is_refused(cache):
    with pytest.raises(CacheValueTooLarge):
        await cache.set("k", bytes(MAX_VALUE + 1), TTL)
    assert await cache.get("k") is None


async def _true(value):
    return bool(value)


async def _gone(cache, *keys):
    return not any([await cache.get(key) for key in keys])


async def test_one_whose_look_took_long_does_not_run_the_factory_again(cache, far):
    """The shared store's answer to the second caller was on its way while the first one loaded the value."""
    answer, runs, looks = asyncio.Event(), [], []

    async def slow(key):
        looks.append(key)
        await answer.wait()

    async def factory():
        runs.append(1)
        return b"made"

    look, far.get = far.get, slow
    late = asyncio.create_task(cache.get_or_set("k", factory, TTL))
    await eventually(lambda: _true(looks), seconds=5)
    far.get = look
    early = asyncio.create_task(cache.get_or_set("k", factory, TTL))
    for _ in range(20):
        await asyncio.sleep(0)
    answer.set()
    assert [await late, await early] == [b"made"] * 2
    assert len(runs) == 1
