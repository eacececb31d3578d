"""Where audit records are kept."""

from __future__ import annotations

from typing import Protocol

from tradesense.core.audit.models import AuditEntry, AuditHead, AuditQuery, AuditRecord
from tradesense.core.paging import Page


class AuditLog(Protocol):
    """An append-only, hash-chained log. It offers no way to change or delete a record (ASVS 16.4.2)."""

    async def append(self, entry: AuditEntry) -> AuditRecord:
        """Add ``entry`` at the end of the chain, within the transaction of this task if one is open.

        Concurrent appends get consecutive numbers; none is lost and none appears twice. When the transaction rolls
        back, so does the record, and its number is used again.

        :raises AuditUnavailable: it could not be written; the caller must not go on.
        :raises AdapterClosed: before opening and after closing.
        """
        ...

    async def read(
        self,
        query: AuditQuery | None = None,
        *,
        cursor: str | None = None,
        limit: int = 100,
        newest_first: bool = False,
    ) -> Page[AuditRecord]:
        """Matching records in ascending ``seq``, or descending with ``newest_first``, ``limit`` (1 to 1000) a page.

        A cursor is for reading on in the order that it was given out in. A page ends before a record that cannot be
        read any more, or that is found under what it does not say.

        :raises AuditUnavailable: the log cannot be read.
        :raises AuditChainBroken: such a record would be the first of the page.
        """
        ...

    async def head(self) -> AuditHead:
        """The end of the chain: ``seq`` 0 and 32 zero bytes while it is empty.

        :raises AuditUnavailable: the log cannot be read.
        :raises AuditChainBroken: what is stored of the head is no head; ``seq`` is 0.
        """
        ...
