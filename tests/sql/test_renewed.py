"""A database pool takes a rotated credential while it is used, and nobody's query fails."""

from __future__ import annotations

import asyncio
import secrets

import pytest
from sqlalchemy import make_url, text

from sqldatabases import platform, postgresql_database, sql
from tradesense.core.secrets.ports import SecretStore
from tradesense.core.sensitive import Secret


@pytest.fixture
def urls(postgres):
    """A database with tables, as two roles reach it."""
    with postgresql_database(postgres) as url:
        made, roles = [], [f"renewed_{letter}_{secrets.token_hex(4)}" for letter in "ab"]
        for role in roles:
            postgres.execute(f"CREATE ROLE {role} LOGIN SUPERUSER PASSWORD '{role}'")
            made.append(make_url(url).set(username=role, password=role).render_as_string(hide_password=False))
        yield made


async def test_a_pool_connects_with_a_rotated_credential_and_no_query_fails(urls):
    lent = platform()
    async with sql(SecretStore, urls[0], lent) as store:
        await store.put("a", Secret("x"))
        done, queries = asyncio.Event(), 0

        async def use():
            nonlocal queries
            while not done.is_set():
                assert (await store.get("a")).value == Secret("x")
                queries += 1

        async def user():
            async with store._shared.committing() as connection:
                return (await connection.execute(text("SELECT session_user"))).scalar_one()

        users = [asyncio.create_task(use()) for _ in range(10)]
        first = await user()
        (renewal,) = lent.renewals
        for url in (urls[1], urls[0], urls[1]):
            await renewal.renew(renewal.settings(url=Secret(url)))
            assert await user() == make_url(url).username
            before = queries
            while queries < before + 20:  # noqa: ASYNC110  # those who use it set no event
                await asyncio.sleep(0.01)
        done.set()
        await asyncio.gather(*users)
        assert first != await user()
