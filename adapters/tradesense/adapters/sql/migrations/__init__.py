"""Bringing the tables to the revision of this release.

Alembic is heavy to import, and so it is only where there is something to apply.
"""

from __future__ import annotations

import asyncio
import os
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Final

from sqlalchemy import URL, Connection, func, select, text
from sqlalchemy.exc import DBAPIError
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine
from sqlalchemy.pool import NullPool

from tradesense.adapters.sql import _postgresql, _schema, _sqlite
from tradesense.adapters.sql._errors import translated
from tradesense.adapters.sql._url import ORIGIN, parsed
from tradesense.core.errors import ConfigurationError
from tradesense.core.sensitive import Secret

if TYPE_CHECKING:
    from alembic.config import Config

PATIENCE: Final = 60.0
"""Seconds to wait for another process that migrates the same database."""

CONNECT_SECONDS: Final = 10.0
PAUSE: Final = 0.05
OWNER_ONLY: Final = 0o600

LOCK: Final = 0x7472_6164_6573
"""The advisory lock of everyone who migrates a TradeSense database on PostgreSQL."""


async def upgrade(url: Secret) -> list[str]:
    """Bring the database at ``url`` to :func:`head`; returns the revisions that were applied, oldest first.

    All of them are applied in one transaction. Of processes that start at once, one migrates and the others find
    nothing left to do. A missing SQLite file is made, with its folder, for its owner alone.

    :raises ConfigurationError: the URL cannot be used, or the tables are of a release that is not known here.
    :raises DatabaseUnavailable: the database did not answer, or another process did not finish in time.
    """
    place = parsed(url)
    if place.drivername == "sqlite":
        if _throwaway(place):
            return []  # its tables are made whenever it is opened
        _touch(Path(place.database or ""))
    async with _connected(place, "rwc") as connection:
        with translated(_name(place)):
            await _alone(connection)
            if await _known(connection, _name(place)) == head():
                return []
            applied = await connection.run_sync(_apply)
            await connection.commit()
    return applied


async def current(url: Secret) -> str | None:
    """The revision of the tables at ``url``; ``None`` where there are none yet.

    :raises ConfigurationError: the URL cannot be used.
    :raises DatabaseUnavailable: the database did not answer.
    """
    place = parsed(url)
    if place.drivername == "sqlite" and (_throwaway(place) or not _there(Path(place.database or ""))):
        return None
    async with _connected(place, "rw") as connection:
        with translated(_name(place)):
            return await _schema.current(connection)


def head() -> str:
    """The revision that this release needs."""
    return _schema.HEAD


def alembic_config() -> Config:
    """Alembic's configuration, made here so that no file has to be found."""
    from alembic.config import Config  # noqa: PLC0415  # see the module's docstring

    config = Config()
    config.set_main_option("script_location", str(Path(__file__).parent).replace("%", "%%"))
    return config


def _apply(connection: Connection) -> list[str]:
    from alembic import command  # noqa: PLC0415  # see the module's docstring

    applied: list[str] = []
    config = alembic_config()
    config.attributes.update(connection=connection, applied=applied)
    command.upgrade(config, "head")
    return applied


@asynccontextmanager
async def _connected(url: URL, mode: str) -> AsyncGenerator[AsyncConnection]:
    with translated(_name(url)):
        engine = _engine(url, mode)
    try:
        with translated(_name(url)):
            connection = await _first(engine)
        try:
            yield connection
        finally:
            await connection.close()
    finally:
        await engine.dispose()


async def _first(engine: AsyncEngine) -> AsyncConnection:
    """Connect. A file that another process just makes is locked for a moment, which SQLite does not wait for."""
    loop = asyncio.get_running_loop()
    deadline = loop.time() + PATIENCE
    while True:
        try:
            return await engine.connect().start()
        except DBAPIError as error:
            if "locked" not in str(error.orig) or loop.time() > deadline:
                raise
        await asyncio.sleep(PAUSE)


async def _alone(connection: AsyncConnection) -> None:
    """Begin a transaction that no other migration runs beside."""
    if connection.dialect.name == "sqlite":
        await connection.execute(text("BEGIN IMMEDIATE"))
    else:
        await connection.execute(select(func.set_config("lock_timeout", f"{PATIENCE:.0f}s", True)))
        await connection.execute(select(func.pg_advisory_xact_lock(LOCK)))


async def _known(connection: AsyncConnection, name: str) -> str | None:
    """The revision of the tables; those that a later release made are refused."""
    attempt = await connection.begin_nested()  # asking for a table that is absent ends a transaction on PostgreSQL
    try:
        found = await _schema.current(connection)
    finally:
        await attempt.rollback()
    if found is not None and found not in _schema.REVISIONS:
        raise ConfigurationError(
            f"{name} has tables of revision {found}, which this release does not know",
            origin=ORIGIN,
            mend="run the release that made them, or a later one",
        )
    return found


def _engine(url: URL, mode: str) -> AsyncEngine:
    if url.drivername == "sqlite":
        path = Path(url.database or "")
        return _sqlite.engine_for(path, mode, busy_timeout=PATIENCE, poolclass=NullPool)
    return _postgresql.engine_for(url, connect_timeout=CONNECT_SECONDS, statement_timeout=None, poolclass=NullPool)


def _touch(path: Path) -> None:
    """Make the file, readable by its owner alone, if it is not there; SQLite gives its companions the same rights.

    :raises ConfigurationError: it cannot be made.
    """
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        os.close(os.open(path, os.O_CREAT | os.O_RDWR, OWNER_ONLY))
    except OSError as error:
        raise ConfigurationError(
            f"SQLite at {path}: {error.strerror}",
            origin=ORIGIN,
            mend="name a file in a folder that the service's user may write",
        ) from error


def _there(path: Path) -> bool:
    return path.exists()


def _throwaway(url: URL) -> bool:
    return not url.database or url.database == _sqlite.MEMORY


def _name(url: URL) -> str:
    return f"SQLite at {url.database}" if url.drivername == "sqlite" else _postgresql.place_of(url)
