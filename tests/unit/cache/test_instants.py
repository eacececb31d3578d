"""Instants of tags and changes, whatever the clocks of the processes show: none is lost, none shuts out what is new."""

from __future__ import annotations

from math import inf, nan

import msgspec
import pytest

from cachekit import Ahead, running, until
from tradesense.core.cache.notices import Notice
from tradesense.core.cache.tags import MAX_TAGS, Tags, seal_stamp
from tradesense.core.errors import InvalidCacheKey

HOUR, DAY = 3600, 86_400
TTL = 30 * DAY


@pytest.fixture
def ahead(world):
    """A process whose clock is an hour ahead."""
    return world.process(clock=Ahead(world.clock, HOUR))


async def test_what_a_clock_that_was_ahead_has_cleared_takes_new_values(world, ahead):
    await ahead.clear()
    for _ in range(2):  # the second was started since, and has heard of nothing
        cache = world.process().named("n", bytes)
        await cache.get("k")
        await cache.set("k", b"v", ttl=TTL)
        world.clock.advance(2)
        assert await cache.get("k") == b"v"
        assert await world.process().named("n", bytes).get("k") == b"v"


async def test_a_clock_that_is_behind_invalidates_what_one_that_is_ahead_has_written(world, ahead, hybrid, cache):
    theirs = ahead.named("n", bytes)
    await theirs.set("k", b"old", tags=["red"], ttl=TTL)
    assert await cache.get("k") == b"old"
    await hybrid.invalidate(tags=["red"])
    for one in (cache, world.process().named("n", bytes)):
        assert await one.get("k") is None


async def test_a_clock_that_is_behind_sets_no_instant_back(world, ahead, hybrid):
    theirs = ahead.named("n", bytes)
    await theirs.set("k", b"old", tags=["red"], ttl=TTL)
    await ahead.invalidate(tags=["red"])
    await hybrid.invalidate(tags=["red"])
    assert await world.process().named("n", bytes).get("k") is None


async def test_a_clock_that_is_behind_replaces_what_one_that_is_ahead_has_written(world, ahead, cache, other):
    await ahead.named("n", bytes).set("k", b"old", ttl=TTL)
    for one in (cache, other):
        assert await one.get("k") == b"old"
    await cache.set("k", b"new", ttl=TTL)
    world.clock.advance(2)
    for one in (cache, other):
        assert await one.get("k") == b"new"


@pytest.mark.parametrize("absurd", [inf, 1e300, nan, "garbage"])
async def test_an_instant_of_no_clock_ends_what_there_is_and_nothing_more(world, absurd):
    early = world.process().named("n", bytes)
    await early.set("old", b"v", tags=["red"], ttl=TTL)
    await world.far.set("#:red", b"garbage" if absurd == "garbage" else seal_stamp(absurd), TTL)
    world.clock.advance(2)
    assert await early.get("old") is None
    late = world.process().named("n", bytes)
    assert await late.get("old") is None
    await late.set("new", b"v", tags=["red"], ttl=TTL)
    for _ in range(3):
        world.clock.advance(2)
        assert await late.get("new") == b"v"
        assert await early.get("new") == b"v"


@pytest.mark.parametrize("absurd", [inf, nan, -1.0, 1e300])
@pytest.mark.parametrize("where", ["stamp", "keys", "tags"])
async def test_a_notice_of_no_clock_lets_copies_be_checked_and_changes_no_clock(cache, hybrid, world, absurd, where):
    said = {"keys": {"keys": {"n:k": absurd}}, "tags": {"tags": {"red": absurd}}}.get(where, {})
    notice = Notice(version=1, origin="x", stamp=absurd if where == "stamp" else 1.0, **said)
    async with running(hybrid):
        await cache.set("k", b"v", ttl=TTL, tags=["red"])
        await world.backplane.publish("tradesense.cache", msgspec.msgpack.encode(notice))
        await until(lambda: hybrid._engine.notices.unreadable)
        assert await cache.get("k") == b"v"
        await hybrid.invalidate(tags=["red"])
        await cache.set("k", b"new", ttl=TTL, tags=["red"])
        assert await cache.get("k") == b"new"


def test_a_tag_that_is_no_longer_remembered_brings_nothing_back():
    tags = Tags(trust=1.0, wall=lambda: 100.0)
    tags.learn("red", 50.0, 0.0)
    for number in range(MAX_TAGS):
        tags.learn(str(number), 0.0, 0.0)
    assert tags.unknown(["red"], 0.0) == ["red"]
    assert tags.outdated(49.0, ["red"])
    assert not tags.outdated(51.0, ["red"])


async def test_no_instant_of_a_tag_can_be_removed_as_a_key(world, hybrid, cache):
    await cache.set("k", b"v", tags=["red"], ttl=TTL)
    await hybrid.invalidate(tags=["red"])
    for keys in (["#:red"], ["n:k", "#:*"], ["#probe"]):
        with pytest.raises(InvalidCacheKey, match="NAME:KEY"):
            await hybrid.invalidate(keys)
    assert await world.process().named("n", bytes).get("k") is None


async def test_a_star_is_a_tag_of_everything_and_with_a_name_of_that_name(hybrid, cache):
    second = hybrid.named("second", bytes)
    for one in (cache, second):
        await one.set("k", b"v")
    await hybrid.invalidate(tags=["*n"])
    assert (await cache.get("k"), await second.get("k")) == (None, b"v")
    await hybrid.invalidate(tags=["*"])
    assert await second.get("k") is None
