"""One leader among the processes, and another when it is gone."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable

from tradesense.core.cache.leases import Held, LeaseKeeper
from tradesense.core.cache.ports import LockProvider
from tradesense.core.errors import LeaseLost, LeaseTaken, Unavailable

Work = Callable[[Held], Awaitable[None]]

PATIENCE = 60.0
"""Seconds that a candidate waits before it asks anew."""


class Election:
    """Candidates for one lease. Who holds it leads; its fencing token is the number of the term."""

    def __init__(self, *, locks: LockProvider, name: str, ttl: float) -> None:
        self._keeper = LeaseKeeper(locks)
        self._name = name
        self._ttl = ttl
        self._held: Held | None = None

    @property
    def leading(self) -> bool:
        """Whether this process leads, as far as it can know."""
        return self._held is not None and self._held.ours

    @property
    def term(self) -> int | None:
        """The fencing token of the present term while this process leads."""
        return self._held.token if self._held is not None and self._held.ours else None

    async def run(self, work: Work) -> None:
        """Stand for election again and again, and do ``work`` while elected, until this is cancelled.

        A loss of the lease cancels ``work``. When ``work`` returns, another candidate's turn comes; what it raises ends
        the candidacy. While nobody knows who leads, nobody does.
        """
        while True:
            try:
                held = await self._keeper.take(self._name, self._ttl, wait=PATIENCE)
            except LeaseTaken:
                continue
            except Unavailable:
                await asyncio.sleep(self._ttl / 3)
                continue
            await self._lead(held, work)

    async def _lead(self, held: Held, work: Work) -> None:
        """One term. Its end by the loss of the lease is no error; what ``work`` raises is one."""
        raised: Exception | None = None
        try:
            async with self._keeper.keep(held, cancel=True):
                self._held = held
                try:
                    await work(held)
                except Exception as error:  # noqa: BLE001  # raised below, where no loss of this lease can be meant
                    raised = error
        except LeaseLost:
            return
        finally:
            self._held = None
        if raised is not None:
            raise raised
