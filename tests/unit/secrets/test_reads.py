"""Reads through the cache: one at a time, fresh or marked, and no error hidden but an outage."""

from __future__ import annotations

import asyncio

import pytest

from tradesense.adapters.memory._backplane import MemoryBackplane
from tradesense.adapters.memory._state import MemoryState
from tradesense.adapters.memory.cache import MemoryCache
from tradesense.adapters.system.ambient import SystemRandom
from tradesense.core.cache.service import HybridCache
from tradesense.core.errors import DecryptionFailed, SecretDenied, SecretNotFound, SecretStoreUnavailable
from tradesense.core.secrets.models import StoredSecret
from tradesense.core.secrets.reads import CachedReads
from tradesense.core.secrets.watch import Watch
from tradesense.core.sensitive import Secret
from tradesense.core.telemetry.service import FanOut
from tradesense.core.testing import ManualClock


class Provider:
    def __init__(self):
        self.answer = Secret("one")
        self.reads = 0

    async def get(self, path):
        self.reads += 1
        await asyncio.sleep(0)
        if isinstance(self.answer, Exception):
            raise self.answer
        return StoredSecret(path=path, value=self.answer, version=self.reads)


@pytest.fixture
def clock():
    return ManualClock()


@pytest.fixture
async def reads(clock):
    async with (
        MemoryCache(MemoryState(), clock=clock) as far,
        MemoryBackplane(MemoryState()) as backplane,
    ):
        cache = HybridCache(
            far=far,
            backplane=backplane,
            clock=clock,
            random=SystemRandom(),
            telemetry=FanOut(metrics=[], traces=[]),
            near_ttl=5.0,
        )
        yield CachedReads(cache, clock=clock, ttl=5.0, max_stale=300.0)
        await cache.aclose()


async def test_of_many_readers_one_asks(reads):
    provider = Provider()
    found = await asyncio.gather(*(reads.get("a", None, lambda: provider.get("a")) for _ in range(50)))
    assert {one.value.reveal() for one in found} == {"one"}
    assert provider.reads == 1


async def test_an_outage_is_covered_for_max_stale_and_marked(reads, clock):
    provider = Provider()

    async def get():
        return await reads.get("a", None, lambda: provider.get("a"))

    assert not (await get()).stale
    provider.answer = SecretStoreUnavailable("down")
    assert not (await get()).stale
    clock.advance(6)
    found = await get()
    assert (found.value, found.stale) == (Secret("one"), True)
    clock.advance(290)
    assert (await get()).stale
    clock.advance(10)
    with pytest.raises(SecretStoreUnavailable):
        await get()
    provider.answer = Secret("two")
    clock.advance(2)
    found = await get()
    assert (found.value, found.stale) == (Secret("two"), False)


@pytest.mark.parametrize("error", [SecretNotFound, SecretDenied, DecryptionFailed])
async def test_what_is_no_outage_is_told_and_ends_what_was_remembered(reads, clock, error):
    provider = Provider()

    async def get():
        return await reads.get("a", None, lambda: provider.get("a"))

    await get()
    provider.answer = error("said so")
    clock.advance(6)
    with pytest.raises(error, match="said so"):
        await get()
    provider.answer = SecretStoreUnavailable("down")
    with pytest.raises(SecretStoreUnavailable):
        await get()


async def test_what_was_written_is_forgotten(reads):
    provider = Provider()
    assert (await reads.get("a", None, lambda: provider.get("a"))).version == 1
    assert (await reads.get("a", 7, lambda: provider.get("a"))).version == 2
    await reads.forget("a")
    assert (await reads.get("a", None, lambda: provider.get("a"))).version == 3
    assert (await reads.get("a", 7, lambda: provider.get("a"))).version == 4


async def test_who_depends_on_a_secret_is_told_once_and_again_when_it_failed():
    provider, told, failures = Provider(), [], []
    watch = Watch(provider, every=60, failed=lambda path, error: failures.append((path, type(error))))

    async def tell(found):
        told.append(found.value.reveal())
        if len(told) == 1:
            raise SecretStoreUnavailable("not now")

    watch.on("a", tell)
    assert await watch.look() == 0
    provider.answer = Secret("two")
    assert await watch.look() == 0
    assert failures == [("a", SecretStoreUnavailable)]
    assert await watch.look() == 1
    assert await watch.look() == 0
    provider.answer = SecretStoreUnavailable("down")
    assert await watch.look() == 0
    assert told == ["two", "two"]
