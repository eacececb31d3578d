"""SQLite: one file, many readers beside one writer, in as many processes of one host as there are."""

from __future__ import annotations

import sqlite3
import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import Any
from urllib.parse import quote

import aiosqlite
from sqlalchemy import URL, event, text
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine, create_async_engine

from tradesense.adapters.sql._pool import MeasuredPool
from tradesense.adapters.sql.settings import SqlSettings

MEMORY = ":memory:"
WAITS = "busy_timeout"
"""Where a connection remembers how many milliseconds it waits for another writer."""
NOT_WORTH_TELLING = 100
"""Milliseconds by which a wait may be too long."""
_BEGIN = text("BEGIN IMMEDIATE")


class Sqlite:
    """The file that the URL names, or a temporary one that ends with the adapter.

    Commits are durable against a loss of power, not only of the process (``synchronous=FULL``): an acknowledged row of
    the audit trail or version of a secret must not be taken back. In WAL mode that is one fsync for a commit.
    """

    one_writer = True

    def __init__(self, url: URL, settings: SqlSettings) -> None:
        self._settings = settings
        self.throwaway = not url.database or url.database == MEMORY
        self._path = Path(url.database or MEMORY)
        self._folder: tempfile.TemporaryDirectory[str] | None = None
        self.place = "the temporary SQLite database" if self.throwaway else f"SQLite at {self._path}"

    def renew(self, url: URL) -> None:
        """See :meth:`Backend.renew`: a file has no credential."""

    def open(self) -> AsyncEngine:
        """See :meth:`Backend.open`. A missing file is an error, as only an upgrade makes one."""
        path, mode = self._path, "rw"
        if self.throwaway:
            self._folder = tempfile.TemporaryDirectory(prefix="tradesense-")
            path, mode = Path(self._folder.name) / "database", "rwc"
        return engine_for(
            path,
            mode,
            busy_timeout=self._settings.busy_timeout,
            poolclass=MeasuredPool,
            pool_size=self._settings.pool_size,
            max_overflow=self._settings.max_overflow,
            pool_timeout=self._settings.pool_timeout,
            pool_reset_on_return=None,  # whoever begins a transaction ends it; readers have none
        )

    def committing(self, engine: AsyncEngine) -> AsyncEngine:
        """See :meth:`Backend.committing`: every connection does so already."""
        return engine

    async def begin(self, connection: AsyncConnection) -> None:
        """See :meth:`Backend.begin`. The lock is taken now, so that no reader is refused when it turns writer."""
        await connection.execute(_BEGIN)

    async def wait_for(self, connection: AsyncConnection, seconds: float) -> None:
        """See :meth:`Backend.wait_for`. Nothing is said to the database while the wait is the usual one."""
        usual = _milliseconds(self._settings.busy_timeout)
        wanted = _milliseconds(seconds)
        if usual - wanted <= NOT_WORTH_TELLING:
            wanted = usual
        known = connection.sync_connection.info if connection.sync_connection is not None else {}
        if known.get(WAITS, usual) != wanted:
            await connection.execute(text(f"PRAGMA busy_timeout = {wanted}"))
            known[WAITS] = wanted

    async def fetch(self, driver: aiosqlite.Connection, sql: str, values: Sequence[Any]) -> Sequence[Sequence[Any]]:
        """See :meth:`Backend.fetch`: one hand-over to the connection's thread instead of four."""
        try:
            return list(await driver.execute_fetchall(sql, values))
        except ValueError as error:
            raise sqlite3.OperationalError("the connection is closed") from error

    def lost(self, driver: aiosqlite.Connection) -> bool:  # noqa: ARG002  # the protocol's signature
        """See :meth:`Backend.lost`: a file does not hang up."""
        return False

    def abandon(self, driver: aiosqlite.Connection) -> None:
        """See :meth:`Backend.abandon`: a file needs no farewell."""

    def close(self) -> None:
        """See :meth:`Backend.close`."""
        if self._folder is not None:
            self._folder.cleanup()
            self._folder = None


def _milliseconds(seconds: float) -> int:
    return round(seconds * 1000)


def engine_for(path: Path, mode: str, *, busy_timeout: float, **options: Any) -> AsyncEngine:
    """An engine over one file, with Python's own transaction control off.

    :param mode: SQLite's open mode: ``rw`` needs the file, ``rwc`` makes it and turns write-ahead logging on, which the
        file then remembers.
    :raises sqlite3.OperationalError: the file cannot be opened.
    """
    location = f"file:{quote(str(path.absolute()))}"

    def probe(*_: object) -> None:
        # A file that cannot be opened is found out here, as the driver would leave a thread behind that outlives the
        # loop, now and when it has gone since.
        sqlite3.connect(f"{location}?mode={mode}", uri=True).close()

    probe()
    engine = create_async_engine(
        URL.create("sqlite+aiosqlite", database=location, query={"uri": "true", "mode": mode}),
        connect_args={"timeout": busy_timeout, "isolation_level": None},
        hide_parameters=True,
        **options,
    )
    pragmas = ("synchronous = FULL", "foreign_keys = ON", *(("journal_mode = WAL",) if mode == "rwc" else ()))

    def prepare(connection: Any, _record: object) -> None:
        cursor = connection.cursor()
        try:
            for pragma in pragmas:
                cursor.execute(f"PRAGMA {pragma}")
        finally:
            cursor.close()

    event.listen(engine.sync_engine, "do_connect", probe)
    event.listen(engine.sync_engine, "connect", prepare)
    return engine
