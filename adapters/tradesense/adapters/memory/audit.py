"""The audit trail in memory."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from itertools import islice

import msgspec

from tradesense.adapters.memory._lifecycle import Lifecycle
from tradesense.adapters.memory._state import MemoryState, SortedTable, Table
from tradesense.core.ambient import Clock
from tradesense.core.audit.chain import AuditChain, head_of
from tradesense.core.audit.models import AuditEntry, AuditHead, AuditQuery, AuditRecord
from tradesense.core.audit.ports import AuditLog
from tradesense.core.errors import AuditUnavailable, DatabaseUnavailable, InvalidInput
from tradesense.core.paging import Page
from tradesense.plugins.manifest import AdapterContext, NoSettings


class _Rows:
    """Records are kept encoded, so that nobody who was given one can change the trail through it."""

    def __init__(self, state: MemoryState) -> None:
        self.records: SortedTable[int, bytes] = SortedTable(state)
        self.heads: Table[str, AuditHead] = Table(state)


class MemoryAuditLog(Lifecycle):
    """A hash chain that ends with the process. See :class:`AuditLog`."""

    def __init__(self, state: MemoryState, *, chain: AuditChain, clock: Clock) -> None:
        super().__init__()
        self.state = state
        self._rows = state.part(_Rows)
        self._chain = chain
        self._clock = clock

    async def append(self, entry: AuditEntry) -> AuditRecord:
        """See :meth:`AuditLog.append`."""
        self.check_open()
        try:
            async with self.state.begin():
                record = self._chain.link(self._head(), entry, self._clock.now())
                self._rows.records.put(record.seq, msgspec.msgpack.encode(record))
                self._rows.heads.put(record.stream, head_of(record))
        except DatabaseUnavailable as error:
            raise AuditUnavailable(error.detail, origin=error.origin, mend=error.mend) from error
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
        self.check_open()
        if newest_first:
            rows = self._backwards(self._head().seq + 1 if cursor is None else _seq(cursor))
        else:
            rows = (row for _, row in self._rows.records.scan(_seq(cursor), after=True))
        found = list(islice(_matching(query or AuditQuery(), rows), limit + 1))
        following = str(found[limit - 1].seq) if len(found) > limit else None
        return Page(items=tuple(found[:limit]), cursor=following)

    async def head(self) -> AuditHead:
        """See :meth:`AuditLog.head`."""
        self.check_open()
        return self._head()

    def _head(self) -> AuditHead:
        return self._rows.heads.get(self._chain.stream) or self._chain.empty()

    def _backwards(self, before: int) -> Iterator[bytes]:
        """Rows in descending ``seq``, which has no gap."""
        for seq in range(min(before, self._head().seq + 1) - 1, 0, -1):
            row = self._rows.records.get(seq)
            if row is not None:
                yield row


def _matching(query: AuditQuery, rows: Iterable[bytes]) -> Iterator[AuditRecord]:
    for row in rows:
        record = msgspec.msgpack.decode(row, type=AuditRecord)
        if _matches(query, record.entry):
            yield record


def _seq(cursor: str | None) -> int:
    if cursor is None:
        return 0
    if not cursor.isascii() or not cursor.isdecimal():
        raise InvalidInput("the cursor is not one that this trail gave out", mend="begin without a cursor")
    return int(cursor)


def _matches(query: AuditQuery, entry: AuditEntry) -> bool:
    if query.action.endswith(".*"):
        action = entry.action.startswith(query.action[:-1])
    else:
        action = query.action in {"", entry.action}
    return action and query.actor_id in {"", entry.actor.id} and query.subject in {"", entry.subject}


def log(_: NoSettings, context: AdapterContext) -> MemoryAuditLog:
    """The factory."""
    return MemoryAuditLog(context.share(MemoryState, MemoryState), chain=context.chain, clock=context.clock)


_: type[AuditLog] = MemoryAuditLog
