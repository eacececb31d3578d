"""Walking a whole trail, to see whether it is the one that was written."""

from __future__ import annotations

import hmac
from collections import deque
from collections.abc import Iterable

import msgspec

from tradesense.core.audit.chain import AuditChain, head_of
from tradesense.core.audit.models import AuditHead, Verification
from tradesense.core.audit.ports import AuditLog
from tradesense.core.errors import AuditChainBroken
from tradesense.core.paging import MAX_PAGE


class Claim(msgspec.Struct, frozen=True):
    """What somebody says of one row: that it was there, with this hash."""

    seq: int
    hash: bytes
    who: str


async def verify(log: AuditLog, chain: AuditChain, anchors: Iterable[AuditHead] = ()) -> Verification:
    """Check every link, the stored head, and every one of ``anchors``.

    Rows that are appended meanwhile are no fault.

    :raises AuditUnavailable: the log cannot be read.
    """
    walk = _Walk(log, chain)
    claims = [Claim(anchor.seq, anchor.hash, "anchor") for anchor in anchors if anchor.seq > 0]
    try:
        fault = await walk.first_fault(claims)
    except AuditChainBroken as error:
        fault = walk.unreadable(error)
    if fault is None:
        return Verification(ok=True, checked=walk.head.seq, anchored=max((claim.seq for claim in claims), default=0))
    seq, reason = fault
    return Verification(ok=False, checked=max(min(walk.head.seq, seq - 1), 0), first_bad_seq=seq, reason=reason)


Fault = tuple[int, str]
"""The row that is wrong, and why."""


class _Walk:
    """One pass over the rows, oldest first."""

    def __init__(self, log: AuditLog, chain: AuditChain) -> None:
        self._log = log
        self._chain = chain
        self.head = chain.empty()
        self._stored = self.head

    async def first_fault(self, claims: list[Claim]) -> Fault | None:
        self._stored = await self._log.head()
        claims = [*claims, Claim(self._stored.seq, self._stored.hash, "head")]
        open_claims = deque(sorted((claim for claim in claims if claim.seq > 0), key=lambda claim: claim.seq))
        cursor: str | None = None
        while True:
            page = await self._log.read(cursor=cursor, limit=MAX_PAGE)
            if page.items and page.items[-1].seq > self._stored.seq:
                # Rows may have been appended since, and then the head has moved with them.
                self._stored = await self._log.head()
            for record in page.items:
                if record.seq > self._stored.seq <= self.head.seq:
                    return record.seq, f"row {record.seq} stands beyond the head, which says {self._stored.seq}"
                if fault := self._chain.fault(self.head, record):
                    return min(record.seq, self.head.seq + 1), fault
                self.head = head_of(record)
                while open_claims and open_claims[0].seq == record.seq:
                    claim = open_claims.popleft()
                    if not hmac.compare_digest(claim.hash, record.hash):
                        return record.seq, f"row {record.seq} is not the one that its {claim.who} names"
            cursor = page.cursor
            if cursor is None:
                break
        if open_claims:
            last = open_claims[-1]
            return self.head.seq + 1, f"the trail ends at row {self.head.seq}, its {last.who} says {last.seq}"
        return None

    def unreadable(self, error: AuditChainBroken) -> Fault:
        """The fault that a row which cannot be read is; a row that is missing before it comes first."""
        following = self.head.seq + 1
        if following < error.seq <= self._stored.seq:
            return following, f"row {following} is missing"
        return error.seq, error.detail
