"""What the adapters of all rooms have in common: one database, opened and closed with each of them."""

from __future__ import annotations

import asyncio
from types import TracebackType
from typing import ClassVar, Self

from sqlalchemy import select, true

from tradesense.adapters.sql._backend import Backend
from tradesense.adapters.sql._database import Database
from tradesense.adapters.sql._errors import translated
from tradesense.adapters.sql._postgresql import Postgresql
from tradesense.adapters.sql._query import Query
from tradesense.adapters.sql._replica import Replica
from tradesense.adapters.sql._sqlite import Sqlite
from tradesense.adapters.sql._url import parsed
from tradesense.adapters.sql.settings import SqlSettings
from tradesense.core.errors import AdapterClosed, ConfigurationError, DatabaseUnavailable, TradeSenseError, Unavailable
from tradesense.core.steady import SteadyClock
from tradesense.core.telemetry.models import Health, Status
from tradesense.core.telemetry.ports import HealthCheck
from tradesense.plugins.manifest import AdapterContext, Renewal

HEALTH_SECONDS = 1.5
"""A check may take two seconds with all that is around it."""

_PING = Query(select(true()))


class Room:
    """The base of the adapters: between entering and leaving, ``_ready`` answers."""

    unavailable: ClassVar[type[Unavailable]] = DatabaseUnavailable
    """The port's error for a database that does not do its part."""

    def __init__(self, database: Database) -> None:
        self._shared = database
        self._open = False

    def _ready(self) -> Database:
        """The database.

        :raises AdapterClosed: this adapter is not open.
        """
        if not self._open:
            raise AdapterClosed(f"{type(self).__name__} is not open")
        return self._shared

    async def __aenter__(self) -> Self:
        with translated(self._shared.place, self.unavailable):
            await self._shared.__aenter__()
        self._open = True
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self._open = False
        await self._shared.__aexit__(kind, error, traceback)


class DatabaseHealth:
    """Whether the database answers."""

    name = "database"
    essential = True

    def __init__(self, database: Database) -> None:
        self._database = database

    async def check(self) -> Health:
        """See :meth:`HealthCheck.check`."""
        try:
            async with asyncio.timeout(HEALTH_SECONDS):
                await self._database.ask(_PING)
        except (TradeSenseError, TimeoutError) as error:
            return Health(name=self.name, status=Status.DOWN, detail=type(error).__name__)
        if self._database.replica is not None and self._database.replica.away:
            detail = f"{self._database.place}; its replica does not answer"
            return Health(name=self.name, status=Status.DEGRADED, detail=detail)
        return Health(name=self.name, status=Status.UP, detail=self._database.place)


def database_of(settings: SqlSettings, context: AdapterContext) -> Database:
    """The database that all SQL adapters of this container share.

    :raises ConfigurationError: ``database.url`` cannot be used.
    """

    def make() -> Database:
        backend = backend_for(settings, context.clock if isinstance(context.clock, SteadyClock) else None)

        async def renew(changed: SqlSettings) -> None:
            """Connections that are in use are replaced before their next use."""
            backend.renew(parsed(changed.url))

        database = Database(backend, settings, telemetry=lambda: context.telemetry, replica=replica_for(settings))
        context.watch(DatabaseHealth(database))
        context.renewals.append(Renewal(section="database", settings=SqlSettings, renew=renew))
        return database

    return context.share(Database, make)


def backend_for(settings: SqlSettings, clock: SteadyClock | None = None) -> Backend:
    """The backend that ``database.url`` names.

    :param clock: is told the time by a server that has one of its own.
    :raises ConfigurationError: it names none.
    """
    url = parsed(settings.url)
    return Sqlite(url, settings) if url.drivername == "sqlite" else Postgresql(url, settings, clock=clock)


def replica_for(settings: SqlSettings) -> Replica | None:
    """The replica that ``database.replica_url`` names, if it names one.

    :raises ConfigurationError: it or the database is no PostgreSQL.
    """
    if not settings.replica_url:
        return None
    url = parsed(settings.replica_url)
    if url.drivername == "sqlite" or parsed(settings.url).drivername == "sqlite":
        raise ConfigurationError("only PostgreSQL has replicas", origin="database.replica_url", mend="leave it empty")
    return Replica(Postgresql(url, settings), after=settings.replica_after)


_: type[HealthCheck] = DatabaseHealth
