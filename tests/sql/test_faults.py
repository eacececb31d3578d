"""A database that is away, locked, full, slow or changed is told in one line, without a secret."""

from __future__ import annotations

import asyncio
import sqlite3
import subprocess
import sys

import asyncpg
import pytest
from sqlalchemy import text

from sqldatabases import platform, sql
from tradesense.adapters.sql.migrations import upgrade
from tradesense.core.audit.models import WORKER, AuditEntry
from tradesense.core.audit.ports import AuditLog
from tradesense.core.audit.service import AuditTrail
from tradesense.core.cache.ports import LockProvider
from tradesense.core.config.ports import SettingsStore
from tradesense.core.errors import AuditUnavailable, DatabaseUnavailable, LocksUnavailable
from tradesense.core.flags.models import Flag
from tradesense.core.flags.ports import FlagStore, SegmentStore
from tradesense.core.flags.service import Flags
from tradesense.core.flags.stores import Stores
from tradesense.core.sensitive import Secret
from tradesense.core.telemetry.models import Status
from tradesense.core.testing import eventually
from tradesense.core.testing.checks import rolled_back
from tradesense.core.transactions import Transactions

ENTRY = AuditEntry(action="test.append", subject="x", actor=WORKER)

APPENDER = """
import asyncio, sys
from sqldatabases import platform, sql
from tradesense.core.audit.models import WORKER, AuditEntry
from tradesense.core.audit.ports import AuditLog

async def main():
    async with sql(AuditLog, sys.argv[1]) as log:
        while True:
            record = await log.append(AuditEntry(action="test.append", subject="x", actor=WORKER))
            print(record.seq, flush=True)

asyncio.run(main())
"""


async def test_an_absent_postgresql_is_named_by_host_and_port(absent_url):
    async with asyncio.timeout(5):
        with pytest.raises(DatabaseUnavailable) as refused:
            await _open(absent_url)
    line = refused.value.line()
    assert f"PostgreSQL at {absent_url.partition('@')[2].partition('/')[0]}: Connection refused" in line
    assert "hunter2" not in line
    assert refused.value.origin == "database.url"


async def test_a_wrong_password_is_told_without_it(postgresql_url):
    head, _, tail = postgresql_url.partition("@")
    with pytest.raises(DatabaseUnavailable, match="password authentication failed") as refused:
        await _open(f"{head.rpartition(':')[0]}:hunter2hunter2@{tail}")
    assert "hunter2" not in refused.value.line()


async def test_an_unknown_database_is_told(postgresql_url):
    with pytest.raises(DatabaseUnavailable, match=r'database ".*_absent" does not exist'):
        await _open(f"{postgresql_url}_absent")


async def test_a_read_that_has_to_connect_tells_why_it_cannot(postgresql_url, postgres):
    async with sql(SettingsStore, postgresql_url, pool_size=1, max_overflow=0) as store:
        name = postgresql_url.rpartition("/")[2]
        postgres.execute(f"ALTER DATABASE {name} WITH ALLOW_CONNECTIONS false")
        await store._shared._engine.dispose()
        with pytest.raises(DatabaseUnavailable, match="not currently accepting connections"):
            await store.history("ui.theme")
        postgres.execute(f"ALTER DATABASE {name} WITH ALLOW_CONNECTIONS true")
        assert await store.history("ui.theme") == ()


async def test_a_locked_file_is_told_and_can_be_read_meanwhile(sqlite_url, locked):
    lent = platform()
    async with (
        sql(SettingsStore, sqlite_url, lent, busy_timeout=0.2) as store,
        sql(AuditLog, sqlite_url, lent) as log,
        sql(LockProvider, sqlite_url, lent) as locks,
    ):
        await store.put("ui.theme", "dark")
        with locked(sqlite_url):
            async with asyncio.timeout(5):
                with pytest.raises(DatabaseUnavailable, match="database is locked") as refused:
                    await store.put("ui.theme", "light")
                with pytest.raises(AuditUnavailable, match="database is locked"):
                    await log.append(ENTRY)
                with pytest.raises(LocksUnavailable, match="database is locked"):
                    await locks.acquire("x", 1)
                assert (await store.get("ui.theme")).value == "dark"
        assert "busy_timeout" in refused.value.mend
        await store.put("ui.theme", "light")


async def test_an_audited_change_of_a_locked_file_waits_once(sqlite_url, locked):
    lent = platform()
    wait = 2.0
    async with (
        sql(Transactions, sqlite_url, lent, busy_timeout=wait) as unit,
        sql(AuditLog, sqlite_url, lent) as log,
        sql(FlagStore, sqlite_url, lent) as store,
        sql(SegmentStore, sqlite_url, lent) as segments,
    ):
        trail = AuditTrail(log=log, chain=lent.chain, transactions=unit)
        stores = Stores(flags=store, segments=segments)
        flags = Flags(stores=stores, trail=trail, clock=lent.clock, ids=lent.ids, joined=True)
        flag = Flag(key="x", variants={"on": True, "off": False}, default_variant="on")
        with locked(sqlite_url):
            async with asyncio.timeout(2 * wait):
                with pytest.raises(DatabaseUnavailable, match="database is locked"):
                    await flags.put(flag, actor=WORKER)
        assert (await flags.put(flag, actor=WORKER)).revision == 1


async def test_waiting_for_ones_turn_and_for_another_process_are_one_wait(sqlite_url, locked):
    """Who has waited for a writer of this process waits the rest of the time for one of another process, no more."""
    wait = 2.0
    async with sql(SettingsStore, sqlite_url, busy_timeout=wait) as store:
        await store.put("ui.theme", "dark")
        with locked(sqlite_url):
            loop = asyncio.get_running_loop()
            began, ends = loop.time(), []

            async def write():
                with pytest.raises(DatabaseUnavailable, match="database is locked"):
                    await store.put("ui.theme", "light")
                ends.append(loop.time() - began)

            await asyncio.gather(*(write() for _ in range(4)))
        assert max(ends) < 2 * wait - 0.2, "a wait was added to another"
        await store.put("ui.theme", "light")
        waits = []

        async def usual():
            async with store._shared.writing() as connection:
                waits.append((await connection.exec_driver_sql("PRAGMA busy_timeout")).scalar_one())

        for _ in range(4):
            await usual()
        assert waits == [2000] * 4, "the next writers wait as long as ever"


async def test_a_full_disk_is_told_and_loses_nothing(sqlite_url):
    lent = platform()
    async with sql(AuditLog, sqlite_url, lent, pool_size=1, max_overflow=0) as log:
        async with log._shared.writing() as connection:
            await connection.execute(text("PRAGMA max_page_count = 80"))

        async def append_without_end():
            while (await log.append(ENTRY)).seq < 10_000:
                pass

        with pytest.raises(AuditUnavailable, match="disk is full"):
            await append_without_end()
        written = (await log.head()).seq
        async with log._shared.writing() as connection:
            await connection.execute(text("PRAGMA max_page_count = 100000"))
        assert (await log.append(ENTRY)).seq == written + 1
        verified = await AuditTrail(log=log, chain=lent.chain, transactions=None).verify()
        assert (verified.ok, verified.checked) == (True, written + 1)


async def test_a_file_that_is_no_database_is_told(tmp_path):
    path = tmp_path / "notes.txt"
    path.write_text("buy milk" * 1000)
    with pytest.raises(DatabaseUnavailable, match="file is not a database"):
        await _open(f"sqlite:///{path}")


async def test_a_statement_that_waits_too_long_is_ended(postgresql_url):
    async with sql(SettingsStore, postgresql_url, statement_timeout=0.3) as store:
        await store.put("ui.theme", "dark")
        other = await asyncpg.connect(postgresql_url)
        try:
            async with other.transaction(), asyncio.timeout(5):
                await other.execute("SELECT * FROM settings FOR UPDATE")
                with pytest.raises(DatabaseUnavailable, match="statement timeout"):
                    await store.put("ui.theme", "light")
        finally:
            await other.close()
        await store.put("ui.theme", "light")


async def test_too_few_connections_are_told(postgresql_url):
    lent = platform()
    few = {"pool_size": 1, "max_overflow": 0, "pool_timeout": 0.2}
    async with (
        sql(Transactions, postgresql_url, lent, **few) as unit,
        sql(SettingsStore, postgresql_url, lent) as store,
        unit.begin(),
    ):
        await store.put("ui.theme", "dark")
        with pytest.raises(DatabaseUnavailable, match="no connection became free") as refused:
            await asyncio.create_task(store.get("ui.theme"))
        assert "pool_size" in refused.value.mend


async def test_connections_that_the_server_ended_are_replaced(postgresql_url, postgres):
    async with sql(SettingsStore, postgresql_url, pool_size=1, max_overflow=0) as store:
        await store.put("ui.theme", "dark")
        async with store._shared.committing() as connection:
            lost = (await connection.get_raw_connection()).driver_connection
        name = postgresql_url.rpartition("/")[2]
        postgres.execute(f"SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = '{name}'")
        await eventually(lambda: _closed(lost), seconds=5)
        assert (await store.get("ui.theme")).value == "dark"
        await store.put("ui.theme", "light")


async def test_a_server_that_ends_and_comes_back_is_found_again(own_postgres):
    url = own_postgres.server.url()
    await upgrade(Secret(url))
    lent = platform()
    async with sql(SettingsStore, url, lent) as store:
        await store.put("ui.theme", "dark")
        (health,) = lent.checks
        assert (await health.check()).status is Status.UP
        own_postgres.server.execute("CHECKPOINT")  # the tests' servers are quick and commit to memory
        own_postgres.kill()
        for attempt in (store.get("ui.theme"), store.put("ui.theme", "light")):
            async with asyncio.timeout(5):
                with pytest.raises(DatabaseUnavailable):
                    await attempt
        assert (await health.check()).status is Status.DOWN
        own_postgres.start()
        assert (await store.get("ui.theme")).value == "dark"
        assert (await health.check()).status is Status.UP


def test_a_killed_process_loses_no_acknowledged_append(sqlite_url, script):
    program = script(APPENDER)
    with subprocess.Popen(
        [sys.executable, program, sqlite_url], stdout=subprocess.PIPE, text=True, env={"PYTHONPATH": "tests"}
    ) as process:
        acknowledged = 0
        for line in process.stdout:
            acknowledged = int(line)
            if acknowledged == 50:
                process.kill()
    lent = platform()

    async def verify():
        async with sql(AuditLog, sqlite_url, lent) as log:
            return await AuditTrail(log=log, chain=lent.chain, transactions=None).verify()

    verified = asyncio.run(verify())
    assert verified.ok
    assert verified.checked in {acknowledged, acknowledged + 1}


async def test_a_lease_beside_a_transaction(database_url):
    lent = platform()
    async with sql(Transactions, database_url, lent) as unit, sql(LockProvider, database_url, lent) as locks:
        async with rolled_back(unit), asyncio.timeout(2):
            if database_url.startswith("sqlite"):
                with pytest.raises(LocksUnavailable, match="inside a transaction"):
                    await locks.acquire("x", 60)
                return
            lease = await locks.acquire("x", 60)
        assert await locks.release(lease), "a roll-back must not take a lease with it"


async def test_a_changed_row_breaks_the_chain(sqlite_url):
    lent = platform()
    async with sql(AuditLog, sqlite_url, lent) as log:
        for _ in range(3):
            await log.append(ENTRY)
    with sqlite3.connect(sqlite_url.removeprefix("sqlite:///")) as other:
        other.execute("UPDATE audit_records SET at = '2020-01-01 00:00:00.000000' WHERE seq = 2")
    other.close()
    async with sql(AuditLog, sqlite_url, lent) as log:
        verified = await AuditTrail(log=log, chain=lent.chain, transactions=None).verify()
        assert (verified.ok, verified.first_bad_seq) == (False, 2)


async def _closed(driver):
    return driver.is_closed()


async def _open(url):
    async with sql(Transactions, url):
        pass
