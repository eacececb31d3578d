"""Writers of one process take turns where the database takes one writer at a time."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager

from tradesense.adapters.sql._backend import Backend
from tradesense.adapters.sql._url import ORIGIN
from tradesense.core.errors import DatabaseUnavailable


class Turns:
    """The queue of one process, first come first."""

    def __init__(self, backend: Backend, patience: float) -> None:
        self._place = backend.place
        self._patience = patience
        self._lock = asyncio.Lock() if backend.one_writer else None

    @asynccontextmanager
    async def turn(self) -> AsyncGenerator[float]:
        """This task's turn to write.

        Yields how many seconds are left to wait for writers of other processes: both waits together are one.

        :raises DatabaseUnavailable: other writers of this process took all the time.
        """
        if self._lock is None:
            yield self._patience
            return
        now = asyncio.get_running_loop().time
        began = now()
        try:
            async with asyncio.timeout(self._patience):
                await self._lock.acquire()
        except TimeoutError as error:
            raise DatabaseUnavailable(
                f"{self._place}: database is locked by another writer of this process",
                origin=ORIGIN,
                mend="let it finish, or raise database.busy_timeout",
            ) from error
        try:
            yield max(0.0, self._patience - (now() - began))
        finally:
            self._lock.release()
