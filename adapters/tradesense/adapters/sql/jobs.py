"""The outbox: jobs in a table, written in the transaction that causes them."""

from __future__ import annotations

import logging
from collections.abc import Sequence

import msgspec
from sqlalchemy import Double, bindparam, delete, func, literal, select, update

from tradesense.adapters.sql import _upsert
from tradesense.adapters.sql._now import database_now
from tradesense.adapters.sql._query import Query
from tradesense.adapters.sql._room import Room, database_of
from tradesense.adapters.sql._tables import outbox, outbox_keys
from tradesense.adapters.sql.settings import SqlSettings
from tradesense.core.errors import JobQueueUnavailable
from tradesense.core.jobs.models import Job, digest, encode_bounded
from tradesense.core.jobs.ports import Outbox
from tradesense.plugins.manifest import AdapterContext

_log = logging.getLogger(__name__)

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
    .returning(outbox.c.seq, outbox.c.id, outbox.c.job)
)
_OF = outbox.c.id.in_(bindparam("ids", expanding=True))
_DONE = delete(outbox).where(_OF)
_FREE_KEYS = delete(outbox_keys).where(outbox_keys.c.key.in_(select(outbox.c.key).where(_OF)))
_GIVE_BACK = update(outbox).where(_OF).values(held_until=0)
_GIVE_BACK_LATER = update(outbox).where(_OF).values(held_until=database_now() + bindparam("hold", type_=Double))
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
        row = encode_bounded(job).decode()
        key = digest(job.name, job.key) if job.key else None
        async with database.writing(self.unavailable) as connection:
            if key is not None:
                known = _upsert.insert(database.dialect, outbox_keys).values(key=key, added_at=database_now())
                if (await connection.execute(known.on_conflict_do_nothing(index_elements=["key"]))).rowcount == 0:
                    return False
            kept = _upsert.insert(database.dialect, outbox).values(id=job.id, key=key, job=row, held_until=0)
            if (await connection.execute(kept.on_conflict_do_nothing(index_elements=["id"]))).rowcount:
                return True
            if key is not None:  # it was new, and is of no job
                await connection.execute(delete(outbox_keys).where(outbox_keys.c.key == key))
        return False

    async def take(self, limit: int, hold: float) -> Sequence[Job]:
        """See :meth:`Outbox.take`. Where there is nothing to take, it costs a read and no write.

        A row that cannot be read, as a later release wrote it, stays where it is and holds up no other: each time that
        its hold ends the log says so.
        """
        database = self._ready()
        if not await database.fetch(_ANY_FREE, {}, self.unavailable):
            return ()
        async with database.committing(self.unavailable, alone=True) as connection:
            rows = (await connection.execute(_TAKE, {"most": limit, "hold": hold})).all()
        found = (_read(id_, job) for _, id_, job in sorted(rows, key=lambda row: row[0]))
        return [job for job in found if job is not None]

    async def done(self, ids: Sequence[str], *, free: bool = False) -> None:
        """See :meth:`Outbox.done`."""
        which = {"ids": list(ids)}
        if not free:
            await self._ready().change(_DONE, which, self.unavailable)
            return
        async with self._ready().writing(self.unavailable) as connection:
            await connection.execute(_FREE_KEYS, which)
            await connection.execute(_DONE, which)

    async def give_back(self, ids: Sequence[str], *, after: float = 0) -> None:
        """See :meth:`Outbox.give_back`."""
        which = {"ids": list(ids)}
        if after > 0:
            await self._ready().change(_GIVE_BACK_LATER, which | {"hold": after}, self.unavailable)
        else:
            await self._ready().change(_GIVE_BACK, which, self.unavailable)

    async def waiting(self) -> int:
        """See :meth:`Outbox.waiting`."""
        rows = await self._ready().fetch(_WAITING, {}, self.unavailable)
        return int(rows[0][0])

    async def forget(self, age: float) -> int:
        """See :meth:`Outbox.forget`."""
        return await self._ready().change(_FORGET, {"age": age}, self.unavailable)


def _read(id_: str, row: str) -> Job | None:
    try:
        return msgspec.json.decode(row, type=Job)
    except (msgspec.DecodeError, UnicodeError):
        # The decoder's traceback tells nothing of who wrote it.
        _log.error("the job %r of the outbox cannot be read and stays there; a later release may have written it", id_)
        return None


def outbox_of(settings: SqlSettings, context: AdapterContext) -> SqlOutbox:
    """The factory that the manifest names."""
    return SqlOutbox(database_of(settings, context))


_: type[Outbox] = SqlOutbox
