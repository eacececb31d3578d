"""Ending the life of an entry before its time, so that it is no more than a cover for a factory that fails."""

from __future__ import annotations

from dataclasses import dataclass

from msgspec.structs import replace

from tradesense.core.cache.envelope import Envelope, seal
from tradesense.core.cache.near import Entry


@dataclass(frozen=True, slots=True)
class Ended:
    """What is to be written in place of the entry."""

    data: bytes
    life: float
    """Seconds that it still covers."""
    stamp: float


def end(envelope: Envelope, *, wall: float, stamp: float) -> Ended | None:
    """The stored entry as one whose life is over; ``None`` where nothing is left to cover with.

    It counts as written at ``stamp``, so that the copies of other processes are older, and as born when it was: what
    has been invalidated stays so.
    """
    beyond = envelope.keeps - envelope.expires
    life = min(envelope.keeps - wall, envelope.ttl + beyond)
    return _ended(envelope, life, wall, stamp) if life > 0 and beyond > 0 else None


def end_copy(entry: Entry, packing: str, payload: bytes, *, now: float, wall: float, stamp: float) -> Ended | None:
    """:func:`end` of the copy that a process has, while the shared store does not answer.

    :param packing: how ``payload``, its encoded value, is packed.
    :param now: on the monotonic clock.
    """
    if now >= entry.stale_until or entry.stale_until <= entry.fresh_until:
        return None
    envelope = Envelope(
        created=entry.created,
        born=entry.born,
        ttl=0.0,
        expires=wall,
        keeps=wall,
        sliding=entry.sliding,
        eager=0.0,
        tags=entry.tags,
        etag=entry.etag,
        modified=entry.modified,
        packing=packing,
        payload=payload,
    )
    return _ended(envelope, entry.stale_until - now, wall, stamp)


def _ended(envelope: Envelope, life: float, wall: float, stamp: float) -> Ended:
    ended = replace(
        envelope,
        created=stamp,
        born=envelope.birth,
        ttl=0.0,
        expires=min(wall, envelope.expires),
        keeps=wall + life,
    )
    return Ended(seal(ended), life, stamp)
