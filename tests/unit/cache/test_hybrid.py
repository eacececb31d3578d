"""The hybrid cache: two levels, tags, notices, and keys."""

from __future__ import annotations

import asyncio

import msgspec
import pytest

from cachekit import running, until
from tradesense.core.cache.models import MAX_VALUE
from tradesense.core.cache.near import Near
from tradesense.core.cache.options import EntryOptions
from tradesense.core.errors import CacheValueTooLarge, InvalidCacheKey, InvalidCacheValue
from tradesense.core.telemetry.instruments import CACHE_BACKEND_UP, CACHE_EVENTS, CACHE_NEAR_ENTRIES

TTL = 60


class User(msgspec.Struct, frozen=True):
    id: int
    name: str


class Basket(msgspec.Struct):
    items: list[str]


async def test_a_value_is_served_from_the_process_until_its_copy_ends(cache, world):
    await cache.set("k", b"v", ttl=TTL)
    assert await cache.get("k") == b"v"
    assert world.far.looked("n:k") == 0
    world.clock.advance(1)
    assert await cache.get("k") == b"v"
    assert world.far.looked("n:k") == 1
    world.clock.advance(TTL)
    assert await cache.get("k") is None


async def test_a_value_of_the_shared_store_is_copied(cache, other, world):
    await cache.set("k", b"v", ttl=TTL)
    assert await other.get("k") == b"v"
    assert await other.get("k") == b"v"
    assert world.far.looked("n:k") == 1


async def test_a_copy_does_not_outlive_a_short_value(cache, other, world):
    await cache.set("k", b"v", ttl=0.25)
    assert await other.get("k") == b"v"
    world.clock.advance(0.25)
    assert await cache.get("k") is None
    assert await other.get("k") is None


async def test_an_empty_value_is_a_value(cache):
    await cache.set("k", b"", ttl=TTL)
    assert await cache.get("k") == b""
    assert await cache.get_or_set("k", pytest.fail) == b""


async def test_hits_and_misses_are_counted(cache, hybrid):
    await cache.get("k")
    await cache.set("k", b"v", ttl=TTL)
    await cache.get("k")
    await cache.get("k")
    stats = hybrid.stats()
    assert (stats.hits, stats.misses, stats.near_entries, stats.backend_up) == (2, 1, 1, True)
    assert stats.near_bytes > 0


async def test_names_keep_their_entries_apart_and_give_one_cache(hybrid):
    one, two = hybrid.named("one", bytes), hybrid.named("two", bytes)
    await one.set("k", b"1")
    assert await two.get("k") is None
    assert hybrid.named("one", bytes) is one
    with pytest.raises(ValueError, match="holds"):
        hybrid.named("one", str)


@pytest.mark.parametrize("name", ["", "A", "a:b", "*", "#", "a" * 65])
async def test_a_name_that_is_none_is_refused(hybrid, name):
    with pytest.raises(ValueError, match="no name"):
        hybrid.named(name, bytes)


async def test_settings_of_a_named_cache_go_before_those_of_the_service(world):
    hybrid = world.process(options=EntryOptions(ttl=1), named={"set": EntryOptions(ttl=2)})
    assert hybrid.named("set", bytes, options=EntryOptions(ttl=3)).options.ttl == 2
    assert hybrid.named("served", bytes, options=EntryOptions(ttl=3)).options.ttl == 3
    assert hybrid.named("plain", bytes).options.ttl == 1


async def test_values_come_back_in_their_type(processes):
    one, two = (process.named("users", User) for process in processes)
    await one.set("7", User(7, "Ann"))
    assert await one.get("7") is await one.get("7")
    assert await two.get("7") == User(7, "Ann")


async def test_a_value_that_can_be_changed_is_every_callers_own(processes):
    one, two = (process.named("baskets", Basket) for process in processes)
    mine = Basket(["a"])
    await one.set("k", mine)
    mine.items.append("b")
    got = await one.get("k")
    assert got == Basket(["a"])
    got.items.append("c")
    assert await one.get("k") == Basket(["a"])
    assert await two.get("k") == Basket(["a"])
    assert (await one.get_or_set("k", pytest.fail)).items == ["a"]
    assert await one.get_many(["k"]) == {"k": Basket(["a"])}


async def test_many_are_read_with_one_question(cache, other, world):
    await cache.set_many({"a": b"1", "b": b"2"}, ttl=TTL)
    assert await other.get_many(["a", "b", "absent"]) == {"a": b"1", "b": b"2"}
    assert [world.far.looked(f"n:{key}") for key in ("a", "b")] == [1, 1]
    assert await other.get_many(["a", "b"]) == {"a": b"1", "b": b"2"}
    assert world.far.looked("n:a") == 1
    await cache.set_many({})
    assert await cache.get_many([]) == {}


async def test_removed_keys_are_gone_everywhere(processes, cache, other):
    async with running(*processes):
        await cache.set_many({"a": b"1", "b": b"2"})
        await other.get_many(["a", "b"])
        assert await cache.remove("a", "b", "absent") == 2
        await until(lambda: "n:a" not in processes[1]._engine.near.entries)
        assert await other.get_many(["a", "b"]) == {}
        assert await cache.get("a") is None


async def test_whole_keys_are_invalidated_over_all_names(processes, cache, other):
    async with running(*processes):
        await cache.set("a", b"1")
        await other.get("a")
        assert await processes[0].invalidate(["n:a", "n:absent"]) == 1
        await until(lambda: "n:a" not in processes[1]._engine.near.entries)


async def test_a_replaced_value_is_replaced_in_the_other_process(processes, cache, other):
    async with running(*processes):
        await cache.set("k", b"old")
        assert await other.get("k") == b"old"
        await cache.set("k", b"new")
        await until(lambda: "n:k" not in processes[1]._engine.near.entries)
        assert await other.get("k") == b"new"
        assert await cache.get("k") == b"new"


async def test_own_notices_are_passed_over(hybrid, cache):
    async with running(hybrid):
        await cache.set("k", b"v")
        await hybrid.named("n", bytes).get("k")
        assert "n:k" in hybrid._engine.near.entries


async def test_a_lost_notice_costs_no_more_than_the_copys_time(cache, other, world):
    await cache.set("k", b"old", ttl=TTL)
    assert await other.get("k") == b"old"
    await cache.set("k", b"new", ttl=TTL)
    assert await other.get("k") == b"old"
    world.clock.advance(1)
    assert await other.get("k") == b"new"


async def test_a_tag_invalidates_whatever_has_it(hybrid, cache):
    await cache.set("a", b"1", tags=["red"])
    await cache.set("b", b"2", tags=["red", "blue"])
    await cache.set("c", b"3", tags=["blue"])
    assert await hybrid.invalidate(tags=["red"]) == 0
    assert await cache.get_many(["a", "b", "c"]) == {"c": b"3"}
    await cache.set("a", b"new", tags=["red"])
    assert await cache.get("a") == b"new"


async def test_a_tag_is_heard_by_other_processes_at_once_and_found_by_those_that_did_not(
    processes, cache, other, world
):
    late = world.process().named("n", bytes)
    async with running(*processes):
        await cache.set("a", b"1", tags=["red"])
        assert await other.get("a") == b"1"
        assert await late.get("a") == b"1"
        await processes[0].invalidate(tags=["red"])
        tags = processes[1]._engine.tags
        await until(lambda: tags.outdated(1.0, ["red"]))
        assert await other.get("a") is None
    assert await late.get("a") == b"1"
    world.clock.advance(1)
    assert await late.get("a") is None


async def test_one_invalidation_costs_the_same_for_any_number_of_entries(hybrid, cache, world):
    await cache.set_many({str(number): b"v" for number in range(500)}, tags=["red"])
    world.far.asked.clear()
    published = world.backplane.published
    await hybrid.invalidate(tags=["red"])
    assert world.backplane.published == published + 1
    assert world.far.asked == ["#:red"]
    assert await cache.get("499") is None


async def test_clear_takes_one_name_or_all(hybrid, cache):
    second = hybrid.named("second", bytes)
    for one in (cache, second):
        await one.set("k", b"v")
    assert await cache.clear()
    assert await cache.get("k") is None
    assert await second.get("k") == b"v"
    assert await hybrid.clear()
    assert await second.get("k") is None
    await second.set("k", b"again")
    assert await second.get("k") == b"again"


async def test_a_value_under_way_when_its_tag_was_invalidated_is_not_kept(hybrid, cache):
    async def factory(_):
        await hybrid.invalidate(tags=["red"])
        return b"old"

    assert await cache.get_or_set("k", factory, tags=["red"]) == b"old"
    assert await cache.get("k") is None


async def test_a_value_under_way_when_its_key_was_removed_is_not_kept(cache, other):
    async def factory(_):
        await cache.remove("k")
        return b"old"

    assert await cache.get_or_set("k", factory) == b"old"
    assert await cache.get("k") is None
    assert await other.get("k") is None


async def test_a_value_under_way_does_not_replace_a_newer_one(cache, other):
    async def factory(_):
        await cache.set("k", b"newer")
        return b"older"

    assert await cache.get_or_set("k", factory) == b"older"
    assert await cache.get("k") == b"newer"
    assert await other.get("k") == b"newer"


async def test_many_values_are_kept_in_parts_and_hold_nobody_up(cache, world):
    turns, told = 0, []
    world.far.written = told.append

    async def others():
        nonlocal turns
        while True:
            turns += 1
            await asyncio.sleep(0)

    values = {str(number): b"x" * 100 for number in range(2_000)}
    beside = asyncio.create_task(others())
    await cache.set_many(values)
    beside.cancel()
    assert (sum(told), max(told)) == (2_000, 512)
    assert turns > 10
    assert await cache.get_many(list(values)) == values
    with pytest.raises(InvalidCacheValue):
        await cache.set_many({**dict.fromkeys(values, b"y"), "last": 1})
    assert await cache.get("0") == b"x" * 100, "one that cannot be kept leaves all as it was"


async def test_a_slow_read_does_not_bring_back_what_was_removed_meanwhile(cache, other, world):
    await cache.set("k", b"v")
    world.far.meanwhile = lambda: other.remove("k")
    await other.get("k")
    world.far.meanwhile = None
    assert await other.get("k") is None


async def test_the_first_level_is_bounded_and_counts(world):
    hybrid = world.process(near=Near(max_entries=10))
    cache = hybrid.named("n", bytes)
    for number in range(50):
        await cache.set(str(number), b"v")
    stats = hybrid.stats()
    assert (stats.near_entries, stats.evictions) == (10, 40)
    assert await cache.get("0") == b"v"


@pytest.mark.parametrize("key", ["", "a\n", "nul\0", "x" * 512, "x" * 10_240])
async def test_an_invalid_key_is_refused_before_anything_happens(cache, hybrid, key):
    calls = [
        cache.get(key),
        cache.set(key, b"v"),
        cache.get_or_set(key, pytest.fail),
        cache.get_many([key]),
        cache.set_many({key: b"v"}),
        cache.remove("kept", key),
        cache.expire(key),
    ]
    await cache.set("kept", b"v")
    for call in calls if key else ():
        with pytest.raises(InvalidCacheKey):
            await call
    for call in calls if not key else ():
        call.close()
    for refused in ({"keys": ["n:kept", f"n:{key}" if key else ""]}, {"keys": ["n:kept"], "tags": [key + "\n"]}):
        with pytest.raises(InvalidCacheKey):
            await hybrid.invalidate(**refused)
    with pytest.raises(InvalidCacheKey):
        await cache.set("k", b"v", tags=[key + "\n"])
    assert await cache.get("kept") == b"v"


async def test_a_value_that_is_too_large_is_refused(cache):
    with pytest.raises(CacheValueTooLarge):
        await cache.set("k", bytes(MAX_VALUE + 1))
    assert await cache.get("k") is None


@pytest.mark.parametrize("value", [object(), 2**70, "\ud800"])
async def test_a_value_without_a_form_is_refused(hybrid, value):
    cache = hybrid.named("any", object)
    with pytest.raises(InvalidCacheValue):
        await cache.set("k", value)

    async def factory(_):
        return value

    with pytest.raises(InvalidCacheValue):
        await cache.get_or_set("k", factory)
    assert await cache.get("k") is None


@pytest.mark.parametrize("data", [b"", b"\x01", b"\x02\x90", b"\x01\xc1", b"garbage", b"\x01\x9a" + b"\xa0" * 10])
async def test_an_entry_that_cannot_be_read_is_a_miss_and_counted(cache, hybrid, world, data):
    await world.far.set("n:k", data, TTL)
    assert await cache.get("k") is None
    assert hybrid.stats().unreadable == 1

    async def factory(_):
        return b"made"

    assert await cache.get_or_set("k", factory) == b"made"
    world.clock.advance(1)
    assert await cache.get("k") == b"made"


async def test_an_entry_of_another_type_is_a_miss_and_counted(processes):
    one, two = processes
    await one.named("u", bytes).set("k", b"v")
    assert await two.named("u", User).get("k") is None
    assert two.stats().unreadable == 1


async def test_what_the_cache_does_is_measured(cache, hybrid, world):
    await cache.set("k", b"v")
    await cache.get("k")
    read = world.telemetry.series
    async with running(hybrid):
        await until(lambda: read(CACHE_BACKEND_UP).value == 1)
        await until(lambda: read(CACHE_EVENTS, ("hits",)).value == 1)
        assert read(CACHE_NEAR_ENTRIES).value == 1


@pytest.mark.parametrize(("kind", "value"), [(int, "text"), (User, {"id": "x"}), (bytes, 7)])
async def test_a_value_of_another_type_is_refused_where_it_is_set(hybrid, kind, value):
    cache = hybrid.named("typed", kind)
    with pytest.raises(InvalidCacheValue, match="type"):
        await cache.set("k", value)
    assert await cache.get("k") is None


async def test_what_a_process_serves_is_what_the_others_read(processes):
    one, two = (process.named("numbers", tuple[int, ...]) for process in processes)
    await one.set("k", [1, 2])
    assert await one.get("k") == await two.get("k") == (1, 2)
