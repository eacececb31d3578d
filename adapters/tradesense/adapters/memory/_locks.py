"""Leases within one process."""

from __future__ import annotations

import asyncio
import hmac
from dataclasses import dataclass, field

from tradesense.adapters.memory._lifecycle import Lifecycle
from tradesense.adapters.memory._state import MemoryState
from tradesense.core.ambient import Clock, Random
from tradesense.core.cache.models import Lease, check_lease
from tradesense.core.cache.ports import LockProvider

OWNER_BYTES = 16
MICROSECONDS = 1_000_000
SWEEP_AT = 1024
"""Leases below which nobody looks for expired ones."""


@dataclass(slots=True)
class _Held:
    owner: str
    token: int
    until: float


@dataclass(slots=True)
class _Line:
    """Who waits for one name, first come first, and the alarm for the end of its lease."""

    waiters: dict[asyncio.Future[None], None] = field(default_factory=dict[asyncio.Future[None], None])
    alarm: asyncio.TimerHandle | None = None

    def wake(self) -> None:
        """Let the first who still waits try again."""
        for waiter in self.waiters:
            if not waiter.done():
                waiter.set_result(None)
                return

    def silence(self) -> None:
        if self.alarm is not None:
            self.alarm.cancel()
            self.alarm = None


class _Leases:
    """The leases of one backend."""

    def __init__(self, _: MemoryState) -> None:
        self.held: dict[str, _Held] = {}
        self.lines: dict[str, _Line] = {}
        self.token = 0
        """One counter for all names: it grows with every acquisition of each, and no name needs to be remembered.

        It is never below the clock, so that it goes on growing in the next process.
        """
        self._sweep_at = SWEEP_AT

    def sweep(self, now: float) -> None:
        """Forget expired leases once there are twice as many as were left the last time."""
        if len(self.held) >= self._sweep_at:
            self.held = {name: held for name, held in self.held.items() if held.until > now}
            self._sweep_at = max(SWEEP_AT, 2 * len(self.held))


class MemoryLocks(Lifecycle):
    """Leases over one :class:`MemoryState`; a release wakes whoever waits, in turn. See :class:`LockProvider`."""

    def __init__(self, state: MemoryState, *, clock: Clock, random: Random) -> None:
        super().__init__()
        self._leases = state.part(_Leases)
        self._clock = clock
        self._random = random

    async def __aexit__(self, *_: object) -> None:
        await super().__aexit__()
        for line in self._leases.lines.values():
            for waiter in line.waiters:
                if not waiter.done():
                    waiter.set_result(None)

    async def acquire(self, name: str, ttl: float, *, wait: float = 0) -> Lease | None:
        """See :meth:`LockProvider.acquire`."""
        self.check_open()
        check_lease(name, ttl)
        loop = asyncio.get_running_loop()
        deadline = loop.time() + wait
        while (lease := self._take(name, ttl)) is None:
            remaining = deadline - loop.time()
            if remaining <= 0:
                return None
            await self._notice(name, remaining)
            self.check_open()
        return lease

    async def renew(self, lease: Lease) -> bool:
        """See :meth:`LockProvider.renew`."""
        self.check_open()
        held = self._ours(lease)
        if held is None:
            return False
        held.until = self._clock.monotonic() + lease.ttl
        self._set_alarm(lease.name)
        return True

    async def release(self, lease: Lease) -> bool:
        """See :meth:`LockProvider.release`."""
        self.check_open()
        if self._ours(lease) is None:
            return False
        del self._leases.held[lease.name]
        if (line := self._leases.lines.get(lease.name)) is not None:
            line.wake()
        return True

    def _take(self, name: str, ttl: float) -> Lease | None:
        now = self._clock.monotonic()
        held = self._leases.held.get(name)
        if held is not None and held.until > now:
            return None
        self._leases.sweep(now)
        self._leases.token = max(self._leases.token + 1, int(self._clock.now().timestamp() * MICROSECONDS))
        owner = self._random.bytes(OWNER_BYTES).hex()
        self._leases.held[name] = _Held(owner, self._leases.token, now + ttl)
        self._set_alarm(name)
        return Lease(name=name, owner=owner, token=self._leases.token, ttl=ttl)

    def _ours(self, lease: Lease) -> _Held | None:
        held = self._leases.held.get(lease.name)
        if held is None or held.until <= self._clock.monotonic():
            return None
        return held if hmac.compare_digest(held.owner, lease.owner) else None

    async def _notice(self, name: str, seconds: float) -> None:
        """Wait until the lease may be free, or the time is up."""
        line = self._leases.lines.setdefault(name, _Line())
        waiter: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        line.waiters[waiter] = None
        self._set_alarm(name)
        try:
            await asyncio.wait((waiter,), timeout=seconds)
        except asyncio.CancelledError:
            if waiter.done():
                del line.waiters[waiter]
                line.wake()  # the notice was for whoever is next
            raise
        finally:
            line.waiters.pop(waiter, None)
            if not line.waiters:
                line.silence()
                self._leases.lines.pop(name, None)

    def _set_alarm(self, name: str) -> None:
        """Wake whoever waits for ``name`` when its lease ends by time."""
        line = self._leases.lines.get(name)
        held = self._leases.held.get(name)
        if line is None or held is None:
            return
        line.silence()
        seconds = max(0.0, held.until - self._clock.monotonic())
        line.alarm = asyncio.get_running_loop().call_later(seconds, line.wake)


_: type[LockProvider] = MemoryLocks
