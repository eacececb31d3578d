"""Definitions of one kind, flags or segments, in a table of what is current beside a table of all revisions."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Generic, TypeVar

import msgspec
from sqlalchemy import Insert, Select, Table, Update, bindparam, false, insert, select, update
from sqlalchemy.ext.asyncio import AsyncConnection

from tradesense.adapters.sql._database import Database
from tradesense.adapters.sql._pages import page
from tradesense.adapters.sql._query import Query, Row
from tradesense.adapters.sql._room import Room
from tradesense.adapters.sql._tables import flag_generation
from tradesense.core.ambient import Clock
from tradesense.core.flags.keys import check_key
from tradesense.core.flags.kinds import Kind
from tradesense.core.flags.models import Flag, Segment, Stored
from tradesense.core.paging import Page, check_cursor

D = TypeVar("D", bound=Flag | Segment)
S = TypeVar("S", bound=Stored)

GENERATION = Query(select(flag_generation.c.value))
_TURN = select(flag_generation.c.value).with_for_update()
_NEXT = update(flag_generation).values(value=flag_generation.c.value + 1)
_NAMES = ("definition", "revision", "updated_at", "updated_by", "deleted", "digest")


@dataclass(frozen=True, slots=True)
class Statements:
    """What is asked of the two tables of a kind."""

    one: Query
    all: Query
    history: Query
    state: Select[Any, Any, Any]
    add: Insert
    change: Update
    keep: Insert

    @classmethod
    def of(cls, current: Table, revisions: Table) -> Statements:
        """Those of a kind."""
        columns = current.c
        stored = select(*(columns[name] for name in _NAMES)).where(columns.deleted == false())
        past = select(*(revisions.c[name] for name in _NAMES)).where(revisions.c.key == bindparam("key"))
        return cls(
            one=Query(stored.where(columns.key == bindparam("key"))),
            all=Query(stored.where(columns.key > bindparam("after")).order_by(columns.key).limit(bindparam("limit"))),
            history=Query(past.order_by(revisions.c.revision), lagging=True),
            state=select(columns.revision, columns.deleted, columns.definition).where(columns.key == bindparam("key")),
            add=insert(current),
            change=update(current)
            .where(columns.key == bindparam("of"))
            .values({name: bindparam(name) for name in _NAMES}),
            keep=insert(revisions),
        )


class SqlDefinitions(Room, Generic[D, S]):
    """See :class:`WritableDefinitionStore`.

    Writers take turns at the row that holds the generation, so that it and the definition change together, and a reader
    who sees a generation sees every change up to it.
    """

    def __init__(self, database: Database, *, clock: Clock, kind: Kind[D, S], statements: Statements) -> None:
        super().__init__(database)
        self._clock = clock
        self._kind = kind
        self._statements = statements

    async def get(self, key: str) -> S:
        """See :meth:`DefinitionStore.get`."""
        rows = await self._ready().fetch(self._statements.one, {"key": key})
        if not rows:
            raise self._kind.missing(key)
        return self._stored(rows[0])

    async def put(self, definition: D, /, *, expected: int | None = None, by: str = "") -> S:
        """See :meth:`WritableDefinitionStore.put`."""
        key, text = definition.key, msgspec.json.encode(definition).decode()
        async with self._ready().writing() as connection:
            state = await self._turn(connection, key)
            last = state[0] if state else 0
            self._kind.expect(key, 0 if state is None or state[1] else last, expected)
            return await self._write(connection, key, text, revision=last + 1, by=by)

    async def delete(self, key: str, *, expected: int | None = None, by: str = "") -> None:
        """See :meth:`WritableDefinitionStore.delete`."""
        async with self._ready().writing() as connection:
            state = await self._turn(connection, key)
            if state is None or state[1]:
                raise self._kind.missing(key)
            self._kind.expect(key, state[0], expected)
            await self._write(connection, key, state[2], revision=state[0] + 1, by=by, deleted=True)

    async def list(self, *, cursor: str | None = None, limit: int = 100) -> Page[S]:
        """See :meth:`DefinitionStore.list`."""
        after = check_cursor(cursor, check_key)
        rows = await self._ready().fetch(self._statements.all, {"after": after or "", "limit": limit + 1})
        return page([self._stored(row) for row in rows], limit, lambda stored: self._kind.of(stored).key)

    async def history(self, key: str) -> Sequence[S]:
        """See :meth:`WritableDefinitionStore.history`."""
        return tuple(self._stored(row) for row in await self._ready().fetch(self._statements.history, {"key": key}))

    async def generation(self) -> int:
        """See :meth:`DefinitionStore.generation`."""
        rows = await self._ready().fetch(GENERATION, {})
        return int(rows[0][0])

    async def _turn(self, connection: AsyncConnection, key: str) -> Row | None:
        """Take this writer's turn; the last revision of the key, whether it is a removal, and its definition."""
        await connection.execute(_TURN)
        row: Row | None = (await connection.execute(self._statements.state, {"key": key})).first()
        return row

    async def _write(
        self, connection: AsyncConnection, key: str, text: str, *, revision: int, by: str, deleted: bool = False
    ) -> S:
        definition = msgspec.json.decode(text, type=self._kind.definition)
        stored = self._kind.revision(definition, revision=revision, at=self._clock.now(), by=by, deleted=deleted)
        row = {name: getattr(stored, name) for name in _NAMES if name != "definition"} | {"definition": text}
        if revision == 1:
            await connection.execute(self._statements.add, row | {"key": key})
        else:
            await connection.execute(self._statements.change, row | {"of": key})
        await connection.execute(self._statements.keep, row | {"key": key})
        await connection.execute(_NEXT)
        return stored

    def _stored(self, row: Row) -> S:
        text, revision, updated_at, updated_by, deleted, digest = row
        return self._kind.revision(
            msgspec.json.decode(text, type=self._kind.definition),
            revision=revision,
            at=updated_at,
            by=updated_by,
            deleted=deleted,
            digest=digest,
        )
