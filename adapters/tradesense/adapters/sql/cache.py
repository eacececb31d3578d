"""Leases in a table, timed by the database's clock alone."""

from __future__ import annotations

import asyncio
from typing import Any

from sqlalchemy import BigInteger, bindparam, case, cast, update
from sqlalchemy.types import Double

from tradesense.adapters.sql import _upsert
from tradesense.adapters.sql._database import Database
from tradesense.adapters.sql._fences import SqlFences
from tradesense.adapters.sql._limiter import SqlLimiter
from tradesense.adapters.sql._now import database_now
from tradesense.adapters.sql._room import Room, database_of
from tradesense.adapters.sql._tables import leases
from tradesense.adapters.sql.settings import SqlSettings
from tradesense.core.ambient import Random
from tradesense.core.cache.models import Lease, check_lease
from tradesense.core.cache.ports import LockProvider
from tradesense.core.errors import LocksUnavailable
from tradesense.core.finishing import finish
from tradesense.plugins.manifest import AdapterContext

OWNER_BYTES = 16
FIRST_PAUSE = 0.01
LONGEST_PAUSE = 0.25
"""Seconds between two tries; each pause is twice the one before, less up to a half at random."""


_UNTIL = database_now() + bindparam("ttl", type_=Double)
_FLOOR = cast(database_now() * 1_000_000, BigInteger)
"""What no token is below: so tokens go on growing where leases of another provider came before."""
_OURS = (
    leases.c.name == bindparam("of"),
    leases.c.owner == bindparam("holder"),
    leases.c.token == bindparam("fence"),
    leases.c.expires_at > database_now(),
)
_RENEW = update(leases).where(*_OURS).values(expires_at=_UNTIL)
_RELEASE = update(leases).where(*_OURS).values(expires_at=0, owner="")


class SqlLockProvider(Room):
    """See :class:`LockProvider`. A lease never joins a transaction: others must see it at once.

    A released lease keeps its row, so that its fencing token goes on growing.
    """

    unavailable = LocksUnavailable

    def __init__(self, database: Database, *, random: Random) -> None:
        super().__init__(database)
        self._random = random

    async def acquire(self, name: str, ttl: float, *, wait: float = 0) -> Lease | None:
        """See :meth:`LockProvider.acquire`. Those who wait ask again, at growing intervals."""
        database = self._apart()
        check_lease(name, ttl)
        now = asyncio.get_running_loop().time
        until = now() + wait
        pause = FIRST_PAUSE
        while True:
            lease = await self._tried(database, name, ttl)
            left = until - now()
            if lease is not None or left <= 0:
                return lease
            await asyncio.sleep(min(left, pause * self._jitter()))
            pause = min(LONGEST_PAUSE, pause * 2)

    async def renew(self, lease: Lease) -> bool:
        """See :meth:`LockProvider.renew`."""
        return await _changed(self._apart(), _RENEW, _key(lease) | {"ttl": lease.ttl})

    async def release(self, lease: Lease) -> bool:
        """See :meth:`LockProvider.release`."""
        return await _changed(self._apart(), _RELEASE, _key(lease))

    async def _tried(self, database: Database, name: str, ttl: float) -> Lease | None:
        """Try once. A cancellation waits for the outcome, and gives back what was taken."""
        trial = asyncio.ensure_future(self._take(database, name, ttl))
        try:
            return await asyncio.shield(trial)
        except asyncio.CancelledError:
            await finish(_undone(database, trial))
            raise

    async def _take(self, database: Database, name: str, ttl: float) -> Lease | None:
        owner = self._random.bytes(OWNER_BYTES).hex()
        row = _upsert.insert(database.dialect, leases).values(name=name, owner=owner, token=_FLOOR, expires_at=_UNTIL)
        token = case((leases.c.token >= row.excluded.token, leases.c.token + 1), else_=row.excluded.token)
        statement = row.on_conflict_do_update(
            index_elements=["name"],
            set_={"owner": row.excluded.owner, "token": token, "expires_at": row.excluded.expires_at},
            where=leases.c.expires_at <= database_now(),
        ).returning(leases.c.token)
        async with database.committing(LocksUnavailable, alone=True) as connection:
            given = (await connection.execute(statement, {"ttl": ttl})).scalar_one_or_none()
        return None if given is None else Lease(name=name, owner=owner, token=given, ttl=ttl)

    def _apart(self) -> Database:
        """The database, provided that a statement outside the task's own transaction can go on beside it.

        :raises LocksUnavailable: it would wait for the very transaction that waits for it.
        """
        database = self._ready()
        if database.one_writer and database.in_transaction:
            raise LocksUnavailable(
                "on SQLite no lease can be taken or given back inside a transaction",
                mend="acquire it before the transaction begins and release it after the end",
            )
        return database

    def _jitter(self) -> float:
        """Between a half and one."""
        return 0.5 + self._random.bytes(1)[0] / 512


async def _undone(database: Database, trial: asyncio.Task[Lease | None]) -> None:
    """Wait for a try that nobody waits for any more, and give back what it took."""
    await asyncio.wait([trial])
    if trial.cancelled() or trial.exception() is not None:
        return
    lease = trial.result()
    if lease is not None:
        await _changed(database, _RELEASE, _key(lease))


async def _changed(database: Database, statement: Any, parameters: dict[str, Any]) -> bool:
    async with database.committing(LocksUnavailable, alone=True) as connection:
        return bool((await connection.execute(statement, parameters)).rowcount > 0)


def _key(lease: Lease) -> dict[str, Any]:
    return {"of": lease.name, "holder": lease.owner, "fence": lease.token}


def lock_provider(settings: SqlSettings, context: AdapterContext) -> SqlLockProvider:
    """The factory that the manifest names."""
    return SqlLockProvider(database_of(settings, context), random=context.random)


def fences_of(settings: SqlSettings, context: AdapterContext) -> SqlFences:
    """The factory of the fences."""
    return SqlFences(database_of(settings, context))


def rate_limiter(settings: SqlSettings, context: AdapterContext) -> SqlLimiter:
    """The factory of the limiter."""
    return SqlLimiter(database_of(settings, context))


_: type[LockProvider] = SqlLockProvider
