"""The audit trail in a table, one chain for each stream."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC
from functools import cache

from sqlalchemy import BigInteger, bindparam, insert, select, update
from sqlalchemy.ext.asyncio import AsyncConnection

from tradesense.adapters.sql import _upsert
from tradesense.adapters.sql._database import Database
from tradesense.adapters.sql._query import Query, Row
from tradesense.adapters.sql._room import Room, database_of
from tradesense.adapters.sql._tables import audit_heads, audit_records
from tradesense.adapters.sql._trail import HEAD_COLUMNS, MAX_SEQ, RECORD_COLUMNS, head_in, indexed, record_of, row_of
from tradesense.adapters.sql.settings import SqlSettings
from tradesense.core.ambient import Clock
from tradesense.core.audit.chain import AuditChain
from tradesense.core.audit.models import AuditEntry, AuditHead, AuditQuery, AuditRecord
from tradesense.core.audit.ports import AuditLog
from tradesense.core.errors import AuditChainBroken, AuditUnavailable, Conflict, InvalidInput
from tradesense.core.paging import Page
from tradesense.plugins.manifest import AdapterContext

ROOM_MARK = ".*"
AFTER_DOT = "/"
"""The character after ``.``: where the actions of a room end."""

_HEAD = select(*HEAD_COLUMNS).where(audit_heads.c.stream == bindparam("stream"))
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
        try:
            async with self._ready().writing(self.unavailable) as connection:
                head = await self._locked(connection)
                # the instant is taken at one's turn, and in UTC, so that the chain's instants ascend and hash alike
                record = self._chain.link(head, entry, self._clock.now().astimezone(UTC))
                await connection.execute(_ADD, row_of(record))
                await connection.execute(_MOVE, {"of": record.stream, "seq": record.seq, "hash": record.hash})
        except (AuditChainBroken, Conflict) as error:
            # Nobody asked for anything that contradicts: a row is there that the head does not know, or the head is
            # none. Until that is mended, nothing can be recorded.
            raise AuditUnavailable(
                f"the audit trail has been changed: {error.detail}", mend="run `tradesense audit verify`"
            ) from error
        return record

    async def read(
        self,
        query: AuditQuery | None = None,
        *,
        cursor: str | None = None,
        limit: int = 100,
        newest_first: bool = False,
    ) -> Page[AuditRecord]:
        """See :meth:`AuditLog.read`."""
        database = self._ready()
        asked = query or AuditQuery()
        room = asked.action.endswith(ROOM_MARK)
        action = asked.action.removesuffix("*") if room else indexed(asked.action)
        statement = matching(
            action=bool(asked.action),
            room=room,
            actor=bool(asked.actor_id),
            subject=bool(asked.subject),
            begun=cursor is not None,
            newest_first=newest_first,
        )
        seq = None if cursor is None else _seq(cursor)
        rows = await database.fetch(
            statement,
            {
                "stream": self._chain.stream,
                "cursor": seq,
                "limit": limit + 1,
                "action": action,
                "beyond": action[:-1] + AFTER_DOT,
                "actor_id": indexed(asked.actor_id),
                "subject": indexed(asked.subject),
            },
            self.unavailable,
        )
        return self._page(rows, limit, seq or 0)

    async def head(self) -> AuditHead:
        """See :meth:`AuditLog.head`."""
        rows = await self._ready().fetch(_HEAD_NOW, {"stream": self._chain.stream}, self.unavailable)
        return head_in(self._chain.stream, rows[0]) if rows else self._chain.empty()

    def _page(self, rows: Sequence[Row], limit: int, seq: int) -> Page[AuditRecord]:
        """The page of these rows, up to the first that holds no record.

        :raises AuditChainBroken: already the first holds none.
        """
        records: list[AuditRecord] = []
        for row in rows[:limit]:
            try:
                records.append(record_of(self._chain.stream, row, seq=(records[-1].seq if records else seq) + 1))
            except AuditChainBroken:
                if not records:
                    raise
                break
        whole = len(records) == len(rows)
        return Page(items=tuple(records), cursor=None if whole else str(records[-1].seq))

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
        return head_in(stream, tuple(row))


@cache
def matching(
    *, action: bool, room: bool, actor: bool, subject: bool, begun: bool = True, newest_first: bool = False
) -> Query:
    """The query for a page of records, with the filters that are asked for and no others.

    :param begun: whether the page follows another one. The first has no bound, so that a row with a number that no
        record has is seen as well.
    """
    records = audit_records.c
    statement = select(*RECORD_COLUMNS).where(records.stream == bindparam("stream"))
    if begun:
        cursor = bindparam("cursor", type_=BigInteger)
        statement = statement.where(records.seq < cursor if newest_first else records.seq > cursor)
    if room:
        statement = statement.where(records.action >= bindparam("action"), records.action < bindparam("beyond"))
    elif action:
        statement = statement.where(records.action == bindparam("action"))
    if actor:
        statement = statement.where(records.actor_id == bindparam("actor_id"))
    if subject:
        statement = statement.where(records.subject == bindparam("subject"))
    return Query(statement.order_by(records.seq.desc() if newest_first else records.seq).limit(bindparam("limit")))


def _seq(cursor: str) -> int:
    if cursor.isascii() and cursor.isdecimal() and int(cursor) <= MAX_SEQ:
        return int(cursor)
    raise InvalidInput("the cursor is not one that this trail gave out", mend="begin without a cursor")


def audit_log(settings: SqlSettings, context: AdapterContext) -> SqlAuditLog:
    """The factory that the manifest names."""
    return SqlAuditLog(database_of(settings, context), chain=context.chain, clock=context.clock)


_: type[AuditLog] = SqlAuditLog
