"""A process that holds leases and writes under them, told what to do line by line.

`fencing_holder.py PROVIDER URL DATABASE`; then `acquire NAME TTL`, `write VALUE`, `release`, each answered by one line.
"""

from __future__ import annotations

import asyncio
import sys
from contextlib import AsyncExitStack

from sqlalchemy import text

import contracted
import sqldatabases
from tradesense.adapters.redis import _client as redis
from tradesense.adapters.sql._fences import SqlFences
from tradesense.adapters.sql.transactions import SqlTransactions
from tradesense.core.cache.ports import LockProvider
from tradesense.core.errors import LeaseLost
from tradesense.core.sensitive import Secret

WRITE = text("UPDATE effects SET value = :value, token = :token WHERE name = :name")


class Holder:
    """One process's view: the provider of leases, and the database that is written."""

    def __init__(self, provider, url, database_url):
        self._stack = AsyncExitStack()
        self._provider, self._url, self._database_url = provider, url, database_url
        self.lease = None

    async def __aenter__(self):
        sql_locks = sqldatabases.sql(LockProvider, self._database_url)
        await self._stack.enter_async_context(sql_locks)
        self.transactions = await self._stack.enter_async_context(SqlTransactions(sql_locks._shared))
        self.fences = await self._stack.enter_async_context(SqlFences(sql_locks._shared))
        self._database = sql_locks._shared
        self._locks = sql_locks if self._provider == "sql" else await self._on_redis()
        return self

    async def _on_redis(self):
        platform, manifest = contracted.context(), contracted.manifest("redis", LockProvider)
        settings = {"url": Secret(self._url), "timeout": 5.0}
        await self._stack.enter_async_context(redis.shared(manifest.settings(**settings), platform))
        return await self._stack.enter_async_context(contracted.build(manifest, platform, **settings))

    async def __aexit__(self, *details):
        await self._stack.__aexit__(*details)

    async def acquire(self, name, ttl, wait=0.0):
        self.lease = await self._locks.acquire(name, float(ttl), wait=float(wait))
        return "none" if self.lease is None else str(self.lease.token)

    async def write(self, value):
        try:
            async with self.transactions.begin():
                await self.fences.guard(self.lease)
                values = {"value": value, "token": self.lease.token, "name": self.lease.name}
                await self._database.change(WRITE, values)
        except LeaseLost:
            return "refused"
        return "written"

    async def release(self):
        return str(await self._locks.release(self.lease))


def say(answer):
    sys.stdout.write(f"{answer}\n")
    sys.stdout.flush()


async def main(provider, url, database_url):
    async with Holder(provider, url, database_url) as holder:
        say("ready")
        loop = asyncio.get_running_loop()
        while line := await loop.run_in_executor(None, sys.stdin.readline):
            command, *words = line.split()
            say(await getattr(holder, command)(*words))


if __name__ == "__main__":
    asyncio.run(main(*sys.argv[1:]))
