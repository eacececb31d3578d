"""Nothing is half done, nothing is left open, and who is alone stays alone."""

from __future__ import annotations

import asyncio

import pytest
from sqlalchemy import text

from sqldatabases import platform, sql
from tradesense.core.audit.models import WORKER, AuditEntry
from tradesense.core.audit.ports import AuditLog
from tradesense.core.audit.service import AuditTrail
from tradesense.core.config.ports import SettingsStore
from tradesense.core.errors import DatabaseUnavailable, EmailTaken, SettingNotFound
from tradesense.core.identity.ports import IdentityStore
from tradesense.core.testing.base import eventually, opened, together
from tradesense.core.testing.checks import rolled_back
from tradesense.core.testing.identity.samples import NOW, a_user, with_token
from tradesense.core.transactions import Transactions

CONCURRENT = 32
ROUNDS = 5

SEED = bytes(32)


async def test_a_refresh_token_has_one_winner_round_after_round(database_url):
    async with sql(IdentityStore, database_url) as one, sql(IdentityStore, database_url) as two:
        spend = [store.refresh_tokens.spend for store in (one, two)]
        for _ in range(ROUNDS):
            _, token = await with_token(one)
            ends = await together(CONCURRENT, lambda n, key=token.token_hash: spend[n % 2](key, NOW, SEED))
            assert [end.spent_at for end in ends].count(None) == 1
            assert {end.spent_at for end in ends} == {None, NOW}


async def test_a_spending_that_is_rolled_back_leaves_the_token_to_the_one_who_waits(database_url):
    lent = platform()
    async with sql(Transactions, database_url, lent) as unit, sql(IdentityStore, database_url, lent) as store:
        _, token = await with_token(store)
        async with rolled_back(unit):
            assert await store.refresh_tokens.spend(token.token_hash, NOW, SEED) == token
            waiting = asyncio.ensure_future(store.refresh_tokens.spend(token.token_hash, NOW, SEED))
            await asyncio.sleep(0)
        assert await waiting == token


async def test_concurrent_appends_leave_no_gap_whoever_rolls_back(database_url):
    first, second = platform(), platform()
    async with (
        sql(Transactions, database_url, first) as unit,
        sql(AuditLog, database_url, first) as log,
        sql(AuditLog, database_url, second) as other,
    ):

        async def append(number):
            entry = AuditEntry(action="test.append", subject=f"{number}", actor=WORKER)
            if number % 4 == 0:
                return await other.append(entry)
            async with unit.begin():
                record = await log.append(entry)
                if number % 4 == 1:
                    raise ZeroDivisionError
                return record

        ends = await together(CONCURRENT * 2, append)
        kept = sorted(end.seq for end in ends if not isinstance(end, BaseException))
        assert kept == list(range(1, CONCURRENT * 2 * 3 // 4 + 1))
        assert {type(end) for end in ends if isinstance(end, BaseException)} == {ZeroDivisionError}
        verified = await AuditTrail(log=other, chain=second.chain, transactions=unit).verify()
        assert (verified.ok, verified.checked) == (True, len(kept))


async def test_a_cancelled_transaction_gives_its_connection_back(database_url):
    lent = platform()
    async with (
        sql(Transactions, database_url, lent, pool_size=1, max_overflow=0) as unit,
        sql(SettingsStore, database_url, lent) as store,
    ):
        for turns in (0, 1, 2, 3, 5, 8, 13, 21, 34, 55):
            task = asyncio.ensure_future(_slow_change(unit, store))
            for _ in range(turns):
                await asyncio.sleep(0)
            task.cancel()
            await asyncio.wait([task])
            assert task.cancelled()
        with pytest.raises(SettingNotFound):
            await store.get("ui.theme")
        await store.put("ui.theme", "dark")
        assert unit._shared._engine.pool.checkedout() == 0
        assert not unit._shared.in_transaction


async def test_postgresql_has_no_idle_transaction_left(postgresql_url, postgres):
    lent = platform()
    async with sql(Transactions, postgresql_url, lent) as unit, sql(SettingsStore, postgresql_url, lent) as store:
        tasks = [asyncio.ensure_future(_slow_change(unit, store, f"k{n}")) for n in range(8)]
        await asyncio.wait(tasks, timeout=0.2)
        for task in tasks:
            task.cancel()
        await asyncio.wait(tasks)
        name = postgresql_url.rpartition("/")[2]

        async def nothing_idles():
            states = f"SELECT count(*) FROM pg_stat_activity WHERE datname = '{name}' AND state LIKE 'idle in%'"
            return postgres.execute(states) == "0"

        await eventually(nothing_idles, seconds=10)


async def test_a_refused_account_leaves_the_transaction_around_it_usable(database_url):
    lent = platform()
    async with sql(Transactions, database_url, lent) as unit, sql(IdentityStore, database_url, lent) as store:
        first = a_user()
        await store.users.add(first)
        async with unit.begin():
            with pytest.raises(EmailTaken):
                await store.users.add(a_user(email_key=first.email_key))
            second = a_user()
            await store.users.add(second)
        assert await store.users.get(second.id) == second


async def test_what_failed_is_not_committed_by_a_caller_who_goes_on(database_url):
    lent = platform()
    async with sql(Transactions, database_url, lent) as unit, sql(SettingsStore, database_url, lent) as store:

        async def a_statement_fails():
            async with unit.begin():
                await store.put("ui.theme", "dark")
                with pytest.raises(DatabaseUnavailable):
                    await unit._shared.change(text("DELETE FROM no_such_table"))

        async def an_inner_part_fails():
            async with unit.begin(), rolled_back(unit):
                await store.put("ui.theme", "dark")

        for change in (a_statement_fails, an_inner_part_fails):
            with pytest.raises(DatabaseUnavailable, match="nothing was changed"):
                await change()
        with pytest.raises(SettingNotFound):
            await store.get("ui.theme")


async def test_a_reader_does_not_wait_for_a_transaction(database_url):
    lent = platform()
    async with sql(Transactions, database_url, lent) as unit, sql(SettingsStore, database_url, lent) as store:
        await store.put("ui.theme", "dark")
        async with unit.begin():
            await store.put("ui.theme", "light")
            assert (await store.get("ui.theme")).value == "light"
            async with asyncio.timeout(5):
                assert (await asyncio.create_task(store.get("ui.theme"))).value == "dark"


async def test_a_child_that_its_parent_waits_for_is_refused_in_time(sqlite_url):
    lent = platform()
    async with (
        sql(Transactions, sqlite_url, lent, busy_timeout=0.2) as unit,
        sql(SettingsStore, sqlite_url, lent) as store,
        unit.begin(),
    ):
        with pytest.raises(DatabaseUnavailable, match="locked"):
            await asyncio.create_task(store.put("ui.theme", "dark"))


async def _slow_change(unit, store, key="ui.theme"):
    async with unit.begin():
        await store.put(key, "lost")
        await asyncio.Event().wait()


async def test_closing_waits_for_the_last_user(database_url):
    lent = platform()
    unit, store = sql(Transactions, database_url, lent), sql(SettingsStore, database_url, lent)
    async with opened(store):
        async with opened(unit):
            pass
        await store.put("ui.theme", "dark")
