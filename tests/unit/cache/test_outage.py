"""The shared store or the backplane goes away: the cache goes on, and makes up for it."""

from __future__ import annotations

import pytest

from cachekit import Source, running, until
from tradesense.core.cache.envelope import unseal
from tradesense.core.cache.options import EntryOptions
from tradesense.core.cache.recovery import Action, Pending, Recovery
from tradesense.core.cache.tags import seal_stamp, unseal_stamp
from tradesense.core.telemetry.models import Status

TTL = 60


async def back(world, *caches):
    """The server is there again, and everybody has made up for what was missed."""
    world.away(away=False)
    world.far.full = False
    await until(lambda: not any(cache.stats().pending or not cache.stats().backend_up for cache in caches))


async def test_it_goes_on_in_the_process(cache, hybrid, world):
    await cache.set("before", b"v", ttl=TTL)
    world.away()
    assert await cache.get("absent") is None
    await cache.set("k", b"v", ttl=TTL)
    assert await cache.get_or_set("made", Source(), ttl=TTL) == b"made"
    world.clock.advance(30)
    assert await cache.get_many(["before", "k", "made"]) == {"before": b"v", "k": b"v", "made": b"made"}
    assert await cache.get_or_set("k", pytest.fail) == b"v"
    world.clock.advance(31)
    assert await cache.get_many(["before", "k", "made"]) == {}
    assert hybrid.stats().backend_up is False


async def test_health_says_so(cache, hybrid, world):
    assert (await hybrid.health.check()).status is Status.UP
    world.away()
    await cache.set("k", b"v")
    health = await hybrid.health.check()
    assert health.status is Status.DEGRADED
    assert health.name == "cache"
    assert "the store is away" in health.detail
    assert "1 changes wait" in health.detail
    async with running(hybrid):
        await back(world, hybrid)
    assert (await hybrid.health.check()).status is Status.UP


async def test_a_server_that_is_away_is_not_asked_by_everyone(cache, world):
    world.away()
    await cache.get("k")
    asked = []
    world.far.get = world.far.get_many = asked.append
    for number in range(100):
        await cache.get(str(number))
    assert asked == []


async def test_what_was_written_meanwhile_is_written_later_and_told(processes, cache, other, world):
    one, two = processes
    await cache.set("k", b"old", ttl=TTL)
    assert await other.get("k") == b"old"
    async with running(one, two):
        world.away()
        await cache.set("k", b"new", ttl=TTL)
        assert await other.get("k") == b"old"
        assert one.stats().pending == 1
        await back(world, one, two)
        await until(lambda: "n:k" not in two._engine.near.entries)
        assert await other.get("k") == b"new"


async def test_what_was_removed_meanwhile_is_removed_later_and_told(processes, cache, other, world):
    one, two = processes
    await cache.set("k", b"old", ttl=TTL)
    assert await other.get("k") == b"old"
    async with running(one, two):
        world.away()
        assert await one.invalidate(["n:k"]) is None
        assert await cache.get("k") is None
        await back(world, one, two)
        await until(lambda: "n:k" not in two._engine.near.entries)
        assert await other.get("k") is None
        assert await world.far.get("n:k") is None


async def test_a_tag_that_was_invalidated_meanwhile_is_told_later(processes, cache, other, world):
    one, two = processes
    await cache.set("k", b"old", ttl=TTL, tags=["red"])
    assert await other.get("k") == b"old"
    async with running(one, two):
        world.away()
        assert await one.invalidate(tags=["red"]) is None
        assert await cache.get("k") is None
        await back(world, one, two)
        await until(lambda: two._engine.tags.outdated(1.0, ["red"]))
        assert await other.get("k") is None
        assert await world.process().named("n", bytes).get("k") is None


async def test_what_is_outstanding_counts_as_written_where_the_store_can_still_be_read(cache, world):
    """It is out of memory: it answers reads with what has been replaced."""
    await cache.set("k", b"old", ttl=TTL)
    world.far.full = True
    await cache.set("k", b"new", ttl=TTL)
    world.clock.advance(2)
    assert await cache.get("k") == b"new"


async def test_a_full_store_holds_nothing_that_was_replaced(processes, cache, other, world):
    one, two = processes
    async with running(one, two):
        await cache.set("k", b"old", ttl=TTL)
        world.far.full = True
        await cache.set("k", b"new", ttl=TTL)
        await until(lambda: "n:k" not in world.far._entries)
        world.clock.advance(2)
        assert await other.get("k") is None
        assert await cache.get("k") == b"new"
        await back(world, one)
        assert await other.get("k") == b"new"


async def test_a_younger_value_in_the_store_is_not_replaced(processes, cache, other, world):
    one, two = processes
    world.away()
    await cache.set("k", b"older", ttl=TTL)
    await cache.remove("removed")
    world.away(away=False)
    world.clock.advance(1)
    await other.set("k", b"younger", ttl=TTL)
    await other.set("removed", b"younger", ttl=TTL)
    async with running(one, two):
        await back(world, one)
    world.clock.advance(2)
    assert await cache.get_many(["k", "removed"]) == {"k": b"younger", "removed": b"younger"}


async def test_what_has_ended_meanwhile_is_not_written(cache, hybrid, world):
    world.away()
    await cache.set("k", b"v", ttl=5)
    world.clock.advance(6)
    async with running(hybrid):
        await back(world, hybrid)
    assert await world.far.get("n:k") is None


async def test_many_changes_are_made_up_for(cache, hybrid, world):
    world.away()
    await cache.set_many({str(number): b"v" for number in range(300)}, ttl=TTL)
    assert hybrid.stats().pending == 300
    async with running(hybrid):
        await back(world, hybrid)
    assert unseal(await world.far.get("n:299")).tags == ("*", "*n")


async def test_a_change_that_was_not_told_is_told_later(processes, cache, other, world):
    one, two = processes
    async with running(one, two):
        await cache.set("k", b"old", ttl=TTL)
        assert await other.get("k") == b"old"
        world.backplane.away = True
        await cache.set("k", b"new", ttl=TTL)
        assert one.stats().backend_up is False
        await back(world, one)
        await until(lambda: "n:k" not in two._engine.near.entries)
        assert await other.get("k") == b"new"


async def test_a_lost_subscription_is_taken_up_again_and_copies_are_checked(processes, cache, other, world):
    one, two = processes
    async with running(one, two):
        await cache.set("k", b"old", ttl=TTL)
        assert await other.get("k") == b"old"
        for subscription in tuple(world.backplane._own):
            subscription.cut("too slow")
        await cache.set("k", b"new", ttl=TTL)
        await until(lambda: (held := two._engine.near.entries.get("n:k")) is None or held.near_until == 0)
        assert await other.get("k") == b"new"
        await cache.set("k", b"newest", ttl=TTL)
        await until(lambda: "n:k" not in two._engine.near.entries)


@pytest.mark.parametrize("message", [b"", b"garbage", b"\x90", b"\x95\x01"])
async def test_a_message_that_cannot_be_read_is_passed_over(cache, hybrid, world, message):
    async with running(hybrid):
        await cache.set("k", b"v")
        await world.backplane.publish("tradesense.cache", message)
        await until(lambda: hybrid._engine.notices.unreadable)
        assert await cache.get("k") == b"v"


async def test_a_message_of_a_later_release_lets_copies_be_checked(cache, hybrid, world):
    async with running(hybrid):
        await cache.set("k", b"v")
        await world.far.delete("n:k")
        await world.backplane.publish("tradesense.cache", b"\x95\x02\xa1x\xcb" + bytes(8) + b"\x80\x80")
        await until(lambda: hybrid._engine.near.entries["n:k"].near_until == 0)
        assert await cache.get("k") is None


async def test_stale_values_cover_a_source_while_the_store_is_away(cache, world):
    options = EntryOptions(ttl=10, fail_safe=100)
    await cache.set("k", b"old", options=options)
    world.away()
    world.clock.advance(11)
    assert await cache.get_or_set("k", Source(ConnectionError("down")), options=options) == b"old"


def change(key, stamp=1.0, action=Action.SET, data=b"12345"):
    return Pending(key=key, action=action, stamp=stamp, data=data)


def test_of_changes_of_one_key_the_last_one_counts():
    recovery = Recovery()
    first, last = change("k", 1.0), change("k", 2.0, Action.DELETE, b"")
    recovery.add(first)
    recovery.add(last)
    recovery.add(change("k", 1.5))
    recovery.add(change("k", 3.0, Action.TELL, b""))
    assert list(recovery) == [last]
    recovery.done(first)
    assert len(recovery) == 1
    recovery.done(last)
    assert not len(recovery)


def test_where_outstanding_values_take_too_much_the_oldest_become_removals():
    recovery = Recovery(max_bytes=15)
    for number in range(5):
        recovery.add(change(str(number), float(number)))
    assert [(one.key, one.action, one.data) for one in recovery] == [
        ("0", Action.DELETE, b""),
        ("1", Action.DELETE, b""),
        *((str(number), Action.SET, b"12345") for number in (2, 3, 4)),
    ]
    assert recovery.lost == 2


def test_where_outstanding_changes_are_too_many_all_that_is_as_old_as_the_oldest_goes():
    recovery = Recovery(limit=3)
    for number in range(1, 6):
        recovery.add(change(str(number), float(number), Action.DELETE, b""))
    assert {one.key for one in recovery} == {"#:*", "3", "4", "5"}
    cover = recovery.get("#:*")
    assert (cover.stamp, unseal_stamp(cover.data), cover.keeps > 30 * 86_400) == (2.0, 2.0, True)
    assert recovery.lost == 2


def test_a_notice_that_is_given_up_covers_nothing():
    recovery = Recovery(limit=1)
    recovery.add(change("told", 1.0, Action.TELL, b""))
    recovery.add(change("k", 2.0))
    assert [one.key for one in recovery] == ["k"]


def test_no_overflow_lowers_what_everything_was_cleared_at():
    recovery = Recovery(limit=1)
    recovery.add(change("#:*", 9.0, data=seal_stamp(9.0)))
    recovery.add(change("a", 1.0))
    recovery.add(change("b", 2.0))
    assert recovery.get("#:*").stamp == 9.0


async def test_the_bounds_of_outstanding_changes_are_those_that_were_given(world):
    hybrid = world.process(recovery=Recovery(limit=3))
    world.away()
    cache = hybrid.named("n", bytes)
    for number in range(9):
        await cache.set(str(number), b"v")
    assert (hybrid.stats().pending, hybrid.stats().lost) == (4, 6)


async def test_nothing_removed_comes_back_when_too_much_was_outstanding(processes, other, world):
    one = world.process(recovery=Recovery(limit=3))
    cache = one.named("n", bytes)
    async with running(one, processes[1]):
        await cache.set_many({"k": b"old", "kept": b"v"}, ttl=TTL)
        assert await other.get("k") == b"old"
        world.away()
        world.clock.advance(1)
        await cache.remove("k")
        for number in range(9):
            await cache.set(str(number), b"v")
        await back(world, one, processes[1])
        world.clock.advance(1)
        assert await other.get("k") is None
        assert await cache.get("k") is None
        assert await other.get("8") == b"v"


async def test_a_full_store_removes_at_once(processes, cache, other, world):
    one, two = processes
    await cache.set("k", b"old", ttl=TTL)
    assert await other.get("k") == b"old"
    world.far.full = True
    await cache.set("waits", b"v", ttl=TTL)
    async with running(one, two):
        assert await cache.remove("k") == 1
        assert await world.far.get("n:k") is None
        await until(lambda: "n:k" not in two._engine.near.entries)


async def test_what_was_removed_during_an_outage_goes_though_the_store_is_full_when_it_is_back(cache, hybrid, world):
    await cache.set("k", b"old", ttl=TTL)
    world.away()
    await cache.set_many({str(number): b"v" for number in range(200)}, ttl=TTL)
    await cache.remove("k")
    world.far.full = True
    async with running(hybrid):
        world.away(away=False)
        await until(lambda: "n:k" not in world.far._entries)
        assert hybrid.stats().pending == 200


async def test_a_full_store_holds_nothing_that_any_of_many_changes_has_replaced(cache, hybrid, world):
    many = {str(number): b"old" for number in range(200)}
    await cache.set_many(many, ttl=TTL)
    world.far.full = True
    await cache.set_many(dict.fromkeys(many, b"new"), ttl=TTL)
    async with running(hybrid):
        await until(lambda: not world.far._entries)
        assert await cache.get("199") == b"new"


async def test_one_value_that_the_store_does_not_take_holds_up_no_other(cache, hybrid, world):
    world.away()
    await cache.set("large", b"x" * 1000, ttl=TTL)
    await cache.set_many({str(number): b"v" for number in range(20)}, ttl=TTL)
    world.far.largest = 500
    async with running(hybrid):
        world.away(away=False)
        await until(lambda: hybrid.stats().pending == 1)
        assert await world.far.get("n:large") is None
        world.far.largest = None
        await back(world, hybrid)


async def test_a_full_store_keeps_the_instants_of_tags(cache, hybrid, world):
    await cache.set("k", b"old", ttl=TTL, tags=["red"])
    await hybrid.invalidate(tags=["red"])
    world.far.full = True
    await hybrid.invalidate(tags=["red"])
    async with running(hybrid):
        await until(lambda: world.far.looked("#:red") > 1)
        await hybrid._engine.recover()
        assert await world.process().named("n", bytes).get("k") is None
