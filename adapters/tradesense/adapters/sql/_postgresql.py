"""PostgreSQL: one database for many processes on many hosts."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Sequence
from typing import Any

import asyncpg  # type: ignore[import-untyped]  # it ships no types
from sqlalchemy import URL
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine, create_async_engine

from tradesense.adapters.sql._pool import MeasuredPool
from tradesense.adapters.sql.settings import SqlSettings
from tradesense.core.steady import SteadyClock

PORT = 5432

_connect: Callable[..., Awaitable[Any]] = asyncpg.connect  # pyright: ignore[reportUnknownMemberType, reportUnknownVariableType]  # no types

GRACE = 1.0
"""Seconds that the server has to say that a statement timed out, before we say so ourselves."""

IDLE = 3.0
"""How many times the statement timeout a transaction may wait for its own process."""


FAREWELL = 0.2
"""Seconds that the server has to take notice of a connection that is given up in the middle of a statement."""


class Parting(asyncpg.Connection):  # type: ignore[misc]  # it ships no types
    """A connection whose end nobody waits for in vain.

    SQLAlchemy gives up a connection whose statement was cancelled, and waits two seconds for the server's consent: a
    caller that was to be told in time would wait for the very server that does not answer.
    """

    made_for: URL

    async def close(self, *, timeout: float | None = None) -> None:  # noqa: ASYNC109  # the base's own parameter
        """Close it; with a time-out, not later than after :data:`FAREWELL`."""
        await super().close(timeout=None if timeout is None else min(timeout, FAREWELL))  # pyright: ignore[reportUnknownMemberType]  # no types


class Postgresql:
    """The server that the URL names. The driver reads the URL itself, so all that libpq's URLs can say works."""

    one_writer = False
    throwaway = False

    def __init__(self, url: URL, settings: SqlSettings, *, clock: SteadyClock | None = None) -> None:
        self._url = url
        self._settings = settings
        self._clock = clock
        self.place = place_of(url)

    def open(self) -> AsyncEngine:
        """See :meth:`Backend.open`."""
        settings = self._settings
        return engine_for(
            lambda: self._url,
            connect_timeout=settings.pool_timeout,
            statement_timeout=settings.statement_timeout,
            clock=self._clock,
            poolclass=MeasuredPool,
            pool_size=settings.pool_size,
            max_overflow=settings.max_overflow,
            pool_timeout=settings.pool_timeout,
            pool_reset_on_return=None,  # whoever begins a transaction ends it; readers have none
        )

    def committing(self, engine: AsyncEngine) -> AsyncEngine:
        """See :meth:`Backend.committing`."""
        return engine.execution_options(isolation_level="AUTOCOMMIT")

    def renew(self, url: URL) -> None:
        """See :meth:`Backend.renew`."""
        self._url = url

    async def begin(self, connection: AsyncConnection) -> None:
        """See :meth:`Backend.begin`: the first statement brings it."""

    async def wait_for(self, connection: AsyncConnection, seconds: float) -> None:
        """See :meth:`Backend.wait_for`: writers wait for rows, and no longer than a statement may take."""

    async def fetch(self, driver: Any, sql: str, values: Sequence[Any]) -> Sequence[Sequence[Any]]:
        """See :meth:`Backend.fetch`: prepared once for each connection, then one round trip."""
        rows: Sequence[Sequence[Any]] = await driver.fetch(sql, *values)
        return rows

    def lost(self, driver: Any) -> bool:
        """See :meth:`Backend.lost`. What was made with an earlier credential is not used again."""
        return bool(driver.is_closed()) or getattr(driver, "made_for", self._url) is not self._url

    def abandon(self, driver: Any) -> None:
        """See :meth:`Backend.abandon`."""
        driver.terminate()

    def close(self) -> None:
        """See :meth:`Backend.close`: nothing is left."""


def place_of(url: URL) -> str:
    """What errors call the server: hosts and ports, and nothing else of the URL."""
    hosts = url.query.get("host", url.host or "localhost")
    return f"PostgreSQL at {hosts if isinstance(hosts, str) else ','.join(hosts)}:{url.port or PORT}"


def engine_for(
    url: Callable[[], URL],
    *,
    connect_timeout: float,
    statement_timeout: float | None,
    clock: SteadyClock | None = None,
    **options: Any,
) -> AsyncEngine:
    """An engine over one server.

    :param url: asked for each new connection.
    :param statement_timeout: seconds; no limit when ``None``.
    :param clock: is told the server's time by each new connection.
    """
    limits = {"application_name": "tradesense"}
    if statement_timeout is not None:
        limits["statement_timeout"] = _milliseconds(statement_timeout)
        limits["idle_in_transaction_session_timeout"] = _milliseconds(statement_timeout * IDLE)
    patience = None if statement_timeout is None else statement_timeout + GRACE

    async def connect_with(current: URL) -> Any:
        made = await _connect(
            current.render_as_string(hide_password=False),
            timeout=connect_timeout,
            command_timeout=patience,
            server_settings=limits,
            connection_class=Parting,
        )
        made.made_for = current
        if clock is not None:
            asked = clock.monotonic()
            try:
                clock.tell(await made.fetchval("SELECT clock_timestamp()"), asked)
            except BaseException:
                made.terminate()
                raise
        return made

    async def connect() -> Any:
        made = await connect_with(url())
        # A credential that changed meanwhile would make the pool count this connection as one of its few attempts.
        while made.made_for is not url():
            made.terminate()
            made = await connect_with(url())
        return made

    return create_async_engine("postgresql+asyncpg://", async_creator=connect, hide_parameters=True, **options)


def _milliseconds(seconds: float) -> str:
    return str(max(1, round(seconds * 1000)))
