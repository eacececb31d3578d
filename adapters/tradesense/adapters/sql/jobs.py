"""The outbox: jobs in a table, written in the transaction that causes them."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence

import msgspec
from sqlalchemy import Double, bindparam, delete, func, literal, select, update

from tradesense.adapters.sql import _upsert
from tradesense.adapters.sql._now import database_now
from tradesense.adapters.sql._query import Query
from tradesense.adapters.sql._room import Room, database_of
from tradesense.adapters.sql._tables import outbox, outbox_keys
from tradesense.adapters.sql.settings import SqlSettings
from tradesense.core.errors import InvalidInput, JobQueueUnavailable
from tradesense.core.jobs.models import Job
from tradesense.core.jobs.ports import Outbox
from tradesense.plugins.manifest import AdapterContext

_FREE = outbox.c.held_until <= database_now()
_ANY_FREE = Query(select(literal(1)).where(select(outbox.c.seq).where(_FREE).exists()))
_WAITING = Query(select(func.count()).select_from(outbox))
_TAKE = (
    update(outbox)
    .where(
        outbox.c.seq.in_(
            select(outbox.c.seq)
            .where(_FREE)
            .order_by(outbox.c.seq)
            .limit(bindparam("most"))
            .with_for_update(skip_locked=True)  # SQLite, which takes one writer at a time, has no such clause
        )
    )
    .values(held_until=database_now() + bindparam("hold", type_=Double))
    .returning(outbox.c.seq, outbox.c.job)
)
_OF = outbox.c.id.in_(bindparam("ids", expanding=True))
_DONE = delete(outbox).where(_OF)
_GIVE_BACK = update(outbox).where(_OF).values(held_until=0)
_FORGET = delete(outbox_keys).where(
    outbox_keys.c.added_at <= database_now() - bindparam("age", type_=Double),
    ~select(outbox.c.seq).where(outbox.c.key == outbox_keys.c.key).exists(),
)


class SqlOutbox(Room):
    """See :class:`Outbox`. Holds are timed by the database's clock; relays pass over what others hold.

    A key is kept as its digest, in a table of its own, until it is forgotten.
    """

    unavailable = JobQueueUnavailable

    async def add(self, job: Job) -> bool:
        """See :meth:`Outbox.add`."""
        database = self._ready()
        try:
            row = msgspec.json.encode(job).decode()
        except (TypeError, ValueError) as error:
            raise InvalidInput(f"the payload of the job {job.name!r} is not JSON") from error
        key = hashlib.sha256(job.key.encode()).digest() if job.key else None
        async with database.writing(self.unavailable) as connection:
            if key is not None:
                known = _upsert.insert(database.dialect, outbox_keys).values(key=key, added_at=database_now())
                if (await connection.execute(known.on_conflict_do_nothing(index_elements=["key"]))).rowcount == 0:
                    return False
            await connection.execute(outbox.insert().values(id=job.id, key=key, job=row, held_until=0))
        return True

    async def take(self, limit: int, hold: float) -> Sequence[Job]:
        """See :meth:`Outbox.take`. Where there is nothing to take, it costs a read and no write."""
        database = self._ready()
        if not await database.fetch(_ANY_FREE, {}, self.unavailable):
            return ()
        async with database.committing(self.unavailable, alone=True) as connection:
            rows = (await connection.execute(_TAKE, {"most": limit, "hold": hold})).all()
        return [msgspec.json.decode(job, type=Job) for _, job in sorted(rows, key=lambda row: row[0])]

    async def done(self, ids: Sequence[str]) -> None:
        """See :meth:`Outbox.done`."""
        await self._ready().change(_DONE, {"ids": list(ids)}, self.unavailable)

    async def give_back(self, ids: Sequence[str]) -> None:
        """See :meth:`Outbox.give_back`."""
        await self._ready().change(_GIVE_BACK, {"ids": list(ids)}, self.unavailable)

    async def waiting(self) -> int:
        """See :meth:`Outbox.waiting`."""
        rows = await self._ready().fetch(_WAITING, {}, self.unavailable)
        return int(rows[0][0])

    async def forget(self, age: float) -> int:
        """See :meth:`Outbox.forget`."""
        return await self._ready().change(_FORGET, {"age": age}, self.unavailable)


def outbox_of(settings: SqlSettings, context: AdapterContext) -> SqlOutbox:
    """The factory that the manifest names."""
    return SqlOutbox(database_of(settings, context))


_: type[Outbox] = SqlOutbox
