"""Two processes over one backend: what one does, the other sees."""

from __future__ import annotations

import asyncio

import msgspec
import pytest

from cachekit import Source, until
from stampede import stampede
from tradesense.core.cache import EntryOptions
from tradesense.core.testing import eventually


class User(msgspec.Struct, frozen=True):
    id: int
    name: str


@pytest.fixture
def users(pair):
    """The same named cache in both processes."""
    return [hybrid.named("users", User, options=EntryOptions(ttl=60)) for hybrid in pair]


async def gone(cache, *keys):
    async def seen():
        """the other process no longer serves it"""
        return not await cache.get_many(keys)

    await eventually(seen, seconds=5)


async def test_values_are_shared(users):
    one, two = users
    await one.set_many({str(number): User(number, "Ann") for number in range(3)})
    assert await two.get("1") == User(1, "Ann")
    assert await two.get_many(["0", "2", "9"]) == {"0": User(0, "Ann"), "2": User(2, "Ann")}


async def served(cache, key, value):
    async def seen():
        """the value is served"""
        return await cache.get(key) == value

    await eventually(seen, seconds=5)


async def test_a_changed_value_is_seen(users):
    one, two = users
    for number in range(10):
        await one.set("k", User(number, "Ann"))
        await served(two, "k", User(number, "Ann"))


async def test_a_removed_value_is_gone(users):
    one, two = users
    await one.set("k", User(1, "Ann"))
    assert await two.get("k")
    assert await one.remove("k", "absent") == 1
    await gone(two, "k")


async def test_a_tag_is_invalidated_in_both(pair, users):
    one, two = users
    await one.set("red", User(1, "Ann"), tags=["red"])
    await one.set("blue", User(2, "Bob"), tags=["blue"])
    assert await two.get_many(["red", "blue"])
    await pair[0].invalidate(tags=["red"])
    await gone(two, "red")
    assert await two.get("blue") == User(2, "Bob")
    assert await one.get("red") is None


async def test_all_is_cleared_in_both(pair, users):
    one, two = users
    await one.set("k", User(1, "Ann"))
    assert await two.get("k")
    await pair[1].clear()
    await gone(one, "k")
    assert await two.get("k") is None


async def test_an_expired_value_still_covers_in_the_other_process(users):
    one, two = users
    options = EntryOptions(ttl=60, fail_safe=60)
    await one.set("k", User(1, "Ann"), options=options)
    assert await two.get("k")
    await one.expire("k")
    await gone(two, "k")
    assert await two.get_or_set("k", Source(ConnectionError("down")), options=options) == User(1, "Ann")


async def test_one_process_makes_the_value(users):
    source = Source(User(1, "Ann"))
    source.gate.clear()
    callers = [asyncio.create_task(cache.get_or_set("k", source)) for _ in range(50) for cache in users]
    await until(lambda: source.runs)
    source.gate.set()
    assert await asyncio.gather(*callers) == [User(1, "Ann")] * 100
    assert source.runs == 1


async def test_an_eager_renewal_is_made_once(users):
    source = Source(User(1, "Ann"))
    options = EntryOptions(ttl=60, eager=0.001)
    for cache in users:
        await cache.get_or_set("k", source, options=options)
    await asyncio.gather(*(cache.get_or_set("k", source, options=options) for cache in users))
    assert source.runs <= 2


async def test_a_sliding_entry_lives_on_while_it_is_read(pair):
    one, two = (hybrid.named("sliding", bytes, options=EntryOptions(ttl=60, sliding=1.0)) for hybrid in pair)
    await one.set("k", b"v")
    assert await two.get("k") == b"v"


def test_of_1000_callers_in_four_processes_one_runs_the_factory(valkey_url, unique_prefix):
    found = stampede(valkey_url, unique_prefix, processes=4, callers=250)
    assert (found.calls, found.answers, found.errors) == (1, 1000, 0)
