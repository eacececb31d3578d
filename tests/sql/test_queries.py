"""Reads on the hot path: one query, by an index, with the values that the columns promise."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest
from sqlalchemy import insert, text
from sqlalchemy.exc import StatementError

from sqldatabases import platform, sql
from tradesense.adapters.sql import _secrets, _sessions, audit, config, flags
from tradesense.adapters.sql._tables import sessions
from tradesense.core.audit.models import WORKER, Actor, AuditEntry, AuditQuery
from tradesense.core.audit.ports import AuditLog
from tradesense.core.errors import InvalidInput
from tradesense.core.identity.ports import IdentityStore
from tradesense.core.secrets.ports import SecretStore
from tradesense.core.sensitive import Secret
from tradesense.core.testing.identity.samples import with_session
from tradesense.core.transactions import Transactions

HOT = {
    "a session by its token": (_sessions.BY_TOKEN, {"token_hash": b"x"}),
    "a session by its id": (_sessions.BY_ID, {"id": "x"}),
    "a secret": (_secrets.CURRENT, {"path": "x", "now": datetime(2030, 1, 1, tzinfo=UTC)}),
    "a flag": (flags.FLAGS.one, {"key": "x"}),
    "a setting": (config.ONE, {"key": "x"}),
    "the audit trail of a subject": (
        audit.matching(action=False, room=False, actor=False, subject=True),
        {"stream": "main", "cursor": 0, "subject": "x", "limit": 10},
    ),
    "the audit trail of a room": (
        audit.matching(action=True, room=True, actor=False, subject=False),
        {"stream": "main", "cursor": 0, "action": "x.", "beyond": "x/", "limit": 10},
    ),
    "the end of the audit trail of an actor": (
        audit.matching(action=False, room=False, actor=True, subject=False, begun=False, newest_first=True),
        {"stream": "main", "actor_id": "x", "limit": 10},
    ),
}


@pytest.mark.parametrize("name", HOT)
async def test_a_hot_read_uses_indexes_alone(database_url, name):
    query, parameters = HOT[name]
    async with sql(Transactions, database_url) as unit, unit._shared.committing() as connection:
        compiled = query.compile(connection.dialect)
        if connection.dialect.name == "sqlite":
            rows = await connection.exec_driver_sql(
                f"EXPLAIN QUERY PLAN {compiled.sql}", tuple(compiled.values(parameters))
            )
            plan = [row[3] for row in rows]
            assert plan
            assert not [step for step in plan if step.startswith("SCAN")], plan
        else:
            await connection.execute(text("SET enable_seqscan = off"))
            raw = await connection.get_raw_connection()
            plan = [
                row[0]
                for row in await raw.driver_connection.fetch(f"EXPLAIN {compiled.sql}", *compiled.values(parameters))
            ]
            assert "Index" in "".join(plan)
            assert "Seq Scan" not in "".join(plan), plan


async def test_a_session_is_found_with_one_query(database_url, monkeypatch):
    async with sql(IdentityStore, database_url) as store:
        user, session = await with_session(store, methods=())
        asked = []
        backend = store._shared._backend
        fetch = backend.fetch

        async def counted(driver, statement, values):
            asked.append(statement)
            return await fetch(driver, statement, values)

        monkeypatch.setattr(backend, "fetch", counted)
        assert await store.sessions.find(session.token_hash) == (session, user)
        assert len(asked) == 1


async def test_the_two_ways_to_read_give_the_same(database_url):
    lent = platform()
    async with sql(Transactions, database_url, lent) as unit, sql(IdentityStore, database_url, lent) as store:
        user, session = await with_session(store, methods=("pwd", "otp"))
        await store.users.update(user)
        alone = await store.sessions.find(session.token_hash), await store.users.list(role="user")
        async with unit.begin():
            assert (await store.sessions.find(session.token_hash), await store.users.list(role="user")) == alone


async def test_an_instant_without_a_zone_is_not_stored(database_url):
    async with sql(Transactions, database_url) as unit:
        with pytest.raises(StatementError, match="time zone"):
            async with unit._shared.writing() as connection:
                await connection.execute(insert(sessions).values(id="x", created_at=datetime(2030, 1, 1)))  # noqa: DTZ001  # the point


async def test_the_database_alone_does_not_give_a_secret_away(database_url):
    async with sql(SecretStore, database_url) as store:
        await store.put("a/b", Secret("hunter2hunter2"))
        async with store._shared.committing() as connection:
            (envelope,) = (await connection.execute(text("SELECT envelope FROM secret_versions"))).scalars()
        assert b"hunter2" not in bytes(envelope)


async def test_the_trail_is_filtered_by_values_too_long_for_an_index(database_url):
    long, longer, nul = "s" * 5000, "s" * 5001, "a\0b"
    async with sql(AuditLog, database_url) as log:
        for subject in (long, longer, nul):
            await log.append(AuditEntry(action="test.append", subject=subject, actor=Actor(kind="user", id=subject)))
        for subject in (long, longer, nul):
            for query in (AuditQuery(subject=subject), AuditQuery(actor_id=subject)):
                assert [record.entry.subject for record in (await log.read(query)).items] == [subject]


@pytest.mark.parametrize("cursor", ["", "x", "-1", "²", "9" * 30])
async def test_a_cursor_of_someone_else_is_refused(sqlite_url, cursor):
    async with sql(AuditLog, sqlite_url) as log:
        await log.append(AuditEntry(action="test.append", subject="x", actor=WORKER))
        with pytest.raises(InvalidInput):
            await log.read(cursor=cursor)
