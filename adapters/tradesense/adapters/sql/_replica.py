"""A copy of the database that follows it, for reads which may be a little behind."""

from __future__ import annotations

import time
from contextvars import ContextVar

from sqlalchemy.ext.asyncio import AsyncEngine

from tradesense.adapters.sql._pool import measure, replace_lost
from tradesense.adapters.sql._postgresql import Postgresql
from tradesense.core.finishing import finish
from tradesense.core.telemetry.ports import Telemetry

REPLICA = "replica"
"""What the metrics call its pool."""

AWAY_SECONDS = 5.0
"""How long a replica that failed is left alone."""


class Replica:
    """Says whether this task may read from the replica now, and where that is.

    It need not be there: while it is away, all is read from the primary.
    """

    def __init__(self, backend: Postgresql, *, after: float) -> None:
        self._backend = backend
        self._after = after
        self._engine: AsyncEngine | None = None
        self._away_until = 0.0
        self._wrote: ContextVar[float] = ContextVar("wrote", default=float("-inf"))

    @property
    def away(self) -> bool:
        """Whether it failed just now."""
        return time.monotonic() < self._away_until

    def wrote(self) -> None:
        """Let this task, and those that it starts, read what it wrote."""
        self._wrote.set(time.monotonic())

    def engine(self) -> AsyncEngine | None:
        """Where this task may read; ``None`` for the primary alone."""
        if self.away or time.monotonic() - self._wrote.get() < self._after:
            return None
        return self._engine

    def failed(self) -> None:
        """Leave it alone for a while."""
        self._away_until = time.monotonic() + AWAY_SECONDS

    def open(self, telemetry: Telemetry | None) -> None:
        """Make the pool; the first read connects."""
        self._engine = self._backend.open()
        replace_lost(self._engine, self._backend.lost)
        measure(self._engine, telemetry, REPLICA)

    async def close(self) -> None:
        """Close the pool."""
        engine, self._engine = self._engine, None
        if engine is not None:
            await finish(engine.dispose())
