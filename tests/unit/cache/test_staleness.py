"""Stale values, time-outs, renewal, sliding ends, jitter, and what a factory may say of its value."""

from __future__ import annotations

import asyncio

import pytest

from cachekit import Ahead, Source, running, until
from tradesense.core.cache.models import MAX_VALUE
from tradesense.core.cache.options import EntryOptions
from tradesense.core.errors import CacheFactoryTimedOut

NEVER = 3600
STALE = EntryOptions(ttl=10, fail_safe=100, throttle=5)


async def test_a_stale_value_covers_a_failure_for_a_while_and_the_source_is_left_alone(cache, hybrid, world):
    source = Source(b"old")
    await cache.get_or_set("k", source, options=STALE)
    world.clock.advance(10)
    source.value = ConnectionError("down")
    assert await cache.get("k") is None
    for _ in range(3):
        assert await cache.get_or_set("k", source, options=STALE) == b"old"
    assert source.runs == 2
    assert hybrid.stats().stale == 1
    world.clock.advance(5)
    source.value = b"new"
    assert await cache.get_or_set("k", source, options=STALE) == b"new"


async def test_a_stale_value_has_a_greatest_age(cache, world):
    await cache.get_or_set("k", Source(b"old"), options=STALE)
    world.clock.advance(110)
    with pytest.raises(ConnectionError):
        await cache.get_or_set("k", Source(ConnectionError("down")), options=STALE)


async def test_the_stale_value_of_the_shared_store_covers_too(cache, other, world):
    await cache.get_or_set("k", Source(b"old"), options=STALE)
    world.clock.advance(50)
    assert await other.get_or_set("k", Source(ConnectionError("down")), options=STALE) == b"old"


async def test_an_expired_entry_is_only_a_cover(cache, other):
    await cache.set("k", b"old", options=STALE)
    await other.get("k")
    await cache.expire("k")
    assert await cache.get("k") is None
    assert await cache.get_or_set("k", Source(ConnectionError("down")), options=STALE) == b"old"
    await cache.set("gone", b"old")
    await cache.expire("gone")
    await cache.expire("absent")
    with pytest.raises(ConnectionError):
        await cache.get_or_set("gone", Source(ConnectionError("down")))


async def test_an_expired_entry_is_expired_in_the_other_process(processes, cache, other):
    async with running(*processes):
        await cache.set("k", b"old", options=STALE)
        assert await other.get("k") == b"old"
        await cache.expire("k")
        await until(lambda: "n:k" not in processes[1]._engine.near.entries)
        assert await other.get("k") is None


async def test_an_invalidated_entry_covers_nothing(cache, hybrid):
    await cache.set("k", b"old", options=STALE, tags=["red"])
    await hybrid.invalidate(tags=["red"])
    with pytest.raises(ConnectionError):
        await cache.get_or_set("k", Source(ConnectionError("down")), options=STALE)


async def test_a_soft_time_out_serves_the_stale_value_and_the_making_goes_on(cache, world):
    options = EntryOptions(ttl=10, fail_safe=100, soft_timeout=0.01, hard_timeout=NEVER)
    source = Source(b"old")
    await cache.get_or_set("k", source, options=options)
    world.clock.advance(10)
    source.value = b"new"
    source.gate.clear()
    assert await cache.get_or_set("k", source, options=options) == b"old"
    assert await cache.get_or_set("k", source, options=options) == b"old"
    source.gate.set()
    await until(lambda: "n:k" not in cache._engine.flights)
    assert await cache.get_or_set("k", source, options=options) == b"new"
    assert source.runs == 2


async def test_a_soft_time_out_without_a_stale_value_is_none(cache):
    options = EntryOptions(soft_timeout=0.01, hard_timeout=NEVER)
    source = Source()
    source.gate.clear()
    caller = asyncio.create_task(cache.get_or_set("k", source, options=options))
    await until(lambda: source.runs)
    done, _ = await asyncio.wait([caller], timeout=0.1)
    assert not done
    source.gate.set()
    assert await caller == b"made"


async def test_a_hard_time_out_is_an_error_and_the_making_goes_on(cache, hybrid):
    options = EntryOptions(hard_timeout=0.01)
    source = Source()
    source.gate.clear()
    callers = [asyncio.create_task(cache.get_or_set("k", source, options=options)) for _ in range(3)]
    ended = await asyncio.gather(*callers, return_exceptions=True)
    assert {type(end) for end in ended} == {CacheFactoryTimedOut}
    with pytest.raises(CacheFactoryTimedOut):
        await cache.get_or_set("k", source, options=options)
    source.gate.set()
    await until(lambda: "n:k" not in hybrid._engine.flights)
    assert await cache.get("k") == b"made"
    assert (source.runs, hybrid.stats().timeouts) == (1, 1)


async def test_a_factory_that_hangs_is_given_up(cache, hybrid):
    ended = asyncio.Event()

    async def hangs(_):
        try:
            await asyncio.Event().wait()
        finally:
            ended.set()

    with pytest.raises(CacheFactoryTimedOut):
        await cache.get_or_set("k", hangs, options=EntryOptions(hard_timeout=0.01, background=0.01))
    await asyncio.wait_for(ended.wait(), 5)
    await until(lambda: "n:k" not in hybrid._engine.flights)
    assert await cache.get_or_set("k", Source()) == b"made"


async def test_a_read_near_the_end_renews_the_value_in_the_background(cache, hybrid, world):
    options = EntryOptions(ttl=10, eager=0.8)
    source = Source(b"old")
    await cache.get_or_set("k", source, options=options)
    world.clock.advance(7.9)
    assert await cache.get_or_set("k", source, options=options) == b"old"
    assert source.runs == 1
    world.clock.advance(0.2)
    source.value = b"new"
    source.gate.clear()
    for _ in range(3):
        assert await cache.get_or_set("k", source, options=options) == b"old"
    source.gate.set()
    await until(lambda: "n:k" not in hybrid._engine.flights)
    assert source.runs == 2
    assert await cache.get("k") == b"new"


async def test_an_eager_renewal_that_fails_is_felt_by_nobody(cache, hybrid, world):
    options = EntryOptions(ttl=10, eager=0.5, throttle=2)
    source = Source(b"old")
    await cache.get_or_set("k", source, options=options)
    world.clock.advance(5)
    source.value = ConnectionError("down")
    assert await cache.get_or_set("k", source, options=options) == b"old"
    await until(lambda: "n:k" not in hybrid._engine.flights)
    assert await cache.get_or_set("k", source, options=options) == b"old"
    assert (source.runs, hybrid.stats().failures) == (2, 1)


async def test_an_eager_renewal_is_left_to_the_process_that_has_begun_it(processes, cache, other, world):
    options = EntryOptions(ttl=10, eager=0.5)
    source = Source(b"old")
    for one in (cache, other):
        await one.get_or_set("k", source, options=options)
    world.clock.advance(5)
    source.gate.clear()
    for one in (cache, other):
        assert await one.get_or_set("k", source, options=options) == b"old"
    await until(lambda: source.runs == 2 and "n:k" not in processes[1]._engine.flights)
    source.gate.set()
    await until(lambda: "n:k" not in processes[0]._engine.flights)
    assert source.runs == 2


async def test_an_unread_sliding_entry_ends_and_a_read_one_goes_on_to_its_ttl(cache, other, world):
    options = EntryOptions(ttl=100, sliding=10)
    for key in ("read", "unread"):
        await cache.set(key, b"v", options=options)
    for _ in range(12):
        world.clock.advance(8)
        assert await other.get("read") == b"v"
    assert await cache.get("unread") is None
    world.clock.advance(8)
    assert await other.get("read") is None


async def test_entries_of_one_moment_end_at_different_ones(cache):
    for number in range(20):
        await cache.set(str(number), b"v", options=EntryOptions(ttl=100, jitter=0.2))
    ends = {entry.fresh_until for entry in cache._engine.near.entries.values()}
    now = cache._engine.now()
    assert len(ends) == 20
    assert all(now + 80 <= end <= now + 100 for end in ends)


async def test_the_factory_says_how_long_its_value_holds_and_what_it_belongs_to(cache, hybrid, world):
    async def factory(refresh):
        assert (refresh.key, refresh.stale, refresh.has_stale) == ("n:k", None, False)
        refresh.ttl = 5
        refresh.tags = ("red",)
        return b"made"

    await cache.get_or_set("k", factory, ttl=60)
    world.clock.advance(4)
    assert await cache.get("k") == b"made"
    await hybrid.invalidate(tags=["red"])
    assert await cache.get("k") is None
    await cache.get_or_set("k", factory, ttl=60)
    world.clock.advance(5)
    assert await cache.get("k") is None


async def test_the_factory_may_say_that_its_value_is_not_to_be_kept(cache):
    async def factory(refresh):
        refresh.keep = False
        return b"made"

    assert await cache.get_or_set("k", factory) == b"made"
    assert await cache.get("k") is None


async def test_a_source_is_asked_whether_its_value_has_changed(cache, other, world):
    asked = []

    async def factory(refresh):
        asked.append((refresh.stale_etag, refresh.stale_modified, refresh.stale))
        if refresh.stale_etag == '"1"':
            return refresh.not_modified()
        refresh.etag, refresh.modified = '"1"', "Tue, 01 Jan 2030 00:00:00 GMT"
        return b"made"

    for one in (cache, other, cache):
        assert await one.get_or_set("k", factory, options=STALE) == b"made"
        world.clock.advance(10)
    assert asked == [("", "", None), *[('"1"', "Tue, 01 Jan 2030 00:00:00 GMT", b"made")] * 2]


async def test_nothing_is_unchanged_that_is_not_there(cache):
    async def factory(refresh):
        return refresh.not_modified()

    with pytest.raises(LookupError):
        await cache.get_or_set("k", factory)


async def test_expiring_brings_back_nothing_that_was_invalidated(processes, cache, other, hybrid):
    async with running(*processes):
        for key, invalidate in {"tag": lambda: hybrid.invalidate(tags=["red"]), "all": hybrid.clear}.items():
            await cache.set(key, b"secret", options=STALE, tags=["red"])
            assert await other.get(key) == b"secret"
            await invalidate()
            await cache.expire(key)
            for one in (cache, other):
                with pytest.raises(ConnectionError):
                    await one.get_or_set(key, Source(ConnectionError("down")), options=STALE)


async def test_a_process_whose_clock_is_ahead_keeps_no_value_alive_in_others(world, other):
    ahead = world.process(clock=Ahead(world.clock, 3600)).named("n", bytes)
    options = EntryOptions(ttl=10, fail_safe=7200)
    await ahead.set("k", b"old", options=options)
    for _ in range(9):
        world.clock.advance(1)
        assert await other.get("k") == b"old"
    late = world.process().named("n", bytes)
    assert await late.get("k") == b"old"
    world.clock.advance(1)
    for one in (other, late, world.process().named("n", bytes)):
        assert await one.get("k") is None
        assert await one.get_or_set("k", Source(ConnectionError("down")), options=options) == b"old"
    world.clock.advance(3600)
    assert await other.get_or_set("k", Source(b"new"), options=options) == b"new"


async def test_a_value_whose_life_differs_by_chance_is_kept_for_exactly_that(world, cache, other):
    options = EntryOptions(ttl=10, fail_safe=1000, jitter=0.5)
    await cache.set("k", b"v", options=options)
    life = cache._engine.near.entries["n:k"].fresh_until - cache._engine.now()
    world.clock.advance(life - 0.001)
    assert await other.get("k") == b"v"
    world.clock.advance(0.002)
    assert await other.get("k") is None


async def test_expiring_while_the_store_is_away_leaves_a_cover(processes, cache, other, world):
    async with running(*processes):
        await cache.set("k", b"old", options=STALE)
        assert await other.get("k") == b"old"
        world.away()
        await cache.expire("k")
        assert await cache.get("k") is None
        assert await cache.get_or_set("k", Source(ConnectionError("down")), options=STALE) == b"old"
        world.away(away=False)
        await until(lambda: not processes[0].stats().pending)
        await until(lambda: "n:k" not in processes[1]._engine.near.entries)
        assert await other.get("k") is None
        assert await other.get_or_set("k", Source(ConnectionError("down")), options=STALE) == b"old"


@pytest.mark.parametrize("value", [object(), b"x" * (MAX_VALUE + 1)], ids=["no form", "too large"])
async def test_a_stale_value_covers_a_new_one_that_cannot_be_kept(hybrid, world, value):
    cache = hybrid.named("any", object)
    await cache.set("k", "old", options=STALE)
    world.clock.advance(10)
    assert await cache.get_or_set("k", Source(value), options=STALE) == "old"
    assert (hybrid.stats().failures, hybrid.stats().stale) == (1, 1)


async def test_reading_many_keeps_sliding_entries_alive(cache, other, world):
    options = EntryOptions(ttl=100, sliding=10)
    await cache.set_many({str(number): b"v" for number in range(20)}, options=options)
    for _ in range(5):
        world.clock.advance(8)
        assert len(await other.get_many([str(number) for number in range(20)])) == 20
