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
from tradesense.adapters.sql.migrations.waiting import PATIENCE, PAUSE, told, turn
from tradesense.adapters.sql.settings import SqlSettings
from tradesense.core.errors import ConfigurationError
from tradesense.core.sensitive import Secret

if TYPE_CHECKING:
    from alembic.config import Config

CONNECT_SECONDS: Final = 10.0
OWNER_ONLY: Final = 0o600
BUSY_TIMEOUT: Final = SqlSettings().busy_timeout

LOCK: Final = 0x7472_6164_6573
"""The advisory lock of everyone who migrates a TradeSense database on PostgreSQL."""


async def upgrade(url: Secret, *, busy_timeout: float = BUSY_TIMEOUT) -> list[str]:
    """Bring the database at ``url`` to :func:`head`; returns the revisions that were applied, oldest first.

    Where there is nothing to do, nothing is locked. Else all are applied in one transaction. Of processes that start at
    once, one migrates and the others wait for it. A missing SQLite file is made, with its folder, for its owner alone.

    :param busy_timeout: seconds to wait for a writer of the same SQLite file that does not migrate it.
    :raises ConfigurationError: the URL cannot be used, or the tables are of a release that is not known here.
    :raises DatabaseUnavailable: the database did not answer, or another process did not finish in time.
    """
    place = parsed(url)
    if place.drivername == "sqlite":
        if _throwaway(place):
            return []  # its tables are made whenever it is opened
        _touch(_path(place))
    name = _name(place)
    with translated(name):
        async with _connected(place, "rw", busy_timeout) as connection:
            if _known(await _schema.current(connection), name) == head():
                return []
        async with _turn(place, name), _connected(place, "rwc", busy_timeout) as connection:
            await _begun(connection, name, busy_timeout)
            if await _revision(connection, name) == head():
                return []
            applied = await connection.run_sync(_apply)
            await connection.commit()
    return applied


async def current(url: Secret, *, busy_timeout: float = BUSY_TIMEOUT) -> str | None:
    """The revision of the tables at ``url``; ``None`` where there are none yet.

    :raises ConfigurationError: the URL cannot be used.
    :raises DatabaseUnavailable: the database did not answer.
    """
    place = parsed(url)
    if place.drivername == "sqlite" and (_throwaway(place) or not _there(_path(place))):
        return None
    with translated(_name(place)):
        async with _connected(place, "rw", busy_timeout) as connection:
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
async def _connected(url: URL, mode: str, busy_timeout: float) -> AsyncGenerator[AsyncConnection]:
    engine = _engine(url, mode, busy_timeout)
    try:
        with told(f"{_name(url)} does not answer yet", busy_timeout if url.drivername == "sqlite" else CONNECT_SECONDS):
            connection = await _first(engine, busy_timeout)
        try:
            yield connection
        finally:
            await connection.close()
    finally:
        await engine.dispose()


async def _first(engine: AsyncEngine, seconds: float) -> AsyncConnection:
    """Connect. To turn write-ahead logging on takes a lock that SQLite does not wait for."""
    loop = asyncio.get_running_loop()
    deadline = loop.time() + seconds
    while True:
        try:
            return await engine.connect().start()
        except DBAPIError as error:
            if "locked" not in str(error.orig) or loop.time() > deadline:
                raise
        await asyncio.sleep(PAUSE)


@asynccontextmanager
async def _turn(url: URL, name: str) -> AsyncGenerator[None]:
    """No other migration of the same SQLite file; PostgreSQL takes turns by the lock of :func:`_begun`."""
    if url.drivername == "sqlite":
        async with turn(_path(url), name):
            yield
    else:
        yield


async def _begun(connection: AsyncConnection, name: str, busy_timeout: float) -> None:
    """Begin a transaction that nobody else writes the tables beside."""
    if connection.dialect.name == "sqlite":
        with told(f"{name} is locked by another writer", busy_timeout):
            await connection.execute(text("BEGIN IMMEDIATE"))
    else:
        await connection.execute(select(func.set_config("lock_timeout", f"{PATIENCE:.0f}s", True)))
        with told(f"another process migrates {name}", PATIENCE):
            await connection.execute(select(func.pg_advisory_xact_lock(LOCK)))


async def _revision(connection: AsyncConnection, name: str) -> str | None:
    """The revision of the tables, read inside a transaction."""
    attempt = await connection.begin_nested()  # asking for a table that is absent ends a transaction on PostgreSQL
    try:
        return _known(await _schema.current(connection), name)
    finally:
        await attempt.rollback()


def _known(revision: str | None, name: str) -> str | None:
    """``revision``; one that a later release made is refused."""
    if revision is not None and revision not in _schema.REVISIONS:
        raise ConfigurationError(
            f"{name} has tables of revision {revision}, which this release does not know",
            origin=ORIGIN,
            mend="run the release that made them, or a later one",
        )
    return revision


def _engine(url: URL, mode: str, busy_timeout: float) -> AsyncEngine:
    if url.drivername == "sqlite":
        return _sqlite.engine_for(_path(url), mode, busy_timeout=busy_timeout, poolclass=NullPool)
    return _postgresql.engine_for(
        lambda: url, connect_timeout=CONNECT_SECONDS, statement_timeout=None, poolclass=NullPool
    )


def _path(url: URL) -> Path:
    return Path(url.database or "")


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
