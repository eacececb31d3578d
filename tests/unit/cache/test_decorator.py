"""`@cached`: a function whose results are kept."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass
from uuid import UUID

import pytest

from cachekit import until
from tradesense.core.cache import EntryOptions, cached
from tradesense.core.errors import InvalidCacheKey


@pytest.fixture
def runs():
    return []


@pytest.fixture
def function(hybrid, runs):
    @cached(hybrid.named("results", str))
    async def describe(value, *, more="none"):
        """What it is."""
        runs.append((value, more))
        return f"{type(value).__name__} {value!r} {more}"

    return describe


async def test_a_result_is_kept(function, runs):
    assert await function(1) == await function(1) == "int 1 none"
    assert runs == [(1, "none")]
    assert function.__name__ == "describe"
    assert function.__doc__ == "What it is."


async def test_an_argument_is_the_same_by_position_by_name_and_by_default(function, runs):
    await function(1)
    await function(value=1)
    await function(1, more="none")
    await function(more="none", value=1)
    assert len(runs) == 1


@pytest.mark.parametrize(
    "nested", [lambda value: value, lambda value: (value,), lambda value: [value], lambda value: {"k": value}]
)
async def test_arguments_of_different_types_are_different(function, runs, nested):
    uuid = UUID(int=1)
    values = [nested(value) for value in (1, True, 1.0, "1", b"1", None, "None", uuid, str(uuid))]
    for _ in range(2):
        for value in values:
            assert (await function(value)).startswith(type(value).__name__)
    assert len(runs) == len(values)


async def test_the_order_of_a_table_is_none_and_that_of_a_list_is(function, runs):
    await function({"a": 1, "b": 2})
    await function({"b": 2, "a": 1})
    assert len(runs) == 1
    await function([1, 2])
    await function([2, 1])
    assert len(runs) == 3


async def test_many_callers_run_it_once(hybrid):
    gate, runs = asyncio.Event(), []

    @cached(hybrid.named("results", int))
    async def slow(number):
        runs.append(number)
        await gate.wait()
        return number

    callers = [asyncio.create_task(slow(7)) for _ in range(20)]
    await until(lambda: runs)
    gate.set()
    assert await asyncio.gather(*callers) == [7] * 20
    assert runs == [7]


async def test_one_result_is_forgotten(function, runs):
    await function(1)
    await function(2)
    await function.remove(1)
    await function(1)
    await function(2)
    assert runs == [(1, "none"), (2, "none"), (1, "none")]


async def test_two_functions_share_a_cache_and_no_key(hybrid):
    cache = hybrid.named("results", str)

    @cached(cache)
    async def one(number):
        return f"one {number}"

    @cached(cache)
    async def two(number):
        return f"two {number}"

    assert [await one(1), await two(1)] == ["one 1", "two 1"]
    assert one.key(1) != two.key(1)


async def test_key_tags_and_options_may_be_said(hybrid, world):
    cache = hybrid.named("users", str)
    runs = []

    @cached(
        cache,
        key=lambda number: f"user:{number}",
        tags=lambda number: [f"team:{number % 2}"],
        options=EntryOptions(ttl=10),
    )
    async def load(number):
        runs.append(number)
        return str(number)

    for number in (1, 2):
        await load(number)
    assert await cache.get("user:1") == "1"
    await hybrid.invalidate(tags=["team:1"])
    for number in (1, 2):
        await load(number)
    assert runs == [1, 2, 1]
    world.clock.advance(10)
    await load(2)
    assert runs == [1, 2, 1, 2]


async def test_a_result_that_can_be_changed_is_every_callers_own(hybrid):
    @cached(hybrid.named("lists", list))
    async def numbers():
        return [1]

    (await numbers()).append(2)
    (await numbers()).append(2)
    assert await numbers() == [1]


@dataclass(eq=False)
class Opaque:
    """It has a form of its own, and no hash of its own."""

    number: int


async def test_an_argument_without_a_form_is_refused(function):
    assert (await function(Opaque(1))).startswith("Opaque")
    with pytest.raises(InvalidCacheKey, match="form"):
        await function(object())


async def test_an_error_is_not_kept(hybrid):
    runs = []

    @cached(hybrid.named("results", str))
    async def fails():
        runs.append(1)
        raise LookupError

    for _ in range(2):
        with pytest.raises(LookupError):
            await fails()
    assert len(runs) == 2
