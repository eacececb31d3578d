"""The transaction that a task has open, and its connection."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Generator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine

from tradesense.adapters.sql._errors import DRIVER_ERRORS
from tradesense.core.errors import DatabaseUnavailable

STEP_ENDS: tuple[type[BaseException], ...] = (*DRIVER_ERRORS, asyncio.CancelledError)
"""What leaves a transaction such that nobody knows how much of it the database still has."""


@dataclass(slots=True)
class Ambient:
    """The transaction of one task."""

    task: asyncio.Task[Any] | None
    connection: AsyncConnection
    failed: bool = False
    """A statement failed, so that the database may have undone the others: it can only be rolled back."""
    after: list[Callable[[], None]] = field(default_factory=list[Callable[[], None]])
    """What is called once it has committed."""


async def connected(engine: AsyncEngine) -> AsyncConnection:
    return await engine.connect().start()


async def given_back(connection: AsyncConnection, abandon: Callable[[Any], None] | None = None) -> None:
    """Return the connection to the pool, rolled back; what cannot be rolled back is cut off.

    :param abandon: how to cut off a connection to a database that does not answer, for which nobody should wait.
    """
    if abandon is not None and not connection.closed and not connection.invalidated:
        abandon((await connection.get_raw_connection()).driver_connection)
        await connection.invalidate()
    try:
        await connection.close()
    except DRIVER_ERRORS:
        if not connection.closed:
            await connection.invalidate()
            await connection.close()


@contextmanager
def watched(ambient: Ambient) -> Generator[None]:
    """A step of the task's transaction; a failed one ends it."""
    if ambient.failed:
        raise DatabaseUnavailable("a part of the transaction failed before, so it can only be rolled back")
    try:
        yield
    except STEP_ENDS:
        ambient.failed = True
        raise
