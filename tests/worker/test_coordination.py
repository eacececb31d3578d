"""What the container gives to coordinate by, over two processes' containers."""

from __future__ import annotations

import asyncio
from contextlib import asynccontextmanager

import pytest

from tradesense.core.errors import LeaseLost, LeaseTaken
from tradesense.entrypoints.container import open_container
from tradesense.entrypoints.database import upgrade_database
from tradesense.settings.load import load


@pytest.fixture(params=["sql", "redis"])
def env(request, postgres_url, valkey_url, unique_prefix):
    return {
        "ENVIRONMENT": "testing",
        "DATABASE_URL": postgres_url,
        "TRADESENSE_REDIS__URL": valkey_url,
        "TRADESENSE_REDIS__PREFIX": f"{unique_prefix}:",
        "TRADESENSE_REDIS__TIMEOUT": "5",
        "TRADESENSE_DATABASE__POOL_TIMEOUT": "30",
        "TRADESENSE_AUDIT__PROVIDER": "sql",
        "TRADESENSE_CONFIG__PROVIDER": "sql",
        "TRADESENSE_CACHE__LOCKS": request.param,
    }


@pytest.fixture
async def processes(env, tmp_path):
    @asynccontextmanager
    async def process():
        async with open_container(load(env, directory=tmp_path).settings) as services:
            yield services

    await upgrade_database(load(env, directory=tmp_path).settings)
    async with process() as one, process() as two:
        yield one.coordination, two.coordination, one.transactions, two.transactions


async def test_leases_semaphores_and_elections_hold_over_processes(processes):
    one, two, *_ = processes
    async with one.leases.hold("job", 30):
        with pytest.raises(LeaseTaken):
            async with two.leases.hold("job", 30):
                pytest.fail("two hold it")
    async with one.semaphore("two", permits=2, ttl=30).permit(), two.semaphore("two", permits=2, ttl=30).permit():
        with pytest.raises(LeaseTaken):
            async with one.semaphore("two", permits=2, ttl=30).permit():
                pytest.fail("three hold two permits")
    led, elected = [], asyncio.Event()

    async def lead(held):
        led.append(held.token)
        elected.set()
        await asyncio.Event().wait()

    elections = [one.election("leader", ttl=2), two.election("leader", ttl=2)]
    candidates = [asyncio.create_task(election.run(lead)) for election in elections]
    try:
        async with asyncio.timeout(30):
            await elected.wait()
        first = next(number for number, election in enumerate(elections) if election.leading)
        assert not elections[1 - first].leading
        elected.clear()
        candidates[first].cancel()
        async with asyncio.timeout(30):
            await elected.wait()
        assert elections[1 - first].term == led[1] > led[0]
    finally:
        for candidate in candidates:
            candidate.cancel()
        await asyncio.gather(*candidates, return_exceptions=True)


async def test_a_stale_holder_is_refused_in_its_own_transaction(processes):
    one, two, ours, theirs = processes
    async with one.leases.hold("job", 30) as stale:
        await one.leases._locks.release(stale.lease)  # as when it had stood still for longer than the lease lasts
        async with two.leases.hold("job", 30) as later:
            async with theirs.begin():
                await two.guard(later)
            with pytest.raises(LeaseLost, match="later holder"):
                async with ours.begin():
                    await one.guard(stale)
