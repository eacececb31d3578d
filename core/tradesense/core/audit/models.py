"""What the audit trail records of one event."""

from __future__ import annotations

from datetime import datetime
from enum import StrEnum

import msgspec

STREAM = "main"
VALUE_HMAC = "value_hmac"
"""What the detail of an entry calls the fingerprint of the secret value that was written."""


class Outcome(StrEnum):
    """How the event ended."""

    ATTEMPTED = "attempted"
    """About to happen, in a provider that cannot join our transaction; a second row tells the end."""
    SUCCEEDED = "succeeded"
    DENIED = "denied"
    FAILED = "failed"


class Actor(msgspec.Struct, frozen=True, kw_only=True):
    """Who caused the event."""

    kind: str
    """``user``, ``operator`` (the command line), ``worker`` or ``anonymous``."""
    id: str = ""
    address: str = ""
    """The client's network address, where there is one."""


ANONYMOUS = Actor(kind="anonymous")
WORKER = Actor(kind="worker")


class AuditEntry(msgspec.Struct, frozen=True, kw_only=True):
    """One event, as its service reports it. No field ever holds a secret value."""

    action: str
    """Room and verb, as in ``secrets.put``."""
    subject: str
    """What it was done to, as in a secret's path or a user's id."""
    actor: Actor
    outcome: Outcome = Outcome.SUCCEEDED
    correlation_id: str = ""
    detail: dict[str, str] = {}


class AuditRecord(msgspec.Struct, frozen=True, kw_only=True):
    """An entry in its place in the chain."""

    stream: str
    seq: int
    """Counts from 1 without a gap."""
    at: datetime
    entry: AuditEntry
    previous: bytes
    """The hash of the record before; 32 zero bytes for the first."""
    hash: bytes


class AuditHead(msgspec.Struct, frozen=True, kw_only=True):
    """Where a chain ends. Kept elsewhere, as an anchor, it proves that the tail was not cut off."""

    stream: str
    seq: int
    hash: bytes


class AuditQuery(msgspec.Struct, frozen=True, kw_only=True):
    """Which records to read; a field left empty does not filter."""

    action: str = ""
    """An exact action, or a room followed by ``.*``."""
    actor_id: str = ""
    subject: str = ""


class Verification(msgspec.Struct, frozen=True, kw_only=True):
    """What checking a chain found."""

    ok: bool
    checked: int
    first_bad_seq: int | None = None
    """The first row that is wrong or missing; 0 where the head itself cannot be read."""
    reason: str = ""
    anchored: int = 0
    """The last row that an anchor vouches for; 0 without one, and then nobody can tell whether the tail was cut."""
