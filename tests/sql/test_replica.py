"""What may be a little behind is read from the replica; who has written reads what was written.

The replica here is a database of other contents, so that every answer tells where it came from.
"""

from __future__ import annotations

import asyncio

import pytest

import servers
from sqldatabases import platform, postgresql_database, sql
from tradesense.adapters.sql._room import DatabaseHealth
from tradesense.core.config.ports import SettingsStore
from tradesense.core.errors import ConfigurationError
from tradesense.core.sensitive import Secret
from tradesense.core.telemetry.models import Status
from tradesense.core.testing import eventually
from tradesense.core.transactions import Transactions


@pytest.fixture
def databases(postgres):
    with postgresql_database(postgres) as primary, postgresql_database(postgres) as replica:
        yield primary, replica


@pytest.fixture
async def urls(databases):
    for url, value in zip(databases, ("primary", "replica"), strict=True):
        async with sql(SettingsStore, url) as store:
            await store.put("ui.source", value)
    return databases


async def source(store):
    """Where a history is read. It runs in a task of its own when it is gathered."""
    return (await store.history("ui.source"))[0].value


def elsewhere(store):
    """The same, asked by another request."""
    return asyncio.create_task(source(store))


async def test_histories_come_from_the_replica_and_what_decides_from_the_database(urls):
    primary, replica = urls
    async with sql(SettingsStore, primary, replica_url=Secret(replica)) as store:
        assert await elsewhere(store) == "replica"
        assert (await store.get("ui.source")).value == "primary"


async def test_who_has_written_reads_what_was_written_for_a_while(urls):
    primary, replica = urls
    lent = platform()
    given = {"replica_url": Secret(replica), "replica_after": 0.5}
    async with (
        sql(SettingsStore, primary, lent, **given) as store,
        sql(Transactions, primary, lent, **given) as unit,
    ):

        async def request():
            await store.put("ui.theme", "dark")
            assert await source(store) == "primary"

            async def caught_up():
                """The replica is read again."""
                return await source(store) == "replica"

            await eventually(caught_up, seconds=10)
            async with unit.begin():
                assert await source(store) == "primary", "a transaction has one view"

        await asyncio.create_task(request())
        assert await elsewhere(store) == "replica", "another request did not write"


async def test_while_the_replica_is_away_all_is_read_from_the_database(urls):
    primary, _ = urls
    lent = platform()
    away = f"postgresql://someone:hunter2hunter2@127.0.0.1:{servers.free_port()}/absent"
    async with sql(SettingsStore, primary, lent, replica_url=Secret(away)) as store:
        health = DatabaseHealth(store._shared)
        assert (await health.check()).status is Status.UP
        async with asyncio.timeout(5):
            assert await elsewhere(store) == "primary"
        found = await health.check()
        assert found.status is Status.DEGRADED
        assert "replica" in found.detail
        assert "hunter2" not in found.detail


async def test_a_replica_that_is_back_is_read_again(urls, postgres, monkeypatch):
    monkeypatch.setattr("tradesense.adapters.sql._replica.AWAY_SECONDS", 0.2)
    primary, replica = urls
    async with sql(SettingsStore, primary, replica_url=Secret(replica)) as store:
        name = replica.rpartition("/")[2]
        postgres.execute(f"ALTER DATABASE {name} WITH ALLOW_CONNECTIONS false")
        assert await elsewhere(store) == "primary"
        postgres.execute(f"ALTER DATABASE {name} WITH ALLOW_CONNECTIONS true")

        async def back():
            """The replica is read again."""
            return await source(store) == "replica"

        await eventually(back, seconds=10)


def test_a_file_has_no_replica(sqlite_url, tmp_path):
    for url, replica in ((sqlite_url, "postgresql://a@b/c"), ("postgresql://a@b/c", f"sqlite:///{tmp_path}/x.db")):
        with pytest.raises(ConfigurationError, match="only PostgreSQL has replicas"):
            sql(SettingsStore, url, replica_url=Secret(replica))
