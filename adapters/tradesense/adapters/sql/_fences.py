"""Writes that a holder who has lost its lease can no longer make."""

from __future__ import annotations

from sqlalchemy import BigInteger, Text, bindparam

from tradesense.adapters.sql import _upsert
from tradesense.adapters.sql._database import Database
from tradesense.adapters.sql._tables import fences
from tradesense.core.cache.models import Lease
from tradesense.core.errors import DatabaseUnavailable, LeaseLost


async def guard(database: Database, lease: Lease) -> None:
    """Let the rest of this task's transaction happen only if no later holder of ``lease`` has written (SECURITY F08).

    Call it in the transaction that writes, before the write. It keeps the greatest fencing token that has come by under
    the name of the lease, whichever provider gave the lease, and holds that row until the transaction ends: two
    holders' writes are one after the other, and the earlier token never the later write.

    :raises LeaseLost: a later holder was here. The transaction can only be rolled back.
    :raises DatabaseUnavailable: the database does not answer, or no transaction is open that the write could be in.
    """
    if not database.in_transaction:
        raise DatabaseUnavailable("a guarded write needs a transaction", mend="open one around the guard and the write")
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
