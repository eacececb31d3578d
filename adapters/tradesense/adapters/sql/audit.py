"""The audit trail in a table, one chain for each stream."""

from __future__ import annotations

import hashlib
from datetime import UTC
from functools import cache
from typing import Any

from sqlalchemy import bindparam, insert, select, update
from sqlalchemy.ext.asyncio import AsyncConnection

from tradesense.adapters.sql import _upsert
from tradesense.adapters.sql._database import Database
from tradesense.adapters.sql._pages import page
from tradesense.adapters.sql._query import Query, Row
from tradesense.adapters.sql._room import Room, database_of
from tradesense.adapters.sql._tables import audit_heads, audit_records
from tradesense.adapters.sql.settings import SqlSettings
from tradesense.core.ambient import Clock
from tradesense.core.audit.chain import AuditChain
from tradesense.core.audit.models import AuditEntry, AuditHead, AuditQuery, AuditRecord
from tradesense.core.audit.ports import AuditLog
from tradesense.core.audit.service import decode_entry, encode_entry
from tradesense.core.errors import AuditUnavailable, InvalidInput
from tradesense.core.paging import Page
from tradesense.plugins.manifest import AdapterContext

INDEXED = 512
"""Characters of a value that are indexed as they are; an index entry has an upper bound on PostgreSQL."""

MAX_SEQ = 2**63 - 1
ROOM_MARK = ".*"
AFTER_DOT = "/"
"""The character after ``.``: where the actions of a room end."""

_HEAD = select(audit_heads.c.seq, audit_heads.c.hash).where(audit_heads.c.stream == bindparam("stream"))
_HEAD_NOW = Query(_HEAD)
_HEAD_LOCKED = _HEAD.with_for_update()
_ADD = insert(audit_records)
_MOVE = (
    update(audit_heads)
    .where(audit_heads.c.stream == bindparam("of"))
    .values(seq=bindparam("seq"), hash=bindparam("hash"))
)


class SqlAuditLog(Room):
    """See :class:`AuditLog`.

    Appends take turns at the row that holds the chain's head, until the transaction around them ends; append last.
    """

    unavailable = AuditUnavailable

    def __init__(self, database: Database, *, chain: AuditChain, clock: Clock) -> None:
        super().__init__(database)
        self._chain = chain
        self._clock = clock

    async def append(self, entry: AuditEntry) -> AuditRecord:
        """See :meth:`AuditLog.append`."""
        async with self._ready().writing(self.unavailable) as connection:
            head = await self._locked(connection)
            # the instant is taken at one's turn, and in UTC, so that the chain's instants ascend and hash alike
            record = self._chain.link(head, entry, self._clock.now().astimezone(UTC))
            await connection.execute(_ADD, _row(record))
            await connection.execute(_MOVE, {"of": record.stream, "seq": record.seq, "hash": record.hash})
        return record

    async def read(
        self, query: AuditQuery | None = None, *, cursor: str | None = None, limit: int = 100
    ) -> Page[AuditRecord]:
        """See :meth:`AuditLog.read`."""
        database = self._ready()
        asked = query or AuditQuery()
        room = asked.action.endswith(ROOM_MARK)
        action = asked.action.removesuffix("*") if room else indexed(asked.action)
        statement = matching(
            action=bool(asked.action), room=room, actor=bool(asked.actor_id), subject=bool(asked.subject)
        )
        rows = await database.fetch(
            statement,
            {
                "stream": self._chain.stream,
                "after": _seq(cursor),
                "limit": limit + 1,
                "action": action,
                "beyond": action[:-1] + AFTER_DOT,
                "actor_id": indexed(asked.actor_id),
                "subject": indexed(asked.subject),
            },
            self.unavailable,
        )
        return page([_record(self._chain.stream, row) for row in rows], limit, lambda record: str(record.seq))

    async def head(self) -> AuditHead:
        """See :meth:`AuditLog.head`."""
        rows = await self._ready().fetch(_HEAD_NOW, {"stream": self._chain.stream}, self.unavailable)
        return AuditHead(stream=self._chain.stream, seq=rows[0][0], hash=rows[0][1]) if rows else self._chain.empty()

    async def _locked(self, connection: AsyncConnection) -> AuditHead:
        """The head, which nobody else can move until this transaction ends; made when it is not there yet."""
        stream = self._chain.stream
        row = (await connection.execute(_HEAD_LOCKED, {"stream": stream})).first()
        if row is None:
            empty = self._chain.empty()
            first = _upsert.insert(connection.dialect.name, audit_heads).values(
                stream=stream, seq=empty.seq, hash=empty.hash
            )
            await connection.execute(first.on_conflict_do_nothing(index_elements=["stream"]))
            row = (await connection.execute(_HEAD_LOCKED, {"stream": stream})).one()
        return AuditHead(stream=stream, seq=row[0], hash=row[1])


def indexed(value: str) -> str:
    """``value`` as the indexed columns hold it: itself, or a digest where it is too long or holds a NUL."""
    if len(value) <= INDEXED and "\0" not in value:
        return value
    return f"sha256:{hashlib.sha256(value.encode()).hexdigest()}"


@cache
def matching(*, action: bool, room: bool, actor: bool, subject: bool) -> Query:
    """The query for a page of records, with the filters that are asked for and no others."""
    records = audit_records.c
    statement = select(records.seq, records.at, records.entry, records.previous, records.hash).where(
        records.stream == bindparam("stream"), records.seq > bindparam("after")
    )
    if room:
        statement = statement.where(records.action >= bindparam("action"), records.action < bindparam("beyond"))
    elif action:
        statement = statement.where(records.action == bindparam("action"))
    if actor:
        statement = statement.where(records.actor_id == bindparam("actor_id"))
    if subject:
        statement = statement.where(records.subject == bindparam("subject"))
    return Query(statement.order_by(records.seq).limit(bindparam("limit")))


def _row(record: AuditRecord) -> dict[str, Any]:
    return {
        "stream": record.stream,
        "seq": record.seq,
        "at": record.at,
        "entry": encode_entry(record.entry).decode(),
        "previous": record.previous,
        "hash": record.hash,
        "action": indexed(record.entry.action),
        "actor_id": indexed(record.entry.actor.id),
        "subject": indexed(record.entry.subject),
    }


def _record(stream: str, row: Row) -> AuditRecord:
    seq, at, entry, previous, digest = row
    return AuditRecord(stream=stream, seq=seq, at=at, entry=decode_entry(entry), previous=previous, hash=digest)


def _seq(cursor: str | None) -> int:
    if cursor is None:
        return 0
    if cursor.isascii() and cursor.isdecimal() and int(cursor) <= MAX_SEQ:
        return int(cursor)
    raise InvalidInput("the cursor is not one that this trail gave out", mend="begin without a cursor")


def audit_log(settings: SqlSettings, context: AdapterContext) -> SqlAuditLog:
    """The factory that the manifest names."""
    return SqlAuditLog(database_of(settings, context), chain=context.chain, clock=context.clock)


_: type[AuditLog] = SqlAuditLog
