"""Writes that a holder who has lost its lease can no longer make."""

from __future__ import annotations

from sqlalchemy import BigInteger, Text, bindparam

from tradesense.adapters.sql import _upsert
from tradesense.adapters.sql._room import Room
from tradesense.adapters.sql._tables import fences
from tradesense.core.cache.models import Lease
from tradesense.core.cache.ports import Fences
from tradesense.core.errors import DatabaseUnavailable, LeaseLost


class SqlFences(Room):
    """The greatest token of each name, in a table (SECURITY F08). See :class:`Fences`."""

    async def guard(self, lease: Lease) -> None:
        """See :meth:`Fences.guard`. The row of the name is held until the transaction ends."""
        database = self._ready()
        if not database.in_transaction:
            raise DatabaseUnavailable("a guarded write needs a transaction", mend="open one around guard and write")
        row = _upsert.insert(database.dialect, fences).values(
            name=bindparam("of", type_=Text), token=bindparam("fence", type_=BigInteger)
        )
        statement = row.on_conflict_do_update(
            index_elements=["name"],
            set_={"token": row.excluded.token},
            where=fences.c.token <= row.excluded.token,
        ).returning(fences.c.token)
        # The inner part of a transaction: when it is refused, the outer one cannot be committed either.
        async with database.begin(), database.writing() as connection:
            passed = await connection.execute(statement, {"of": lease.name, "fence": lease.token})
            if passed.scalar_one_or_none() is None:
                raise LeaseLost(f"the lease {lease.name!r} has a later holder, who has written since")


_: type[Fences] = SqlFences
