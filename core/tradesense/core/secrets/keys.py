"""Key-encryption keys as operators use them: which there are, what they seal, a new one, and the end of an old one."""

from __future__ import annotations

from datetime import datetime, timedelta

import msgspec

from tradesense.core.ambient import Clock
from tradesense.core.audit.models import Actor
from tradesense.core.audit.service import AuditTrail, Event
from tradesense.core.errors import DecryptionFailed, InvalidInput
from tradesense.core.secrets.ports import KeyEncryption, KeyRing
from tradesense.core.secrets.provider import Provider
from tradesense.core.secrets.retirement import Retirement

BATCH = 100
"""Envelopes that are rewrapped at once."""
SETTLED = timedelta(seconds=10)
"""After this time every process wraps with the current key."""


class KeyReport(msgspec.Struct, frozen=True, kw_only=True):
    """One key, and how many envelopes it seals."""

    key_id: str
    current: bool = False
    known: bool = True
    """Whether the ring still has it; what seals envelopes and is not known has been lost."""
    created_at: datetime | None = None
    envelopes: int = 0


class Keys:
    """The keys of a provider that keeps envelopes. Every operation is on the audit trail."""

    def __init__(
        self,
        *,
        provider: Provider,
        encryption: KeyEncryption | None,
        ring: bool,
        trail: AuditTrail,
        clock: Clock,
        retirement: Retirement | None = None,
    ) -> None:
        """Make it of its parts.

        :param ring: whether ``encryption`` declares ``Capability.KEY_RING``.
        :param retirement: of what this process and all others hold; where there is a ring.
        """
        self._retirement = retirement
        self._provider = provider
        self._encryption = encryption
        self._has_ring = ring
        self._trail = trail
        self._clock = clock

    @property
    def can_retire(self) -> bool:
        """Whether keys may be retired, so that :meth:`run` has to notice."""
        return self._retirement is not None

    async def run(self) -> None:
        """Hold no data key any more once a key was retired in any process. Runs until it is cancelled."""
        if self._retirement is not None:
            await self._retirement.run()

    async def status(self) -> tuple[KeyReport, ...]:
        """Every key that unwraps, oldest first, and after them every other that envelopes name.

        :raises InvalidInput: the provider keeps no envelopes.
        """
        counts = dict(await self._provider.enveloped().key_counts())
        known = await self._ring().keys() if self._has_ring else ()
        reports = [
            KeyReport(
                key_id=key.key_id, current=key.current, created_at=key.created_at, envelopes=counts.pop(key.key_id, 0)
            )
            for key in known
        ]
        reports += [
            KeyReport(key_id=key_id, known=not self._has_ring, envelopes=count)
            for key_id, count in sorted(counts.items())
        ]
        return tuple(reports)

    async def rotate(self, *, actor: Actor, correlation_id: str = "") -> str:
        """Make a new current key and return its id. What is sealed stays as it is until it is rewrapped.

        :raises InvalidInput: the key encryption cannot rotate.
        """
        ring = self._ring()
        event = Event("keys.rotate", "current", actor, correlation_id)
        async with self._trail.change(event, joined=False):
            event.detail["key"] = key_id = await ring.rotate()
        return key_id

    async def rewrap(self, *, actor: Actor, correlation_id: str = "") -> int:
        """Seal everything anew that is not under the current key; returns how many envelopes it were.

        It can be interrupted at any time and begun again, and nobody who reads notices. What does not open keeps
        nothing else from being rewrapped.

        :raises DecryptionFailed: some envelopes do not open; all others were rewrapped.
        :raises InvalidInput: the provider keeps no envelopes.
        """
        store, done, unopened = self._provider.enveloped(), 0, list[tuple[str, int]]()
        event = Event("keys.rewrap", "envelopes", actor, correlation_id)
        async with self._trail.change(event, joined=False):
            after: tuple[str, int] | None = None
            while True:
                found = await store.rewrap(limit=BATCH, after=after)
                done, after = done + found.count, found.after
                unopened += found.unopened
                if after is None:
                    break
            event.detail["envelopes"] = f"{done}"
            if unopened:
                event.detail["unopened"] = f"{len(unopened)}"
                raise _unopened(done, unopened)
        return done

    async def retire(self, key_id: str, *, actor: Actor, correlation_id: str = "") -> None:
        """Let a key unwrap no more, for good; within a second no process holds what it has unwrapped.

        :raises InvalidInput: it still seals envelopes, is the current one or not there, or its successor is so new
            that some process may still wrap with it.
        :raises SecretStoreUnavailable: a write that is on its way did not end in time, so that it may seal with it.
        """
        ring, event = self._ring(), Event("keys.retire", key_id[:200], actor, correlation_id)
        async with self._trail.change(event, joined=False):
            async with self._provider.enveloped().held():
                await self._check_unused(key_id)
                await ring.retire(key_id)
            if self._retirement is not None:
                await self._retirement.tell()

    async def _check_unused(self, key_id: str) -> None:
        """Go on only if the key, and each that is older, seals nothing. True for as long as the store is held."""
        reports = {report.key_id: report for report in await self.status()}
        current = next(report for report in reports.values() if report.current)
        if current.created_at and self._clock.now() - current.created_at < SETTLED:
            raise InvalidInput(
                f"the current key is younger than {SETTLED.seconds} s, and some process may not have seen it yet",
                mend="rewrap once more after that, and retire the old key then",
            )
        older = [*reports][: [*reports].index(key_id) + 1] if key_id in reports else []
        count = sum(reports[one].envelopes for one in older)
        if count:
            raise InvalidInput(f"{key_id!r}, or an older key, still seals {count} envelopes", mend="rewrap first")

    def _ring(self) -> KeyRing:
        self._provider.enveloped()
        if not self._has_ring or self._encryption is None:
            raise InvalidInput(
                "the key encryption cannot be rotated from here",
                origin="secrets.key_encryption",
                mend="rotate the key at its provider, then rewrap",
            )
        return self._encryption  # type: ignore[return-value]  # the declared capability says it


def _unopened(done: int, places: list[tuple[str, int]]) -> DecryptionFailed:
    named = ", ".join(f"{path}@{version}" for path, version in places)
    return DecryptionFailed(
        f"{len(places)} envelopes do not open and were left as they are; {done} others were rewrapped: {named}",
        mend="restore the key that `tradesense keys status` shows as not known, or put these secrets anew and destroy "
        "the versions named here; then rewrap again",
    )
