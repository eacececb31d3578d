"""What a session, a flag and a secret read from PostgreSQL cost beside the same select through asyncpg's own pool."""

from __future__ import annotations

import asyncio
import base64
import tempfile
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import AsyncExitStack, asynccontextmanager
from datetime import timedelta
from pathlib import Path
from statistics import median
from typing import Any

import asyncpg
from sqlalchemy.dialects.postgresql.asyncpg import PGDialect_asyncpg

from servers import Postgres, own
from tradesense.adapters.sql._query import Query
from tradesense.adapters.sql._secrets import CURRENT
from tradesense.adapters.sql._sessions import BY_TOKEN
from tradesense.adapters.sql.flags import FLAGS
from tradesense.core.flags.models import Flag
from tradesense.core.flags.ports import FlagStore
from tradesense.core.identity.models import Session, User
from tradesense.core.identity.ports import IdentityStore
from tradesense.core.secrets.ports import SecretStore
from tradesense.core.sensitive import Secret
from tradesense.entrypoints import parts
from tradesense.entrypoints.adapters import Adapters
from tradesense.entrypoints.database import upgrade_database
from tradesense.plugins.manager import load as load_plugins
from tradesense.settings.load import load as load_settings

CALLERS = 60
ROWS = 200
CONNECTIONS = 10
SECONDS = 0.1
"""For each sample: short, so that what else the machine does meets both alike."""
SAMPLES = 36
TOKEN = 32

Call = Callable[[int], Awaitable[Any]]


async def micros(call: Call) -> float:
    """Microseconds a call, of so many callers at once."""
    done, began = 0, time.perf_counter()

    async def one(number: int) -> None:
        nonlocal done
        while time.perf_counter() < began + SECONDS:
            await call(number % ROWS)
            number += CALLERS
            done += 1

    await asyncio.gather(*(one(number) for number in range(CALLERS)))
    return (time.perf_counter() - began) / done * 1e6


async def compared(ours: Call, peer: Call) -> tuple[float, float]:
    """The medians of both, sampled in turn."""
    await micros(ours), await micros(peer)
    found: dict[Call, list[float]] = {ours: [], peer: []}
    for number in range(SAMPLES):
        for call in (ours, peer) if number % 2 else (peer, ours):  # neither always goes first
            found[call].append(await micros(call))
    return median(found[ours]), median(found[peer])


@asynccontextmanager
async def opened(url: str, folder: str) -> AsyncIterator[tuple[Adapters, asyncpg.Pool]]:
    """The adapters of a deployment on PostgreSQL with its schema, and a pool of as many connections beside them."""
    plugins = load_plugins()
    env = {
        "ENVIRONMENT": "testing",
        "DATABASE_URL": url,
        "TRADESENSE_DATABASE__POOL_SIZE": str(CONNECTIONS),
        "TRADESENSE_DATABASE__MAX_OVERFLOW": "0",
        "TRADESENSE_DATABASE__POOL_TIMEOUT": "30",
        "TRADESENSE_SECRETS__LOCAL__ROOT_KEY": base64.b64encode(bytes(range(32))).decode(),
    }
    settings = load_settings(env, directory=Path(folder), plugins=plugins).settings
    await upgrade_database(settings)
    adapters = Adapters(settings, plugins)
    adapters.context.chain = parts.audit_chain(adapters, settings)
    adapters.context.sealer = lambda: parts.sealer(adapters, settings)
    for port in (IdentityStore, FlagStore, SecretStore):
        adapters.choose(port, "sql", "benchmark")
    async with AsyncExitStack() as stack:
        await adapters.open(stack)
        pool = await asyncpg.create_pool(url, min_size=CONNECTIONS, max_size=CONNECTIONS)
        try:
            yield adapters, pool
        finally:
            await pool.close()


def measured(kind: str) -> tuple[float, float]:
    """Microseconds of a read of that kind, and of asyncpg's run of the same select by the same keys."""

    async def run(url: str, folder: str) -> tuple[float, float]:
        async with opened(url, folder) as (adapters, pool):
            ours, query, keys = await KINDS[kind](adapters)
            bare = query.compile(PGDialect_asyncpg())
            values = [bare.values(key) for key in keys]
            return await compared(ours, lambda number: pool.fetch(bare.sql, *values[number]))

    with own(Postgres) as server, tempfile.TemporaryDirectory() as folder:
        return asyncio.run(run(server.server.url(), folder))


async def _sessions(adapters: Adapters) -> tuple[Call, Query, list[dict[str, Any]]]:
    store, now = adapters.choose(IdentityStore, "sql", "benchmark"), adapters.clock.now()
    user = User(id="u", email="a@b.c", email_key="a@b.c", password_hash=Secret("x"), created_at=now)
    await store.users.add(user)
    hashes = [number.to_bytes(TOKEN) for number in range(ROWS)]
    for number, token_hash in enumerate(hashes):
        await store.sessions.add(
            Session(
                id=f"{number}",
                token_hash=token_hash,
                user_id=user.id,
                user_epoch=0,
                created_at=now,
                last_seen_at=now,
                expires_at=now + timedelta(days=1),
            )
        )
    keys = [{"token_hash": token_hash} for token_hash in hashes]
    return lambda n: store.sessions.find(hashes[n]), BY_TOKEN, keys


async def _flags(adapters: Adapters) -> tuple[Call, Query, list[dict[str, Any]]]:
    store = adapters.choose(FlagStore, "sql", "benchmark")
    keys = [f"flag-{number}" for number in range(ROWS)]
    for key in keys:
        await store.put(Flag(key=key, variants={"on": True, "off": False}, default_variant="off"))
    return lambda n: store.get(keys[n]), FLAGS.one, [{"key": key} for key in keys]


async def _secrets(adapters: Adapters) -> tuple[Call, Query, list[dict[str, Any]]]:
    store: Any = adapters.choose(SecretStore, "sql", "benchmark")
    paths = [f"bench/{number}" for number in range(ROWS)]
    for path in paths:
        await store.put(path, Secret("x" * 32))
    now = adapters.clock.now()
    return lambda n: store.get(paths[n]), CURRENT, [{"path": path, "now": now} for path in paths]


KINDS = {"session": _sessions, "flag": _flags, "secret": _secrets}
