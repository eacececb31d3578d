"""The one connection pool of all SQL adapters, and the transaction that a task may have open on it."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, Callable, Mapping, Sequence
from contextlib import asynccontextmanager
from contextvars import ContextVar
from types import TracebackType
from typing import Any, Self

from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine
from sqlalchemy.sql.base import Executable
from sqlalchemy.util import await_, greenlet_spawn

from tradesense.adapters.sql import _schema
from tradesense.adapters.sql._ambient import Ambient, connected, given_back, watched
from tradesense.adapters.sql._backend import Backend
from tradesense.adapters.sql._errors import DRIVER_ERRORS, translated
from tradesense.adapters.sql._pool import measure, replace_lost
from tradesense.adapters.sql._query import Compiled, Query, Row
from tradesense.adapters.sql._replica import Replica
from tradesense.adapters.sql._silence import Silence
from tradesense.adapters.sql._turns import Turns
from tradesense.adapters.sql.settings import SqlSettings
from tradesense.core.errors import AdapterClosed, DatabaseUnavailable, Unavailable
from tradesense.core.finishing import finish
from tradesense.core.telemetry.ports import Telemetry

PRIMARY = "primary"
"""What the metrics call the pool."""


class Database:
    """Connections, transactions and queries. Opening it twice needs closing it twice; the last closes the pool.

    Where a method takes ``unavailable``, that is the class of the error for a database that does not do its part.
    """

    def __init__(
        self,
        backend: Backend,
        settings: SqlSettings,
        *,
        telemetry: Callable[[], Telemetry | None] = lambda: None,
        replica: Replica | None = None,
    ) -> None:
        self._backend = backend
        self._settings = settings
        self._telemetry = telemetry
        self.replica = replica
        self._engine: AsyncEngine | None = None
        self._committing: AsyncEngine | None = None
        self._users = 0
        self._opening = asyncio.Lock()
        self._silence = Silence(backend.place)
        self._turns = Turns(backend, settings.busy_timeout)
        self._ambient: ContextVar[Ambient | None] = ContextVar("transaction", default=None)
        self._compiled: dict[Query, Compiled] = {}

    @property
    def place(self) -> str:
        """What errors call the database."""
        return self._backend.place

    @property
    def dialect(self) -> str:
        """``sqlite`` or ``postgresql``."""
        return self._opened().dialect.name

    @property
    def one_writer(self) -> bool:
        """Whether the database takes one writer at a time."""
        return self._backend.one_writer

    async def __aenter__(self) -> Self:
        async with self._opening:
            if self._users == 0:
                await self._open()
            self._users += 1
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        async with self._opening:
            self._users -= 1
            if self._users == 0:
                await finish(self._close())

    @asynccontextmanager
    async def begin(self) -> AsyncGenerator[None]:
        """The transaction of this task: see :class:`tradesense.core.transactions.Transactions`."""
        ambient = self._joined()
        if ambient is not None:
            try:
                yield
            except BaseException:
                ambient.failed = True  # what the inner part wrote must not be committed by the outer one
                raise
            return
        async with self._transaction() as connection:
            ambient = Ambient(asyncio.current_task(), connection)
            token = self._ambient.set(ambient)
            try:
                yield
            finally:
                self._ambient.reset(token)
            self._whole(ambient)
        for call in ambient.after:
            call()

    def after_commit(self, call: Callable[[], None]) -> None:
        """Call once this task's transaction has committed, or now where there is none."""
        ambient = self._joined()
        if ambient is None:
            call()
        else:
            ambient.after.append(call)

    @asynccontextmanager
    async def writing(
        self, unavailable: type[Unavailable] = DatabaseUnavailable, *, alone: bool = False
    ) -> AsyncGenerator[AsyncConnection]:
        """A connection in this task's transaction, unless ``alone``, or in one of its own that ends with the body."""
        with translated(self.place, unavailable):
            ambient = None if alone else self._joined()
            if ambient is None:
                async with self._transaction() as connection:
                    with self._silence.judged():
                        yield connection
            else:
                with watched(ambient), self._silence.judged():
                    yield ambient.connection

    @asynccontextmanager
    async def committing(
        self, unavailable: type[Unavailable] = DatabaseUnavailable, *, alone: bool = False
    ) -> AsyncGenerator[AsyncConnection]:
        """A connection in this task's transaction, or else one where every statement commits by itself.

        :param alone: leave this task's transaction aside.
        """
        with translated(self.place, unavailable):
            ambient = None if alone else self._joined()
            if ambient is None:
                self._silence.check()
                async with self._turns.turn() as patience:
                    with self._silence.judged():
                        connection = await connected(self._opened(self._committing))
                    try:
                        with self._silence.judged():
                            await self._backend.wait_for(connection, patience)
                            yield connection
                        self._wrote()
                    finally:
                        await finish(self._given_back(connection))
            else:
                with watched(ambient), self._silence.judged():
                    yield ambient.connection

    async def change(
        self,
        statement: Executable,
        parameters: Mapping[str, Any] | None = None,
        unavailable: type[Unavailable] = DatabaseUnavailable,
    ) -> int:
        """Run one writing statement, in this task's transaction or by itself; returns the number of rows."""
        async with self.committing(unavailable) as connection:
            return (await connection.execute(statement, parameters)).rowcount

    async def fetch(
        self, query: Query, parameters: dict[str, Any], unavailable: type[Unavailable] = DatabaseUnavailable
    ) -> Sequence[Row]:
        """All rows of a query, in this task's transaction or by itself."""
        with translated(self.place, unavailable):
            ambient = self._joined()
            if ambient is None:
                self._silence.check()
                return await self._fetch_anywhere(query, parameters)
            with watched(ambient), self._silence.judged():
                rows: Sequence[Row] = (await ambient.connection.execute(query.statement, parameters)).all()
                return rows

    async def ask(self, query: Query) -> None:
        """Ask though the database is left alone, as it has not answered before."""
        with translated(self.place), self._silence.judged():
            await self._fetch(self._opened(), query, {})

    @property
    def in_transaction(self) -> bool:
        """Whether this task has a transaction open."""
        return self._joined() is not None

    async def _fetch_anywhere(self, query: Query, parameters: dict[str, Any]) -> Sequence[Row]:
        engine = self._opened()
        if query.lagging and self.replica is not None and (elsewhere := self.replica.engine()) is not None:
            try:
                return await self._fetch(elsewhere, query, parameters)
            except DRIVER_ERRORS:
                self.replica.failed()
        with self._silence.judged():
            return await self._fetch(engine, query, parameters)

    async def _fetch(self, engine: AsyncEngine, query: Query, parameters: dict[str, Any]) -> Sequence[Row]:
        compiled = self._compiled.get(query)
        if compiled is None:
            compiled = self._compiled[query] = query.compile(engine.dialect)
        # One greenlet takes, uses and gives back the connection: to start one costs more than all that the pool does.
        rows = await greenlet_spawn(self._read, engine, compiled.sql, compiled.values(parameters))
        return compiled.rows(rows)

    def _read(self, engine: AsyncEngine, sql: str, values: Sequence[Any]) -> Sequence[Row]:
        pooled = engine.sync_engine.raw_connection()
        try:
            rows = await_(self._backend.fetch(pooled.driver_connection, sql, values))
        except BaseException:
            # after a cancellation or a time-out the connection may be busy with this query still
            self._backend.abandon(pooled.driver_connection)
            pooled.invalidate()
            raise
        pooled.close()
        return rows

    @asynccontextmanager
    async def _transaction(self) -> AsyncGenerator[AsyncConnection]:
        """A new transaction. Only what happens here is translated, not what the body raises."""
        self._silence.check()
        async with self._turns.turn() as patience:
            with translated(self.place), self._silence.judged():
                connection = await connected(self._opened())
            try:
                with translated(self.place), self._silence.judged():
                    await self._backend.wait_for(connection, patience)
                    await self._backend.begin(connection)
                yield connection
                with translated(self.place), self._silence.judged():
                    await finish(connection.commit())
                self._wrote()
            finally:
                await finish(self._given_back(connection))

    async def _given_back(self, connection: AsyncConnection) -> None:
        await given_back(connection, self._backend.abandon if self._silence.quiet else None)

    def _wrote(self) -> None:
        if self.replica is not None:
            self.replica.wrote()

    def _joined(self) -> Ambient | None:
        """The transaction of this very task; tasks started inside inherit the variable, not the transaction."""
        ambient = self._ambient.get()
        return ambient if ambient is not None and ambient.task is asyncio.current_task() else None

    def _whole(self, ambient: Ambient) -> None:
        """Go on to commit only what is whole.

        :raises DatabaseUnavailable: a part failed, and its caller went on regardless.
        """
        if ambient.failed:
            raise DatabaseUnavailable(f"{self.place}: a part of the transaction failed, so nothing was changed")

    def _opened(self, engine: AsyncEngine | None = None) -> AsyncEngine:
        if self._engine is None:
            raise AdapterClosed("the database is not open")
        return engine or self._engine

    async def _open(self) -> None:
        with translated(self.place):
            engine = self._backend.open()
        replace_lost(engine, self._backend.lost)
        try:
            with translated(self.place):
                connection = await connected(engine)
                try:
                    if self._backend.throwaway:
                        await _schema.make(connection)
                        await connection.commit()
                    else:
                        await _schema.check(connection, self.place)
                finally:
                    await finish(given_back(connection))
        except BaseException:
            await finish(engine.dispose())
            self._backend.close()
            raise
        self._engine, self._committing = engine, self._backend.committing(engine)
        measure(engine, self._telemetry(), PRIMARY)
        if self.replica is not None:
            self.replica.open(self._telemetry())

    async def _close(self) -> None:
        engine, self._engine, self._committing = self._engine, None, None
        if engine is not None:
            await engine.dispose()
        if self.replica is not None:
            await self.replica.close()
        self._backend.close()
