"""A pool that is exhausted says so in time, and a caller that goes away leaves nothing behind."""

from __future__ import annotations

import asyncio
import time
from concurrent.futures import ThreadPoolExecutor
from contextlib import AsyncExitStack

import asyncpg
import httpx2
import pytest
from sqlalchemy import func, select

from client import Api
from platform_process import Runner, serving
from servers import reachable_folder
from sqldatabases import platform, postgresql_database, sql
from tradesense.adapters.memory.telemetry import MemoryTelemetry
from tradesense.core.audit.models import WORKER, AuditEntry
from tradesense.core.audit.ports import AuditLog
from tradesense.core.errors import DatabaseUnavailable
from tradesense.core.telemetry import instruments
from tradesense.core.testing import eventually
from tradesense.core.transactions import Transactions

CANCELLED = 200
TOGETHER = 4
"""Connections that are made at once: all sixty would take a busy machine longer than the pool waits for one."""
SLACK = 8.0
"""Seconds that a busy machine may add; without the time-out they would wait for twenty."""


@pytest.fixture
def database_url(postgres):
    with postgresql_database(postgres) as url:
        yield url


@pytest.fixture
async def watcher(database_url):
    """A connection of another program, which sees the sessions of the platform."""
    connection = await asyncpg.connect(database_url)
    yield connection
    await connection.close()


async def states(watcher):
    """How many sessions of the platform there are, by what they do."""
    rows = await watcher.fetch(
        "SELECT coalesce(state, '') AS state, count(*) AS n FROM pg_stat_activity "
        "WHERE datname = current_database() AND application_name = 'tradesense' GROUP BY 1"
    )
    return {row["state"]: row["n"] for row in rows}


async def test_F22_60_sleeping_statements_exhaust_the_pool_and_those_who_wait_are_told_in_time(database_url, watcher):
    lent = platform()
    lent.telemetry = telemetry = MemoryTelemetry(clock=lent.clock)
    limits = {"pool_size": 50, "max_overflow": 10, "pool_timeout": 1.0, "statement_timeout": 30}
    async with sql(Transactions, database_url, lent, **limits) as unit:
        turns = asyncio.Semaphore(TOGETHER)
        held = [asyncio.create_task(hold(unit, 20, turns)) for _ in range(60)]

        async def all_asleep():
            """Sixty statements sleep."""
            return (await states(watcher)).get("active", 0) == 60

        await eventually(all_asleep, seconds=30)
        waits = await asyncio.gather(*(refused(unit) for _ in range(20)))
        assert max(waits) < 1.0 + SLACK
        assert telemetry.series(instruments.DATABASE_CONNECTIONS, ("primary", "used")).value == 60
        assert telemetry.series(instruments.DATABASE_CONNECTIONS_OVERFLOW, ("primary",)).value == 10
        assert telemetry.series(instruments.DATABASE_CONNECTIONS_MOST, ("primary",)).value == 60
        assert telemetry.series(instruments.DATABASE_POOL_TIMEOUTS, ("primary",)).value == 20
        assert telemetry.series(instruments.DATABASE_POOL_WAIT, ("primary",)).count == 59 + 20, "one was open"
        for task in held:
            task.cancel()
        await asyncio.wait(held)
        await none_left(unit, watcher, most=60)
        assert telemetry.series(instruments.DATABASE_CONNECTIONS, ("primary", "used")).value == 0


async def hold(unit, seconds, turns=None):
    """Keep a connection busy for so long; with ``turns``, make it when it is one's turn."""
    async with AsyncExitStack() as turn:
        if turns is not None:
            await turn.enter_async_context(turns)
        async with unit.begin(), unit._shared.writing() as connection:
            await turn.aclose()
            await connection.execute(select(func.pg_sleep(seconds)))


async def refused(unit):
    """How long one waits for a connection that does not come."""
    began = time.monotonic()
    with pytest.raises(DatabaseUnavailable, match="no connection became free in time"):
        await hold(unit, 0)
    return time.monotonic() - began


async def none_left(unit, watcher, *, most):
    """Nobody uses a connection any more, no statement goes on, and no transaction stays open."""
    pool = unit._shared._engine.sync_engine.pool

    async def quiet():
        """All sessions are idle, and no more of them than the pool may have."""
        found = await states(watcher)
        return pool.checkedout() == 0 and found.keys() <= {"idle"} and sum(found.values()) <= most

    await eventually(quiet, seconds=30)


async def test_F22_200_cancelled_calls_leak_no_connection_and_leave_no_transaction(database_url, watcher):
    lent = platform()
    limits = {"pool_size": 4, "max_overflow": 2, "pool_timeout": 2.0}
    async with sql(Transactions, database_url, lent, **limits) as unit, sql(AuditLog, database_url, lent) as log:

        async def write(number):
            async with unit.begin():
                await log.append(AuditEntry(action="test.append", subject=str(number), actor=WORKER))
                await hold(unit, 0.02)

        calls = [write, lambda _: log.read(), lambda _: hold(unit, 5), lambda _: log.head()]
        for number in range(CANCELLED):
            task = asyncio.create_task(calls[number % len(calls)](number))
            await asyncio.sleep((number % 10) / 500)
            task.cancel()
            await asyncio.wait([task])
        await none_left(unit, watcher, most=6)
        async with asyncio.timeout(10):  # all of the pool can be had at once
            await asyncio.gather(*(hold(unit, 0.2) for _ in range(6)))
        await log.append(AuditEntry(action="test.append", subject="last", actor=WORKER))
        await none_left(unit, watcher, most=6)


async def test_60_sessions_are_held_open_by_settings_and_none_is_left_after_200_cancelled_ones(database_url, watcher):
    async with sql(Transactions, database_url, pool_size=60, max_overflow=0, pool_timeout=30.0) as unit:
        barrier, go = asyncio.Barrier(61), asyncio.Event()

        async def session():
            async with unit.begin(), unit._shared.writing() as connection:
                await connection.execute(select(func.txid_current()))
                await barrier.wait()
                await go.wait()

        tasks = [asyncio.create_task(session()) for _ in range(60)]
        async with asyncio.timeout(60):
            await barrier.wait()
        assert await states(watcher) == {"idle in transaction": 60}
        go.set()
        await asyncio.gather(*tasks)
        assert await states(watcher) == {"idle": 60}
        for first in range(0, CANCELLED, 50):
            tasks = [asyncio.create_task(hold(unit, 10)) for _ in range(first, first + 50)]
            await asyncio.sleep(0.1)
            for task in tasks:
                task.cancel()
            await asyncio.wait(tasks)
        await none_left(unit, watcher, most=60)


@pytest.mark.timeout(180)
async def test_F22_over_http_the_waiting_get_503_and_200_disconnected_clients_leave_nothing(database_url, watcher):
    env = {
        "DATABASE_URL": database_url,
        "TRADESENSE_DATABASE__POOL_SIZE": "4",
        "TRADESENSE_DATABASE__MAX_OVERFLOW": "0",
        "TRADESENSE_DATABASE__POOL_TIMEOUT": "1.0",
        "TRADESENSE_DATABASE__STATEMENT_TIMEOUT": "4.0",
        "TRADESENSE_TELEMETRY__PUBLIC_METRICS": "true",
    }
    with reachable_folder() as folder, serving(env, folder=folder) as server, Api(server.url) as api:
        api.login(server.admin_email, server.admin_password)
        url, headers = f"{server.url}/api/v1/settings/ui.theme", dict(api.client.headers)

        def put(seconds):
            began = time.monotonic()
            try:
                answer = httpx2.put(url, json={"value": "dark"}, headers=headers, timeout=seconds, verify=False)
            except httpx2.TimeoutException:
                return 0, time.monotonic() - began
            return answer.status_code, time.monotonic() - began

        async with watcher.transaction():
            await watcher.execute("LOCK TABLE settings, audit_heads IN ACCESS EXCLUSIVE MODE")
            loop = asyncio.get_running_loop()
            with ThreadPoolExecutor(40) as threads:
                # four take the connections and wait for the lock; the rest wait for a connection
                asked = await asyncio.gather(*(loop.run_in_executor(threads, put, 9.0) for _ in range(20)))
                told = [seconds for status, seconds in asked if status == 503]
                assert len(told) >= 16
                assert min(told) < 1.0 + SLACK
                gone = await asyncio.gather(*(loop.run_in_executor(threads, put, 0.2) for _ in range(CANCELLED)))
                assert sum(status == 0 for status, _ in gone) > CANCELLED / 2

        async def quiet():
            """No session is in use."""
            found = await states(watcher)
            return found.keys() <= {"idle"} and sum(found.values()) <= 4

        await eventually(quiet, seconds=40)
        assert put(10)[0] in {200, 201}
        metrics = api.client.get("/metrics").text
        assert 'db_client_connection_max{pool="primary"} 4.0' in metrics
        assert Runner(folder)("audit", "verify", env=env).code == 0
