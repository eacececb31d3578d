"""Flag definitions and exposures in tables."""

from __future__ import annotations

from collections.abc import Sequence

import msgspec
from sqlalchemy import bindparam, false, insert, select, update
from sqlalchemy.ext.asyncio import AsyncConnection

from tradesense.adapters.sql._database import Database
from tradesense.adapters.sql._pages import page
from tradesense.adapters.sql._query import Query, Row
from tradesense.adapters.sql._room import Room, database_of
from tradesense.adapters.sql._tables import exposures, flag_generation, flags
from tradesense.adapters.sql.settings import SqlSettings
from tradesense.core.ambient import Clock
from tradesense.core.errors import FlagConflict, FlagNotFound
from tradesense.core.flags.keys import check_key
from tradesense.core.flags.models import Exposure, Flag, StoredFlag
from tradesense.core.flags.ports import ExposureSink, FlagStore
from tradesense.core.paging import Page, check_cursor
from tradesense.plugins.manifest import AdapterContext

_STORED = select(flags.c.definition, flags.c.revision, flags.c.updated_at).where(flags.c.deleted == false())
ONE = Query(_STORED.where(flags.c.key == bindparam("key")))
_ALL = Query(_STORED.where(flags.c.key > bindparam("after")).order_by(flags.c.key).limit(bindparam("limit")))
GENERATION = Query(select(flag_generation.c.value))

_TURN = select(flag_generation.c.value).with_for_update()
_NEXT = update(flag_generation).values(value=flag_generation.c.value + 1)
_STATE = select(flags.c.revision, flags.c.deleted).where(flags.c.key == bindparam("key"))
_ADD = insert(flags)
_CHANGE = (
    update(flags)
    .where(flags.c.key == bindparam("of"))
    .values({name: bindparam(name) for name in ("revision", "definition", "updated_at", "deleted")})
)
_REMOVE = (
    update(flags)
    .where(flags.c.key == bindparam("of"))
    .values(deleted=True, revision=flags.c.revision + 1, updated_at=bindparam("updated_at"))
)
_EXPOSE = insert(exposures)


class SqlFlagStore(Room):
    """See :class:`FlagStore`.

    Writers take turns at the row that holds the generation, so that it and the flag change together, and a reader who
    sees a generation sees every change up to it.
    """

    def __init__(self, database: Database, *, clock: Clock) -> None:
        super().__init__(database)
        self._clock = clock

    async def get(self, key: str) -> StoredFlag:
        """See :meth:`FlagStore.get`."""
        rows = await self._ready().fetch(ONE, {"key": key})
        if not rows:
            raise FlagNotFound(f"there is no flag {key!r}")
        return _stored(rows[0])

    async def put(self, flag: Flag, *, expected: int | None = None) -> StoredFlag:
        """See :meth:`FlagStore.put`."""
        now = self._clock.now()
        definition = msgspec.json.encode(flag).decode()
        row = {"definition": definition, "updated_at": now, "deleted": False}
        async with self._ready().writing() as connection:
            current, last = await _revisions(connection, flag.key)
            _expect(flag.key, current, expected)
            if last == 0:
                await connection.execute(_ADD, row | {"key": flag.key, "revision": 1})
            else:
                await connection.execute(_CHANGE, row | {"of": flag.key, "revision": last + 1})
            await connection.execute(_NEXT)
        return _stored((definition, last + 1, now))

    async def delete(self, key: str, *, expected: int | None = None) -> None:
        """See :meth:`FlagStore.delete`."""
        async with self._ready().writing() as connection:
            current, _last = await _revisions(connection, key)
            if current == 0:
                raise FlagNotFound(f"there is no flag {key!r}")
            _expect(key, current, expected)
            await connection.execute(_REMOVE, {"of": key, "updated_at": self._clock.now()})
            await connection.execute(_NEXT)

    async def list(self, *, cursor: str | None = None, limit: int = 100) -> Page[StoredFlag]:
        """See :meth:`FlagStore.list`."""
        after = check_cursor(cursor, check_key)
        rows = await self._ready().fetch(_ALL, {"after": after or "", "limit": limit + 1})
        return page([_stored(row) for row in rows], limit, lambda stored: stored.flag.key)

    async def generation(self) -> int:
        """See :meth:`FlagStore.generation`."""
        rows = await self._ready().fetch(GENERATION, {})
        return int(rows[0][0])


class SqlExposureSink(Room):
    """See :class:`ExposureSink`."""

    async def record(self, exposures: Sequence[Exposure]) -> None:
        """See :meth:`ExposureSink.record`."""
        database = self._ready()
        if not exposures:
            return
        rows = [
            {"flag": one.flag, "variant": one.variant, "targeting_key": one.targeting_key, "at": one.at}
            for one in exposures
        ]
        async with database.writing() as connection:
            await connection.execute(_EXPOSE, rows)


async def _revisions(connection: AsyncConnection, key: str) -> tuple[int, int]:
    """Take this writer's turn; the flag's current revision, 0 for none, and the last one that it ever had."""
    await connection.execute(_TURN)
    row = (await connection.execute(_STATE, {"key": key})).first()
    if row is None:
        return 0, 0
    revision, deleted = row
    return (0 if deleted else revision), revision


def _expect(key: str, current: int, expected: int | None) -> None:
    if expected is not None and expected != current:
        raise FlagConflict(f"flag {key!r} has revision {current}, not {expected}", mend="read it again")


def _stored(row: Row) -> StoredFlag:
    definition, revision, updated_at = row
    return StoredFlag(flag=msgspec.json.decode(definition, type=Flag), revision=revision, updated_at=updated_at)


def flag_store(settings: SqlSettings, context: AdapterContext) -> SqlFlagStore:
    """The factory of the definitions, which the manifest names."""
    return SqlFlagStore(database_of(settings, context), clock=context.clock)


def exposure_sink(settings: SqlSettings, context: AdapterContext) -> SqlExposureSink:
    """The factory of the sink, which the manifest names."""
    return SqlExposureSink(database_of(settings, context))


_: type[FlagStore] = SqlFlagStore
_sink: type[ExposureSink] = SqlExposureSink
