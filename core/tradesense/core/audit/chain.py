"""The hash chain: each record is authenticated together with everything before it.

The hash is an HMAC-SHA256 under a key that is not in the database, so that who can write the table still cannot
compute a chain that holds.
"""

from __future__ import annotations

import hashlib
import hmac
from datetime import datetime

import msgspec

from tradesense.core.audit.models import STREAM, AuditEntry, AuditHead, AuditRecord

GENESIS = bytes(32)
_FINGERPRINTS = b"tradesense audit fingerprints 1"
FINGERPRINT_BYTES = 16
"""Of an HMAC-SHA256: two values that differ share one by a chance of 2^-128."""


class AuditChain:
    """Links entries into a chain and checks the links. ``key`` has at least 32 bytes."""

    def __init__(self, key: bytes, *, stream: str = STREAM) -> None:
        self._key = key
        self._fingerprints = hmac.digest(key, _FINGERPRINTS, hashlib.sha256)
        self.stream = stream

    def empty(self) -> AuditHead:
        """The head of a chain with no record."""
        return AuditHead(stream=self.stream, seq=0, hash=GENESIS)

    def link(self, head: AuditHead, entry: AuditEntry, at: datetime) -> AuditRecord:
        """The record that follows ``head``."""
        seq = head.seq + 1
        digest = self._digest(head.hash, seq, at, entry)
        return AuditRecord(stream=self.stream, seq=seq, at=at, entry=entry, previous=head.hash, hash=digest)

    def fault(self, head: AuditHead, record: AuditRecord) -> str:
        """Why ``record`` cannot be the one that follows ``head``; empty when it is."""
        if record.seq <= head.seq:
            return f"row {record.seq} stands where none can"
        if record.seq != head.seq + 1:
            return f"row {head.seq + 1} is missing"
        if not hmac.compare_digest(record.previous, head.hash):
            return f"row {record.seq} does not follow the row before it"
        return "" if self.made(record) else f"row {record.seq} was changed"

    def made(self, record: AuditRecord) -> bool:
        """Whether ``record`` is as this chain's key has made it, whatever stands before it."""
        expected = self._digest(record.previous, record.seq, record.at, record.entry)
        return hmac.compare_digest(record.hash, expected)

    def fingerprint(self, value: bytes) -> str:
        """What tells whether two values are equal, and to nobody without the key anything more; 32 hex digits.

        Its key is derived from the chain's for this alone.
        """
        return hmac.digest(self._fingerprints, value, hashlib.sha256)[:FINGERPRINT_BYTES].hex()

    def _digest(self, previous: bytes, seq: int, at: datetime, entry: AuditEntry) -> bytes:
        place = (self.stream, seq, at.isoformat(timespec="microseconds"))
        message = previous + msgspec.json.encode((place, entry), order="deterministic")
        return hmac.new(self._key, message, hashlib.sha256).digest()


def head_of(record: AuditRecord) -> AuditHead:
    """The head that a chain has once ``record`` is its last."""
    return AuditHead(stream=record.stream, seq=record.seq, hash=record.hash)
