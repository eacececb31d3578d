"""At most so many at a time, over all processes."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager, suppress

from tradesense.core.ambient import Random
from tradesense.core.cache.leases import Held, LeaseKeeper
from tradesense.core.cache.ports import LockProvider
from tradesense.core.errors import LeaseTaken

ROUND = 0.5
"""Seconds in which every permit is waited for once: any of them may come free."""


class Semaphore:
    """``permits`` leases under one name. Who holds one of them may work; a holder that dies gives it back by time.

    A permit's fencing token orders its own holders, not those of the other permits.
    """

    def __init__(self, *, locks: LockProvider, random: Random, name: str, permits: int, ttl: float) -> None:
        if permits < 1:
            raise ValueError(f"a semaphore has at least one permit, not {permits}")
        self._keeper = LeaseKeeper(locks)
        self._random = random
        self._name = name
        self._permits = permits
        self._ttl = ttl

    @asynccontextmanager
    async def permit(self, *, wait: float = 0, cancel: bool = False) -> AsyncGenerator[Held]:
        """Hold one permit during the body, as :meth:`LeaseKeeper.hold` does.

        :param wait: seconds to wait for one while all are out.
        :raises LeaseTaken: all are out still.
        :raises LocksUnavailable: nobody knows who holds them.
        """
        async with self._keeper.keep(await self._take(wait), cancel=cancel) as held:
            yield held

    async def _take(self, wait: float) -> Held:
        now = asyncio.get_running_loop().time
        deadline = now() + wait
        at = int.from_bytes(self._random.bytes(4))  # everyone begins at another permit
        for _ in range(self._permits):
            with suppress(LeaseTaken):
                return await self._keeper.take(self._place(at), self._ttl)
            at += 1
        while (left := deadline - now()) > 0:
            with suppress(LeaseTaken):
                return await self._keeper.take(self._place(at), self._ttl, wait=min(left, ROUND / self._permits))
            at += 1
        raise LeaseTaken(f"all {self._permits} permits of {self._name!r} are out")

    def _place(self, at: int) -> str:
        return f"{self._name}#{at % self._permits}"
