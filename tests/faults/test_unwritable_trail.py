"""While nothing can be recorded nothing is changed and no secret is read; once it can, everything goes on by itself.

The platform is a role of the database here that owns no table and may not change what was recorded.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator, Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import asynccontextmanager
from dataclasses import dataclass
from urllib.parse import urlsplit

import asyncpg
import httpx2
import pytest

from client import Api
from platform_process import serving
from servers import next_number, wait_until
from sqldatabases import postgresql_database

CALLS = 100
AT_ONCE = 5
REPAIRED = 5.0
"""Seconds from the repair until changes are made again."""

RAISE = """
CREATE FUNCTION refuse() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN RAISE EXCEPTION 'the disk is full'; END $$;
CREATE TRIGGER refuse BEFORE INSERT ON audit_records FOR EACH ROW EXECUTE FUNCTION refuse()
"""


@dataclass
class Restricted:
    """A database, its owner's URL, and a role that may do what the platform needs and no more."""

    owner: str
    role: str
    url: str


@pytest.fixture
def owner_url(postgres) -> Iterator[str]:
    with postgresql_database(postgres) as url:
        yield url


@pytest.fixture
async def restricted(owner_url: str) -> AsyncIterator[Restricted]:
    role = f"app_{next_number('role')}"
    connection = await asyncpg.connect(owner_url)
    await connection.execute(
        f"""
        CREATE ROLE {role} LOGIN PASSWORD 'app';
        GRANT SELECT, INSERT, UPDATE, DELETE ON ALL TABLES IN SCHEMA public TO {role};
        GRANT USAGE ON ALL SEQUENCES IN SCHEMA public TO {role};
        REVOKE UPDATE, DELETE ON audit_records FROM {role};
        REVOKE DELETE ON audit_heads FROM {role};
        """
    )
    parts = urlsplit(owner_url)
    yield Restricted(owner_url, role, f"postgresql://{role}:app@{parts.hostname}:{parts.port}{parts.path}")
    await connection.execute(f"DROP OWNED BY {role}; DROP ROLE {role}")
    await connection.close()


@asynccontextmanager
async def owning(restricted: Restricted) -> AsyncIterator[asyncpg.Connection]:
    connection = await asyncpg.connect(restricted.owner)
    try:
        yield connection
    finally:
        await connection.close()


@asynccontextmanager
async def revoked(restricted: Restricted) -> AsyncIterator[None]:
    async with owning(restricted) as owner:
        await owner.execute(f"REVOKE INSERT ON audit_records FROM {restricted.role}")
        yield
        await owner.execute(f"GRANT INSERT ON audit_records TO {restricted.role}")


@asynccontextmanager
async def raising(restricted: Restricted) -> AsyncIterator[None]:
    async with owning(restricted) as owner:
        await owner.execute(RAISE)
        yield
        await owner.execute("DROP TRIGGER refuse ON audit_records; DROP FUNCTION refuse()")


@asynccontextmanager
async def locked(restricted: Restricted) -> AsyncIterator[None]:
    async with owning(restricted) as owner, owner.transaction():
        await owner.execute("LOCK TABLE audit_records IN ACCESS EXCLUSIVE MODE")
        yield


async def state(restricted: Restricted) -> dict[str, str]:
    """A digest of every table."""
    async with owning(restricted) as owner:
        tables = [row[0] for row in await owner.fetch("SELECT tablename FROM pg_tables WHERE schemaname = 'public'")]
        return {
            table: await owner.fetchval(
                f"SELECT md5(coalesce(string_agg(t::text, '|' ORDER BY t::text), '')) FROM {table} t"
            )
            for table in tables
            if table != "audit_records"
        }


def change(api: Api, number: int) -> httpx2.Response:
    """One of the calls that change something."""
    calls: list[Callable[[], httpx2.Response]] = [
        lambda: api.client.put(f"/api/v1/secrets/new-{number}", json={"value": "x"}),
        lambda: api.client.put("/api/v1/secrets/kept", json={"value": f"{number}"}),
        lambda: api.client.delete("/api/v1/secrets/kept"),
        lambda: api.client.post("/api/v1/secrets/kept/retention", json={"max_versions": number + 2}),
        lambda: api.client.put(
            f"/api/v1/flags/f-{number}",
            json={"key": f"f-{number}", "variants": {"on": True, "off": False}, "default_variant": "on"},
        ),
        lambda: api.client.put("/api/v1/settings/ui.theme", json={"value": f"{number}"}),
    ]
    return calls[number % len(calls)]()


@pytest.mark.timeout(240)
@pytest.mark.parametrize("broken", [revoked, raising, locked])
async def test_F01_while_nothing_can_be_recorded_nothing_is_changed(restricted: Restricted, broken):
    env = {
        "DATABASE_URL": restricted.url,
        "TRADESENSE_DATABASE__STATEMENT_TIMEOUT": "0.5",
        "TRADESENSE_DATABASE__POOL_TIMEOUT": "20",
    }
    with serving(env) as server, Api(server.url) as api, ThreadPoolExecutor(AT_ONCE) as pool:
        api.client.timeout = 60
        api.login(server.admin_email, server.admin_password)
        assert api.client.put("/api/v1/secrets/kept", json={"value": "kept"}).status_code == 200
        before = await state(restricted)
        async with broken(restricted):
            loop = asyncio.get_running_loop()
            answers = await asyncio.gather(
                *(loop.run_in_executor(pool, change, api, number) for number in range(CALLS)),
                *(loop.run_in_executor(pool, api.client.get, "/api/v1/secrets/kept") for _ in range(CALLS)),
            )
            assert {answer.status_code for answer in answers} == {503}
            assert {answer.headers["Content-Type"].partition(";")[0] for answer in answers} == {
                "application/problem+json"
            }
            assert not any(
                word in answer.text for answer in answers for word in ("disk is full", "audit_records", "kept")
            )
            assert await state(restricted) == before
            report = await asyncio.to_thread(api.client.get, "/health/ready")
            assert (report.status_code, report.json()["status"]) == (200, "degraded")
        began = time.monotonic()
        await asyncio.to_thread(
            wait_until, lambda: api.client.get("/health/ready").json()["status"] == "up", "well again", seconds=30
        )
        assert api.client.put("/api/v1/secrets/kept", json={"value": "again"}).status_code == 200
        assert time.monotonic() - began < REPAIRED
        assert api.client.get("/api/v1/secrets/kept").json()["value"] == "again"
        assert api.client.post("/api/v1/audit/verify").json()["ok"]


@pytest.mark.parametrize(
    "statement", ["UPDATE audit_records SET subject = 'x'", "DELETE FROM audit_records", "TRUNCATE audit_records"]
)
async def test_R62_the_role_of_the_platform_can_neither_change_nor_delete_a_record(
    restricted: Restricted, statement: str
):
    connection = await asyncpg.connect(restricted.url)
    try:
        with pytest.raises(asyncpg.InsufficientPrivilegeError):
            await connection.execute(statement)
    finally:
        await connection.close()
