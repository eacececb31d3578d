"""Making a value once, in one process and among several."""

from __future__ import annotations

import asyncio

import pytest

from cachekit import Source, running, until
from tradesense.core.cache import making
from tradesense.core.cache.making import LEASE_SECONDS
from tradesense.core.cache.options import EntryOptions
from tradesense.core.errors import CacheFactoryTimedOut


async def test_of_many_callers_one_runs_the_factory(cache, hybrid):
    source = Source()
    source.gate.clear()
    callers = [asyncio.create_task(cache.get_or_set("k", source)) for _ in range(50)]
    await until(lambda: source.runs)
    source.gate.set()
    assert await asyncio.gather(*callers) == [b"made"] * 50
    assert source.runs == 1
    assert await cache.get("k") == b"made"
    stats = hybrid.stats()
    assert (stats.factories, stats.avoided, stats.misses) == (1, 49, 1)


async def test_of_many_callers_in_two_processes_one_runs_the_factory(processes, cache, other):
    source = Source()
    source.gate.clear()
    async with running(*processes):
        callers = [asyncio.create_task(one.get_or_set("k", source)) for _ in range(20) for one in (cache, other)]
        await until(lambda: source.runs)
        await until(lambda: processes[1]._engine._arrivals)
        source.gate.set()
        assert await asyncio.gather(*callers) == [b"made"] * 40
    assert source.runs == 1


async def test_a_process_that_hears_nothing_finds_the_value_by_looking(cache, other):
    source = Source()
    source.gate.clear()
    callers = [asyncio.create_task(one.get_or_set("k", source)) for one in (cache, other)]
    await until(lambda: source.runs)
    source.gate.set()
    assert await asyncio.gather(*callers) == [b"made"] * 2
    assert source.runs == 1


async def test_the_other_process_tries_when_the_first_one_failed(cache, other):
    failing, source = Source(LookupError("gone")), Source()
    failing.gate.clear()
    first = asyncio.create_task(cache.get_or_set("k", failing))
    await until(lambda: failing.runs)
    second = asyncio.create_task(other.get_or_set("k", source))
    failing.gate.set()
    with pytest.raises(LookupError):
        await first
    assert await second == b"made"


async def test_waiting_for_another_process_ends(cache, other):
    hanging, source = Source(), Source()
    hanging.gate.clear()
    first = asyncio.create_task(cache.get_or_set("k", hanging))
    await until(lambda: hanging.runs)
    with pytest.raises(CacheFactoryTimedOut, match="another process"):
        await other.get_or_set("k", source, options=EntryOptions(hard_timeout=0.05))
    hanging.gate.set()
    await first
    assert await other.get_or_set("k", source, options=EntryOptions(hard_timeout=0.05)) == b"made"
    assert source.runs == 0


async def test_a_process_that_died_is_replaced(other, world):
    assert await world.locks.acquire("cache:n:k", LEASE_SECONDS) is not None
    waiting = asyncio.create_task(other.get_or_set("k", Source()))
    await until(lambda: other._engine._arrivals)
    world.clock.advance(LEASE_SECONDS)
    assert await waiting == b"made"


async def test_however_long_it_takes_one_process_makes_it(cache, other, world, monkeypatch):
    monkeypatch.setattr(making, "LEASE_SECONDS", 0.6)
    source, options = Source(), EntryOptions(hard_timeout=0.05)
    source.gate.clear()
    for _ in range(2):
        with pytest.raises(CacheFactoryTimedOut):
            await cache.get_or_set("k", source, options=options)
    for _ in range(2):
        renewed = world.locks.renewed
        await until(lambda before=renewed: world.locks.renewed > before)
        world.clock.advance(0.4)
        with pytest.raises(CacheFactoryTimedOut, match="another process"):
            await other.get_or_set("k", source, options=options)
    source.gate.set()
    await until(lambda: "n:k" not in cache._engine.flights)
    assert await other.get_or_set("k", source, options=options) == b"made"
    assert source.runs == 1


async def test_what_waits_for_another_process_is_covered_by_a_stale_value(cache, other, world):
    options = EntryOptions(ttl=10, fail_safe=100, hard_timeout=0.05)
    await cache.set("k", b"old", options=options)
    world.clock.advance(11)
    source = Source()
    source.gate.clear()
    for one in (cache, other):
        assert await one.get_or_set("k", source, options=options) == b"old"
    assert source.runs == 1
    source.gate.set()


async def test_without_leases_each_process_makes_its_own(cache, other, world):
    world.locks.away = True
    source = Source()
    assert [await one.get_or_set("k", source, ttl=0.5) for one in (cache, other)] == [b"made"] * 2


async def test_an_entry_may_do_without_a_lease(cache, world):
    world.locks.away = True
    assert await cache.get_or_set("k", Source(), options=EntryOptions(lease=False)) == b"made"


async def test_other_keys_do_not_wait(cache):
    slow = Source()
    slow.gate.clear()
    waiting = asyncio.create_task(cache.get_or_set("slow", slow))
    await until(lambda: slow.runs)
    assert await cache.get_or_set("quick", Source()) == b"made"
    assert not waiting.done()
    slow.gate.set()
    assert await waiting == b"made"


async def test_an_error_of_the_factory_reaches_everyone_and_is_not_kept(cache, hybrid):
    source = Source(LookupError("gone"))
    source.gate.clear()
    callers = [asyncio.create_task(cache.get_or_set("k", source)) for _ in range(10)]
    await until(lambda: source.runs)
    source.gate.set()
    ended = await asyncio.gather(*callers, return_exceptions=True)
    assert {type(end) for end in ended} == {LookupError}
    assert hybrid.stats().failures == 1
    assert await cache.get_or_set("k", Source()) == b"made"


async def test_one_who_gives_up_does_not_stop_the_others(cache):
    source = Source()
    source.gate.clear()
    first, second = (asyncio.create_task(cache.get_or_set("k", source)) for _ in range(2))
    await until(lambda: source.runs)
    first.cancel()
    await asyncio.wait([first])
    source.gate.set()
    assert await second == b"made"
    assert first.cancelled()
    assert source.runs == 1


async def test_when_all_give_up_the_value_is_still_made(cache):
    source = Source()
    source.gate.clear()
    caller = asyncio.create_task(cache.get_or_set("k", source))
    await until(lambda: source.runs)
    caller.cancel()
    await asyncio.wait([caller])
    source.gate.set()
    assert await cache.get_or_set("k", Source(b"second")) == b"made"


async def test_a_factory_that_is_cancelled_from_within_is_told(cache):
    async def factory(_):
        raise asyncio.CancelledError

    with pytest.raises(CacheFactoryTimedOut, match="cancelled"):
        await cache.get_or_set("k", factory)


async def test_closing_ends_what_is_being_made(cache, hybrid):
    source = Source()
    source.gate.clear()
    caller = asyncio.create_task(cache.get_or_set("k", source))
    await until(lambda: source.runs)
    await hybrid.aclose()
    await asyncio.wait([caller])
    assert caller.cancelled()


async def test_none_is_not_kept_unless_it_is_asked_for(cache, world):
    nothing = Source(None)
    assert await cache.get_or_set("k", nothing) is None
    assert await cache.get_or_set("k", nothing) is None
    assert nothing.runs == 2
    negative = EntryOptions(ttl=60, negative_ttl=5)
    assert await cache.get_or_set("k", nothing, options=negative) is None
    assert await cache.get_or_set("k", nothing, options=negative) is None
    assert nothing.runs == 3
    world.clock.advance(5)
    assert await cache.get_or_set("k", Source(), options=negative) == b"made"


async def test_a_negative_answer_is_known_to_the_other_process(cache, other):
    await cache.get_or_set("k", Source(None), options=EntryOptions(negative_ttl=5))
    assert await other.get_or_set("k", pytest.fail) is None


async def test_one_whose_look_took_long_does_not_run_the_factory_again(cache, world):
    """The shared store's answer to the second caller was on its way while the first one loaded the value."""
    answer, source = asyncio.Event(), Source()
    world.far.meanwhile = answer.wait
    late = asyncio.create_task(cache.get_or_set("k", source))
    await until(lambda: world.far.asked)
    world.far.meanwhile = None
    early = asyncio.create_task(cache.get_or_set("k", source))
    for _ in range(20):
        await asyncio.sleep(0)
    answer.set()
    assert await asyncio.gather(late, early) == [b"made"] * 2
    assert source.runs == 1
