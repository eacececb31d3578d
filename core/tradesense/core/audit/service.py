"""The audit trail as the other rooms use it: no row, no change."""

from __future__ import annotations

from collections.abc import AsyncGenerator, Iterable
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass, field
from typing import Protocol

import msgspec

from tradesense.core.acting import check_audited
from tradesense.core.audit import verification
from tradesense.core.audit.chain import AuditChain, head_of
from tradesense.core.audit.models import (
    WORKER,
    Actor,
    AuditEntry,
    AuditHead,
    AuditQuery,
    AuditRecord,
    Outcome,
    Verification,
)
from tradesense.core.audit.ports import AuditLog
from tradesense.core.errors import AuditChainBroken, AuditUnavailable, Denied, TradeSenseError
from tradesense.core.paging import Page
from tradesense.core.sensitive import Secret
from tradesense.core.transactions import Transactions


@dataclass(slots=True)
class Event:
    """An event while it happens; its body may add to ``detail`` what it learns, such as the new version."""

    action: str
    subject: str
    actor: Actor
    correlation_id: str = ""
    detail: dict[str, str] = field(default_factory=dict[str, str])
    unchanged: bool = False
    """Set by the body of a joined change that found nothing to do: then there is no row."""

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


class _Undone(Exception):
    """Rolls a transaction back that was only to be tried."""


class Listener(Protocol):
    """Is told of what is recorded."""

    def wants(self, action: str) -> bool:
        """Whether it is told of this action."""
        ...

    async def tell(self, entry: AuditEntry) -> None:
        """Take note of an entry; what it raises undoes the entry, and the change that it is of."""
        ...


class AuditTrail:
    """Records events and verifies the record."""

    def __init__(self, *, log: AuditLog, chain: AuditChain, transactions: Transactions) -> None:
        self._log = log
        self._chain = chain
        self._transactions = transactions
        self.refused = False
        """Whether the last record could not be written."""
        self._listener: Listener | None = None

    def listen(self, listener: Listener) -> None:
        """Let ``listener`` be told of what is recorded of the actions that it wants, in the same transaction."""
        self._listener = listener

    async def _record(self, entry: AuditEntry) -> None:
        listener = self._listener
        if listener is None or entry.outcome is Outcome.ATTEMPTED or not listener.wants(entry.action):
            await self._append(entry)
            return
        async with self._transactions.begin():
            await self._append(entry)
            await listener.tell(entry)

    async def _append(self, entry: AuditEntry) -> None:
        try:
            await self._log.append(entry)
        except AuditUnavailable:
            self.refused = True
            raise
        self.refused = False

    def fingerprint(self, value: Secret) -> str:
        """What a row says of a secret value, so that a reader sees whether two rows were about the same one."""
        return self._chain.fingerprint(value.reveal_bytes())

    async def probe(self) -> None:
        """Try whether a record could be written, and leave none behind.

        :raises AuditUnavailable: it could not.
        """
        with suppress(_Undone):
            async with self._transactions.begin():
                await self._record(AuditEntry(action="audit.probe", subject="audit", actor=WORKER))
                raise _Undone

    async def note(self, event: Event, outcome: Outcome = Outcome.SUCCEEDED) -> None:
        """Record something that changes nothing, such as a read or a refusal.

        :raises AuditUnavailable: it could not be recorded; the caller must refuse as well.
        :raises ConfigurationError: the handler that runs did not declare this action.
        """
        check_audited(event.action)
        await self._record(event.entry(outcome))

    @asynccontextmanager
    async def change(self, event: Event, *, joined: bool) -> AsyncGenerator[Event]:
        """Run the body as one audited change.

        ``joined`` says that what the body writes joins our transactions. Then body and row commit together. Else the
        attempt is recorded before the body runs and its end after it, so that no change can happen unrecorded.

        :raises AuditUnavailable: the row could not be written; with ``joined`` nothing has changed.
        :raises ConfigurationError: the handler that runs did not declare this action; nothing has changed.
        """
        check_audited(event.action)
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
                if not event.unchanged:
                    await self._record(event.entry(Outcome.SUCCEEDED))
        except Denied:
            # The rolled-back transaction took the row with it; the refusal itself is worth one.
            await self._record(event.entry(Outcome.DENIED))
            raise

    @asynccontextmanager
    async def _bracketed(self, event: Event) -> AsyncGenerator[None]:
        await self._record(event.entry(Outcome.ATTEMPTED))
        try:
            yield
        except TradeSenseError as error:
            event.detail["error"] = error.code
            await self._record(event.entry(Outcome.DENIED if isinstance(error, Denied) else Outcome.FAILED))
            raise
        await self._record(event.entry(Outcome.SUCCEEDED))

    async def read(
        self,
        query: AuditQuery | None = None,
        *,
        cursor: str | None = None,
        limit: int = 100,
        newest_first: bool = False,
    ) -> Page[AuditRecord]:
        """A page of the trail, oldest first unless ``newest_first``. Every record is proved to be ours.

        That a record is missing is for :meth:`verify` to find.

        :raises AuditUnavailable: the log cannot be read.
        :raises AuditChainBroken: a record was changed, or never was ours.
        """
        page = await self._log.read(query, cursor=cursor, limit=limit, newest_first=newest_first)
        for record in page.items:
            if not self._chain.made(record):
                raise AuditChainBroken(f"row {record.seq} was changed", seq=record.seq)
        return page

    async def head(self) -> AuditHead:
        """Where the trail ends, by its last record, which is proved to be ours: fit to be kept as an anchor.

        :raises AuditUnavailable: the log cannot be read.
        :raises AuditChainBroken: the last record was changed, or never was ours.
        """
        last = await self.read(limit=1, newest_first=True)
        return head_of(last.items[0]) if last.items else self._chain.empty()

    async def verify(self, anchors: Iterable[AuditHead] = ()) -> Verification:
        """Check every link, the stored head, and the heads that were kept outside, in any order.

        :raises AuditUnavailable: the log cannot be read.
        """
        return await verification.verify(self._log, self._chain, anchors)


def encode_entry(entry: AuditEntry) -> bytes:
    """The bytes that an adapter stores for an entry; decoding them gives an equal entry."""
    return msgspec.json.encode(entry, order="deterministic")


def decode_entry(data: bytes | str) -> AuditEntry:
    """The entry that :func:`encode_entry` encoded."""
    return msgspec.json.decode(data, type=AuditEntry)
