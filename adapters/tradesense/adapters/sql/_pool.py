"""The connection pool, and what it tells of itself."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable
from typing import Any

from sqlalchemy import event
from sqlalchemy.exc import DisconnectionError
from sqlalchemy.exc import TimeoutError as PoolTimeoutError
from sqlalchemy.ext.asyncio import AsyncEngine
from sqlalchemy.pool import AsyncAdaptedQueuePool, ConnectionPoolEntry
from sqlalchemy.util import await_
from sqlalchemy.util.queue import AsyncAdaptedQueue, Empty

from tradesense.core.telemetry.instruments import (
    DATABASE_CONNECTIONS,
    DATABASE_CONNECTIONS_MOST,
    DATABASE_CONNECTIONS_OVERFLOW,
    DATABASE_POOL_TIMEOUTS,
    DATABASE_POOL_WAIT,
)
from tradesense.core.telemetry.ports import Telemetry


class Gauges:
    """The series of one pool, bound once."""

    def __init__(self, telemetry: Telemetry, pool: str) -> None:
        self.used = telemetry.bind(DATABASE_CONNECTIONS, (pool, "used"))
        self.idle = telemetry.bind(DATABASE_CONNECTIONS, (pool, "idle"))
        self.most = telemetry.bind(DATABASE_CONNECTIONS_MOST, (pool,))
        self.overflow = telemetry.bind(DATABASE_CONNECTIONS_OVERFLOW, (pool,))
        self.wait = telemetry.bind(DATABASE_POOL_WAIT, (pool,))
        self.timeouts = telemetry.bind(DATABASE_POOL_TIMEOUTS, (pool,))


class Waiting(AsyncAdaptedQueue[ConnectionPoolEntry]):
    """SQLAlchemy's queue of idle connections, where whoever waits for one needs no task of its own to be timed.

    What it does instead is what ``asyncio.wait_for`` has done since Python 3.12; before, a wait cost more than a read.
    """

    def get(self, block: bool = True, timeout: float | None = None) -> ConnectionPoolEntry:  # noqa: FBT001, FBT002  # the base's signature
        """An idle connection, waited for where ``block`` is true, ``timeout`` seconds at most.

        :raises Empty: none became idle.
        """
        try:
            return self.get_nowait()
        except Empty:
            if not block:
                raise
        try:
            return await_(self._got(within=timeout))
        except TimeoutError as error:
            raise Empty from error

    async def _got(self, *, within: float | None) -> ConnectionPoolEntry:
        async with asyncio.timeout(within):
            return await self._queue.get()


class MeasuredPool(AsyncAdaptedQueuePool):
    """SQLAlchemy's pool, measured once it was given gauges.

    The wait is measured for those who find no idle connection; the others do not wait.
    """

    _queue_class = Waiting  # pyright: ignore[reportAssignmentType]  # the base says less of what it holds
    gauges: Gauges | None = None

    def measure(self, gauges: Gauges) -> None:
        """Tell ``gauges`` of all that happens from now on."""
        self.gauges = gauges
        gauges.most(self.size() + self._max_overflow)
        self._tell(gauges)

    def recreate(self) -> MeasuredPool:
        """A new pool like this one, with the same gauges."""
        made = super().recreate()
        assert isinstance(made, MeasuredPool)  # the base makes one of this very class
        made.gauges = self.gauges
        return made

    def _do_get(self) -> ConnectionPoolEntry:
        gauges = self.gauges
        if gauges is None:
            return super()._do_get()
        entry = super()._do_get() if self.checkedin() else self._waited(gauges)
        self._tell(gauges)
        return entry

    def _waited(self, gauges: Gauges) -> ConnectionPoolEntry:
        began = time.perf_counter()
        try:
            return super()._do_get()
        except PoolTimeoutError:
            gauges.timeouts(1)
            raise
        finally:
            gauges.wait(time.perf_counter() - began)

    def _do_return_conn(self, record: Any) -> None:
        super()._do_return_conn(record)
        if self.gauges is not None:
            self._tell(self.gauges)

    def _tell(self, gauges: Gauges) -> None:
        used = self.checkedout()
        gauges.used(used)
        gauges.idle(self.checkedin())
        gauges.overflow(max(0, used + self.checkedin() - self.size()))


def measure(engine: AsyncEngine, telemetry: Telemetry | None, name: str) -> None:
    """Measure the engine's pool under this name, where anybody records it."""
    pool = engine.sync_engine.pool
    if telemetry is not None and isinstance(pool, MeasuredPool):
        pool.measure(Gauges(telemetry, name))


def replace_lost(engine: AsyncEngine, lost: Callable[[Any], bool]) -> None:
    """Let the pool replace a connection that the server has hung up on, at no cost for those that live."""

    def refuse(connection: Any, _record: object, _pooled: object) -> None:
        if lost(connection.driver_connection):
            raise DisconnectionError("the server has closed the connection")

    event.listen(engine.sync_engine, "checkout", refuse)
