"""The audit trail as the other rooms use it: no row, no change."""

from __future__ import annotations

from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field

import msgspec

from tradesense.core.audit.chain import AuditChain
from tradesense.core.audit.models import Actor, AuditEntry, AuditHead, AuditQuery, AuditRecord, Outcome, Verification
from tradesense.core.audit.ports import AuditLog
from tradesense.core.errors import Denied, TradeSenseError
from tradesense.core.paging import MAX_PAGE, Page
from tradesense.core.transactions import Transactions


@dataclass(slots=True)
class Event:
    """An event while it happens; its body may add to ``detail`` what it learns, such as the new version."""

    action: str
    subject: str
    actor: Actor
    correlation_id: str = ""
    detail: dict[str, str] = field(default_factory=dict[str, str])

    def entry(self, outcome: Outcome) -> AuditEntry:
        """The entry that records this event with ``outcome``."""
        return AuditEntry(
            action=self.action,
            subject=self.subject,
            actor=self.actor,
            outcome=outcome,
            correlation_id=self.correlation_id,
            detail=dict(self.detail),
        )


class AuditTrail:
    """Records events and verifies the record."""

    def __init__(self, *, log: AuditLog, chain: AuditChain, transactions: Transactions) -> None:
        self._log = log
        self._chain = chain
        self._transactions = transactions

    async def note(self, event: Event, outcome: Outcome = Outcome.SUCCEEDED) -> None:
        """Record something that changes nothing, such as a read or a refusal.

        :raises AuditUnavailable: it could not be recorded; the caller must refuse as well.
        """
        await self._log.append(event.entry(outcome))

    @asynccontextmanager
    async def change(self, event: Event, *, joined: bool) -> AsyncGenerator[Event]:
        """Run the body as one audited change.

        ``joined`` says that what the body writes joins our transactions. Then body and row commit together. Else the
        attempt is recorded before the body runs and its end after it, so that no change can happen unrecorded.

        :raises AuditUnavailable: the row could not be written; with ``joined`` nothing has changed.
        """
        if joined:
            async with self._joined(event):
                yield event
        else:
            async with self._bracketed(event):
                yield event

    @asynccontextmanager
    async def _joined(self, event: Event) -> AsyncGenerator[None]:
        try:
            async with self._transactions.begin():
                yield
                await self._log.append(event.entry(Outcome.SUCCEEDED))
        except Denied:
            # The rolled-back transaction took the row with it; the refusal itself is worth one.
            await self._log.append(event.entry(Outcome.DENIED))
            raise

    @asynccontextmanager
    async def _bracketed(self, event: Event) -> AsyncGenerator[None]:
        await self._log.append(event.entry(Outcome.ATTEMPTED))
        try:
            yield
        except TradeSenseError as error:
            event.detail["error"] = error.code
            await self._log.append(event.entry(Outcome.DENIED if isinstance(error, Denied) else Outcome.FAILED))
            raise
        await self._log.append(event.entry(Outcome.SUCCEEDED))

    async def read(
        self, query: AuditQuery | None = None, *, cursor: str | None = None, limit: int = 100
    ) -> Page[AuditRecord]:
        """A page of the trail, oldest first.

        :raises AuditUnavailable: the log cannot be read.
        """
        return await self._log.read(query, cursor=cursor, limit=limit)

    async def verify(self, anchor: AuditHead | None = None) -> Verification:
        """Check every link, the stored head, and ``anchor`` where one was kept outside.

        :raises AuditUnavailable: the log cannot be read.
        """
        stored = await self._log.head()
        head, cursor = self._chain.empty(), None
        while True:
            page = await self._log.read(cursor=cursor, limit=MAX_PAGE)
            for record in page.items:
                if record.seq > stored.seq:
                    break  # appended since the head was read
                if fault := self._chain.fault(head, record):
                    return _broken(head.seq, head.seq + 1, fault)
                head = AuditHead(stream=record.stream, seq=record.seq, hash=record.hash)
                if anchor and anchor.seq == head.seq and anchor.hash != head.hash:
                    return _broken(head.seq, head.seq, f"row {head.seq} is not the one that was anchored")
            cursor = page.cursor
            if cursor is None or head.seq >= stored.seq:
                break
        if head != stored:
            return _broken(head.seq, head.seq + 1, f"the trail ends at row {head.seq}, its head says {stored.seq}")
        if anchor and anchor.seq > head.seq:
            return _broken(head.seq, head.seq + 1, f"the trail ends at row {head.seq}, its anchor says {anchor.seq}")
        return Verification(ok=True, checked=head.seq)


def _broken(checked: int, seq: int, reason: str) -> Verification:
    return Verification(ok=False, checked=checked, first_bad_seq=seq, reason=reason)


def head_of(record: AuditRecord) -> AuditHead:
    """The head that a chain has once ``record`` is its last."""
    return AuditHead(stream=record.stream, seq=record.seq, hash=record.hash)


def encode_entry(entry: AuditEntry) -> bytes:
    """The bytes that an adapter stores for an entry; decoding them gives an equal entry."""
    return msgspec.json.encode(entry, order="deterministic")


def decode_entry(data: bytes | str) -> AuditEntry:
    """The entry that :func:`encode_entry` encoded."""
    return msgspec.json.decode(data, type=AuditEntry)
