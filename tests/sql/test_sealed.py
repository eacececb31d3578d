"""What whoever owns the database can do to secrets: nothing that goes unnoticed."""

from __future__ import annotations

from contextlib import asynccontextmanager

import pytest
from alembic import command
from sqlalchemy import text
from sqlalchemy.ext.asyncio import create_async_engine

from sqldatabases import platform, sql
from tradesense.adapters.sql.migrations import alembic_config, upgrade
from tradesense.core.errors import DecryptionFailed, SecretNotFound
from tradesense.core.secrets.envelope import key_of
from tradesense.core.secrets.models import Rewrapped, VersionState
from tradesense.core.secrets.ports import SecretStore
from tradesense.core.sensitive import Secret


async def _run(store, statement, **parameters):
    async with store._shared.writing() as connection:
        done = await connection.execute(text(statement), parameters)
        return done.all() if done.returns_rows else done.rowcount


SWAP = "UPDATE secret_versions SET envelope = (SELECT v.envelope FROM secret_versions AS v WHERE {}) WHERE {}"


@pytest.mark.parametrize(
    ("source", "target"),
    [
        ("v.path = 'a/two' AND v.version = 1", "path = 'a/one' AND version = 1"),
        ("v.path = 'a/one' AND v.version = 1", "path = 'a/one' AND version = 2"),
    ],
    ids=["another secret's", "an earlier version's"],
)
async def test_R50_a_row_that_holds_anothers_envelope_is_refused(database_url, source, target):
    async with sql(SecretStore, database_url) as store:
        for path, value in (("a/one", "1"), ("a/one", "2"), ("a/two", "3")):
            await store.put(path, Secret(value))
        assert await _run(store, SWAP.format(source, target)) == 1
        with pytest.raises(DecryptionFailed):
            await (store.get("a/one") if "version = 2" in target else store.get_version("a/one", 1))
        assert (await store.get("a/two")).value == Secret("3")


async def test_R50_every_changed_byte_of_a_row_is_refused(sqlite_url):
    async with sql(SecretStore, sqlite_url) as store:
        await store.put("a", Secret("value"))
        ((envelope,),) = await _run(store, "SELECT envelope FROM secret_versions")
        envelope = bytes(envelope)
        for at in range(len(envelope)):
            changed = envelope[:at] + bytes([envelope[at] ^ 1]) + envelope[at + 1 :]
            await _run(store, "UPDATE secret_versions SET envelope = :changed", changed=changed)
            with pytest.raises(DecryptionFailed):
                await store.get("a")
        for changed in (envelope[1:], envelope[:-1], b"", envelope + b"\x00"):
            await _run(store, "UPDATE secret_versions SET envelope = :changed", changed=changed)
            with pytest.raises(DecryptionFailed):
                await store.get("a")


async def test_R50_a_version_that_is_called_otherwise_is_refused(database_url):
    async with sql(SecretStore, database_url) as store:
        await store.put("a", Secret("one"))
        await _run(store, "UPDATE secret_versions SET version = 7")
        await _run(store, "UPDATE secrets SET current_version = 7")
        with pytest.raises(DecryptionFailed):
            await store.get("a")


async def test_a_destroyed_version_leaves_no_ciphertext(database_url):
    async with sql(SecretStore, database_url) as store:
        await store.put("a", Secret("one"))
        await store.put("a", Secret("two"))
        await store.destroy_versions("a", [1])
        rows = await _run(store, "SELECT envelope, key_id FROM secret_versions WHERE version = 1")
        assert [(bytes(row[0]), row[1]) for row in rows] == [(b"", "")]
        await store.destroy("a")
        assert await _run(store, "SELECT path FROM secret_versions") == []
        assert await store.put("a", Secret("three")) == 3, "a number may never mean two values"


async def test_R51_what_does_not_open_keeps_nothing_else_from_being_rewrapped(database_url):
    lent = platform()
    async with sql(SecretStore, database_url, lent) as store:
        for path in ("a", "b", "c", "d"):
            await store.put(path, Secret(f"of {path}"))
        await _run(store, "UPDATE secret_versions SET key_id = 'other' WHERE path <> 'd'")
        await _run(store, "UPDATE secret_versions SET envelope = :broken WHERE path = 'b'", broken=b"")
        found, after = [], None
        for _ in range(4):
            page = await store.rewrap(limit=1, after=after)
            found += [page.unopened]
            if (after := page.after) is None:
                break
        assert found == [(), (("b", 1),), (), ()]
        assert await store.rewrap() == Rewrapped(unopened=(("b", 1),))
        assert (await store.get("a")).value == Secret("of a")


async def test_what_was_written_before_the_columns_is_read_after_them(empty_url):
    """Rows of the first tables: one that is there, one that was deleted."""
    lent = platform()
    sealed = {path: await lent.sealer.seal(path, 1, Secret(f"of {path}")) for path in ("there", "gone")}
    await _upgrade_to(empty_url, "0004_action_tokens")
    async with _raw(empty_url) as connection:
        when = "2026-01-01 00:00:00.000000" if empty_url.startswith("sqlite") else "2026-01-01 00:00:00+00"
        for path, state, deleted in (("there", "available", "NULL"), ("gone", "deleted", f"'{when}'")):
            await connection.execute(
                text(f"INSERT INTO secrets VALUES ('{path}', 1, NULL, 1, {deleted})")  # ours alone
            )
            await connection.execute(
                text(f"INSERT INTO secret_versions VALUES ('{path}', 1, :sealed, '{when}', '{state}')"),  # ours alone
                {"sealed": sealed[path]},
            )
    await upgrade(Secret(empty_url))
    async with sql(SecretStore, empty_url, lent) as store:
        assert (await store.get("there")).value == Secret("of there")
        assert await store.key_counts() == {key_of(sealed["there"]): 2}
        with pytest.raises(SecretNotFound):
            await store.get("gone")
        assert [one.state for one in await store.versions("gone")] == [VersionState.DELETED]
        await store.undelete("gone")
        assert (await store.get("gone")).value == Secret("of gone")


async def _upgrade_to(url, revision):
    def run(connection):
        config = alembic_config()
        config.attributes.update(connection=connection, applied=[])
        command.upgrade(config, revision)

    async with _raw(url) as connection:
        await connection.run_sync(run)


@asynccontextmanager
async def _raw(url):
    driver = url.replace("sqlite://", "sqlite+aiosqlite://").replace("postgresql://", "postgresql+asyncpg://")
    engine = create_async_engine(driver)
    async with engine.begin() as connection:
        yield connection
    await engine.dispose()
