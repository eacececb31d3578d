"""What differs between the two databases."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Protocol

from sqlalchemy import URL
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine


class Backend(Protocol):
    """One database, as :class:`Database` needs it."""

    place: str
    """What errors call it, without a password, as in ``PostgreSQL at db:5432``."""
    one_writer: bool
    """Whether writers of one process should queue here rather than fight in the database."""
    throwaway: bool
    """Whether the contents end with :meth:`close`, so that the tables are made on opening."""

    def open(self) -> AsyncEngine:
        """An engine, not yet connected. May raise what the driver raises."""
        ...

    def renew(self, url: URL) -> None:
        """Make connections with this URL from now on, and hold those that were made with another for lost."""
        ...

    def committing(self, engine: AsyncEngine) -> AsyncEngine:
        """The same engine for statements that commit by themselves, without a round trip for that."""
        ...

    async def begin(self, connection: AsyncConnection) -> None:
        """Make sure that a transaction has begun that may write."""
        ...

    async def wait_for(self, connection: AsyncConnection, seconds: float) -> None:
        """Let what is done on this connection wait so long for another writer, where the database has but one."""
        ...

    async def fetch(self, driver: Any, sql: str, values: Sequence[Any]) -> Sequence[Sequence[Any]]:
        """Run one statement on the driver's own connection and return all rows."""
        ...

    def lost(self, driver: Any) -> bool:
        """Whether the driver already knows that this connection is dead; costs no round trip."""
        ...

    def abandon(self, driver: Any) -> None:
        """Cut the driver's own connection off, without a farewell that a dead server would have to answer."""
        ...

    def close(self) -> None:
        """Give back what :meth:`open` took, once the engine is disposed of."""
        ...
