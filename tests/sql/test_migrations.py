"""The tables that migrations make are the tables that the adapters use, whoever migrates and however often."""

from __future__ import annotations

import asyncio
import stat
import subprocess
import sys
from datetime import UTC, datetime

import pytest
from alembic import command
from alembic.autogenerate import compare_metadata
from alembic.migration import MigrationContext
from alembic.script import ScriptDirectory
from sqlalchemy import column, insert, table, update

from sqldatabases import sql
from tradesense.adapters.sql import _schema
from tradesense.adapters.sql._tables import metadata
from tradesense.adapters.sql._types import UtcDateTime
from tradesense.adapters.sql._url import parsed
from tradesense.adapters.sql.migrations import _connected, alembic_config, current, head, upgrade, waiting
from tradesense.adapters.sql.migrations.waiting import turn
from tradesense.core.errors import ConfigurationError, DatabaseUnavailable
from tradesense.core.flags.kinds import digest_of
from tradesense.core.flags.ports import FlagStore
from tradesense.core.sensitive import Secret
from tradesense.core.testing import eventually
from tradesense.core.transactions import Transactions
from tradesense.entrypoints.database import upgrade_database
from tradesense.settings.schema import Settings

LONG_AGO = datetime(2020, 1, 2, tzinfo=UTC)
MIGRATE = """
import asyncio, sys
from tradesense.adapters.sql.migrations import upgrade
from tradesense.core.sensitive import Secret
print(*asyncio.run(upgrade(Secret(sys.argv[1]))))
"""

START = """
import asyncio, sys
from tradesense.adapters.sql._room import Room, backend_for
from tradesense.adapters.sql._database import Database
from tradesense.adapters.sql.settings import SqlSettings
from tradesense.core.sensitive import Secret

async def main():
    settings = SqlSettings(url=Secret(sys.argv[1]))
    async with Database(backend_for(settings), settings):
        print("alembic" in sys.modules)

asyncio.run(main())
"""


async def test_migrations_make_the_tables_that_the_adapters_use(empty_url):
    def differences(connection):
        context = MigrationContext.configure(connection, opts={"compare_type": True})
        return compare_metadata(context, metadata)

    await upgrade(Secret(empty_url))
    async with _connected(parsed(Secret(empty_url)), "rw", 5.0) as connection:
        assert await connection.run_sync(differences) == []


async def test_flags_of_before_begin_their_histories_as_they_are(empty_url):
    definition = '{"key":"old","variants":{"on":true},"default_variant":"on"}'
    row = {"key": "old", "revision": 7, "definition": definition, "updated_at": LONG_AGO, "deleted": False}
    old = table("flags", *(column(name) for name in row if name != "updated_at"), column("updated_at", UtcDateTime()))
    async with _connected(parsed(Secret(empty_url)), "rwc", 5.0) as connection:
        await connection.run_sync(_upgraded, "0006_grants")
        await connection.execute(insert(old).values(**row))
        await connection.commit()
    await upgrade(Secret(empty_url))
    async with sql(FlagStore, empty_url) as store:
        stored = await store.get("old")
        assert (stored.revision, stored.digest) == (7, digest_of(stored.flag))
        assert list(await store.history("old")) == [stored]
        assert (await store.put(stored.flag, expected=7)).revision == 8


async def test_an_upgrade_names_what_it_applied_and_a_second_one_finds_nothing_to_do(empty_url):
    url = Secret(empty_url)
    assert await current(url) is None
    assert await upgrade(url) == list(_schema.REVISIONS)
    assert await current(url) == head()
    assert await upgrade(url) == []


def test_the_revisions_are_known_without_alembic():
    script = ScriptDirectory.from_config(alembic_config())
    assert script.get_heads() == [_schema.HEAD]
    assert tuple(revision.revision for revision in reversed(list(script.walk_revisions()))) == _schema.REVISIONS


async def test_of_upgrades_at_once_one_applies(empty_url):
    applied = await asyncio.gather(*(upgrade(Secret(empty_url)) for _ in range(4)))
    assert sorted(applied) == [[], [], [], list(_schema.REVISIONS)]


def test_of_two_processes_at_once_one_applies(empty_url, script):
    program = script(MIGRATE)
    both = [
        subprocess.Popen(
            [sys.executable, program, empty_url], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
        )
        for _ in range(2)
    ]
    ends = [process.communicate(timeout=60) for process in both]
    assert [process.returncode for process in both] == [0, 0], ends
    assert sorted(out.split() for out, _ in ends) == [[], list(_schema.REVISIONS)]


async def test_without_tables_nothing_opens_and_the_mend_is_a_command(postgres_url, tmp_path):
    (tmp_path / "empty.db").touch()
    for url in (postgres_url, f"sqlite:///{tmp_path}/empty.db"):
        with pytest.raises(ConfigurationError, match="has no tables") as refused:
            await _open(url)
        assert "tradesense db upgrade" in refused.value.line()


def test_a_start_does_not_make_a_file(tmp_path):
    with pytest.raises(DatabaseUnavailable) as absent:
        asyncio.run(_open(f"sqlite:///{tmp_path}/absent.db"))
    assert "tradesense db upgrade" in absent.value.line()
    assert not (tmp_path / "absent.db").exists()


async def test_where_there_is_nothing_to_do_nothing_is_locked(sqlite_url, locked):
    with locked(sqlite_url):
        async with asyncio.timeout(5):
            assert await upgrade(Secret(sqlite_url), busy_timeout=30) == []


async def test_a_writer_is_waited_for_as_long_as_settings_say_and_it_is_told(tmp_path, locked, caplog):
    url = f"sqlite:///{tmp_path}/empty.db"
    section = {"url": Secret(url), "busy_timeout": 1.5}
    with locked(url):
        async with asyncio.timeout(15):
            with pytest.raises(DatabaseUnavailable, match="database is locked") as refused:
                await upgrade_database(Settings(adapters={"database": section}))
    assert "database.busy_timeout" in refused.value.mend
    assert "waiting up to 1.5 s" in caplog.text
    assert await upgrade(Secret(url)) == list(_schema.REVISIONS)


async def test_another_migration_is_waited_for_longer_than_a_writer(tmp_path, caplog):
    path = tmp_path / "empty.db"

    async def waits():
        """The one who waits says so."""
        return f"another process migrates SQLite at {path}" in caplog.text

    async with turn(path, "the other"):
        upgrading = asyncio.create_task(upgrade(Secret(f"sqlite:///{path}"), busy_timeout=0.1))
        await eventually(waits, seconds=10)
        assert not upgrading.done()
    assert await upgrading == list(_schema.REVISIONS)


async def test_a_migration_that_does_not_end_is_told(tmp_path, monkeypatch):
    monkeypatch.setattr(waiting, "PATIENCE", 0.1)
    path = tmp_path / "empty.db"
    async with turn(path, "the other"):
        with pytest.raises(DatabaseUnavailable, match="another process has been migrating it"):
            await upgrade(Secret(f"sqlite:///{path}"))


async def test_tables_of_a_later_release_are_refused(database_url):
    url = parsed(Secret(database_url))
    async with _connected(url, "rw", 5.0) as connection:
        await connection.execute(update(_schema.version_table).values(version_num="9999_later"))
        await connection.commit()
    for attempt in (_open(database_url), upgrade(Secret(database_url))):
        with pytest.raises(ConfigurationError, match="9999_later"):
            await attempt


async def test_a_new_file_is_for_its_owner_alone(tmp_path):
    path = tmp_path / "new" / "folder" / "100% data base?.db"
    await upgrade(Secret(f"sqlite:///{tmp_path}/new/folder/100%25%20data%20base%3F.db"))
    assert stat.S_IMODE(path.stat().st_mode) == 0o600


async def test_a_file_that_cannot_be_made_is_a_problem_of_configuration(tmp_path):
    (tmp_path / "file").touch()
    with pytest.raises(ConfigurationError, match=r"Not a directory|File exists"):
        await upgrade(Secret(f"sqlite:///{tmp_path}/file/tradesense.db"))


def test_a_start_does_not_import_alembic(sqlite_url, script):
    done = subprocess.run(
        [sys.executable, script(START), sqlite_url], capture_output=True, text=True, check=False, timeout=60
    )
    assert (done.stdout, done.stderr) == ("False\n", "")


def _upgraded(connection, revision):
    config = alembic_config()
    config.attributes.update(connection=connection, applied=[])
    command.upgrade(config, revision)


async def _open(url):
    async with sql(Transactions, url):
        pass
