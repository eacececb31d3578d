"""Work that one process at a time may do: a lease held for as long as the work lasts."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager, suppress

from tradesense.core.cache.models import Lease
from tradesense.core.cache.ports import LockProvider
from tradesense.core.errors import LeaseLost, LeaseTaken, Unavailable
from tradesense.core.finishing import finish

RENEWED_AT = 3
"""A lease is renewed when a third of its time has passed; a renewal that found no server is tried again sooner."""


class Held:
    """A lease while it is held. ``token`` goes along with every write that a successor's must not be undone by."""

    def __init__(self, lease: Lease, until: float) -> None:
        self.lease = lease
        self.lost = asyncio.Event()
        """Set when the lease is no longer ours, or may not be."""
        self.until = until
        """When, by the loop's clock, the lease ends unless it is renewed. Ours is never later than the provider's."""

    @property
    def token(self) -> int:
        """The fencing token."""
        return self.lease.token

    @property
    def ours(self) -> bool:
        """Whether the lease is ours as far as this process can know: not lost, and its time not over."""
        return not self.lost.is_set() and asyncio.get_running_loop().time() < self.until

    def check(self) -> None:
        """Go on only while the lease is ours. It may end right after: a write needs the fencing token as well.

        :raises LeaseLost: it is not.
        """
        if not self.ours:
            raise LeaseLost(f"the lease {self.lease.name!r} is lost")


class LeaseKeeper:
    """Takes leases and keeps them alive."""

    def __init__(self, locks: LockProvider) -> None:
        self._locks = locks

    @asynccontextmanager
    async def hold(self, name: str, ttl: float, *, wait: float = 0, cancel: bool = False) -> AsyncGenerator[Held]:
        """Hold the lease ``name`` during the body, renewed at a third of ``ttl`` seconds.

        Losing it sets ``lost``. Nothing is raised after the body has ended: whatever it has done is done.

        :param wait: seconds to wait for it while another holds it.
        :param cancel: whether a loss cancels the body, which then ends with :class:`LeaseLost`.
        :raises LeaseTaken: another holds it still.
        :raises LeaseLost: it was lost during the body, and ``cancel`` asks to be told so.
        :raises LocksUnavailable: nobody knows who holds it.
        """
        async with self.keep(await self.take(name, ttl, wait=wait), cancel=cancel) as held:
            yield held

    @asynccontextmanager
    async def keep(self, held: Held, *, cancel: bool = False, give_back: bool = True) -> AsyncGenerator[Held]:
        """The second half of :meth:`hold`: keep a lease alive during the body and give it back.

        :param give_back: whether it ends with the body; else it does with its time, and keeps others away until then.
        """
        name = held.lease.name
        body = _Body(cancel=cancel)
        renewing = asyncio.create_task(self._keep(held, body), name=f"lease {name}")
        try:
            yield held
        except asyncio.CancelledError as error:
            if body.ended():
                raise LeaseLost(f"the lease {name!r} was lost") from error
            raise
        finally:
            body.ended()
            renewing.cancel()
            try:
                await asyncio.wait([renewing])
            finally:
                if give_back and not held.lost.is_set():
                    await self._give_back(held.lease)

    async def take(self, name: str, ttl: float, *, wait: float = 0) -> Held:
        """The first half of :meth:`hold`: a lease that nobody renews yet."""
        now = asyncio.get_running_loop().time
        began = now()
        lease = await self._locks.acquire(name, ttl)
        if lease is None and wait > 0:
            lease = await self._locks.acquire(name, ttl, wait=wait)
            began = now()
            # When it was given is not known: renewed, it lasts from now at least.
            if lease is not None and not await self._renewed(lease):
                lease = None
        if lease is None:
            raise LeaseTaken(f"another holds the lease {name!r}")
        return Held(lease, began + ttl)

    async def _renewed(self, lease: Lease) -> bool:
        """Whether a lease that was just taken is renewed. Where that is not known it is given back."""
        try:
            return await self._locks.renew(lease)
        except BaseException:
            await self._give_back(lease)
            raise

    async def _keep(self, held: Held, body: _Body) -> None:
        """Renew until the lease is lost or this is cancelled."""
        now = asyncio.get_running_loop().time
        lease = held.lease
        pause = lease.ttl / RENEWED_AT
        while (left := held.until - now()) > 0:
            await asyncio.sleep(min(pause, left))
            asked = now()
            try:
                async with asyncio.timeout_at(held.until):
                    ours = await self._locks.renew(lease)
            except (Unavailable, TimeoutError):
                pause = lease.ttl / RENEWED_AT / RENEWED_AT
                continue
            if not ours:
                break
            held.until = asked + lease.ttl
            pause = lease.ttl / RENEWED_AT
        held.lost.set()
        body.lost()

    async def _give_back(self, lease: Lease) -> None:
        """Give it back whoever is cancelled meanwhile. A lease that cannot be given back ends by itself."""
        with suppress(Unavailable):
            await finish(self._locks.release(lease))


class _Body:
    """The task that holds a lease, and the cancellation that a loss sends to it."""

    def __init__(self, *, cancel: bool) -> None:
        self._task = asyncio.current_task() if cancel else None
        self._before = self._task.cancelling() if self._task is not None else 0
        self._sent = False
        self._over = False
        self._ours = False

    def lost(self) -> None:
        """Cancel the body, unless it has ended."""
        if self._task is not None and not self._over:
            self._sent = True
            self._task.cancel()

    def ended(self) -> bool:
        """Take back the cancellation that was sent, and say whether it is the only one."""
        if not self._over:
            self._over = True
            if self._sent and self._task is not None:
                self._ours = self._task.uncancel() <= self._before
        return self._ours
