"""The bounds of the password hasher."""

from __future__ import annotations

import asyncio

import pytest

from tradesense.adapters.argon2.identity import Argon2Hasher
from tradesense.adapters.argon2.settings import Argon2Settings
from tradesense.core.errors import AdapterClosed, LimitExceeded
from tradesense.core.sensitive import Secret

WORD = Secret("correct horse battery staple")


def test_the_defaults_are_what_a_hash_says():
    assert Argon2Settings() == Argon2Settings(memory_cost=47_104, time_cost=1, parallelism=1, workers=2, queue=32)


async def test_a_hash_says_its_parameters_and_weaker_ones_are_outdated():
    async with Argon2Hasher(Argon2Settings(memory_cost=1024)) as weak, Argon2Hasher(Argon2Settings()) as strong:
        hashed = await weak.hash(WORD)
        assert hashed.reveal().startswith("$argon2id$v=19$m=1024,t=1,p=1$")
        assert not weak.outdated(hashed)
        assert strong.outdated(hashed)
        assert await strong.verify(hashed, WORD)


async def test_more_than_the_queue_holds_are_sent_away_and_the_others_served():
    settings = Argon2Settings(memory_cost=8192, workers=1, queue=2)
    async with Argon2Hasher(settings) as hasher:
        tasks = [asyncio.ensure_future(hasher.hash(WORD)) for _ in range(6)]
        ends = await asyncio.gather(*tasks, return_exceptions=True)
        refused = [end for end in ends if isinstance(end, LimitExceeded)]
        assert len(refused) == 3
        assert all(end.retry_after > 0 for end in refused)
        assert sum(isinstance(end, Secret) for end in ends) == 3
        assert isinstance(await hasher.hash(WORD), Secret)


async def test_who_is_cancelled_gives_the_place_up():
    settings = Argon2Settings(memory_cost=8192, workers=1, queue=1)
    async with Argon2Hasher(settings) as hasher:
        for _ in range(20):
            running, waiting = (asyncio.ensure_future(hasher.hash(WORD)) for _ in range(2))
            await asyncio.sleep(0)
            waiting.cancel()
            await asyncio.wait([waiting])
            assert isinstance(await hasher.hash(WORD), Secret)
            await running


async def test_closing_serves_who_waits_and_takes_nobody_else():
    hasher = Argon2Hasher(Argon2Settings(memory_cost=8192, workers=1, queue=4))
    async with hasher:
        tasks = [asyncio.ensure_future(hasher.hash(WORD)) for _ in range(3)]
        await asyncio.sleep(0)
    assert all(isinstance(end, Secret) for end in await asyncio.gather(*tasks))
    with pytest.raises(AdapterClosed):
        await hasher.verify(Secret("$argon2id$"), WORD)
