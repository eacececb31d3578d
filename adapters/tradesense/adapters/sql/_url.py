"""Reading ``database.url``."""

from __future__ import annotations

from sqlalchemy import URL, make_url
from sqlalchemy.exc import ArgumentError

from tradesense.adapters.sql.settings import FORM, POSTGRESQL, SQLITE
from tradesense.core.errors import ConfigurationError
from tradesense.core.sensitive import Secret

ORIGIN = "database.url"
_MEND = f"use {FORM}"


def parsed(url: Secret) -> URL:
    """The URL with the plain scheme ``sqlite`` or ``postgresql``.

    :raises ConfigurationError: it is no URL, or names another database or driver. The message never holds the URL.
    """
    try:
        found = make_url(url.reveal())
    except (ArgumentError, ValueError) as error:
        raise ConfigurationError("the database's URL cannot be read", origin=ORIGIN, mend=_MEND) from error
    if found.drivername in SQLITE:
        return _sqlite(found)
    if found.drivername in POSTGRESQL:
        return _postgresql(found)
    raise ConfigurationError(f"no database is called {found.drivername[:40]!r} here", origin=ORIGIN, mend=_MEND)


def _sqlite(url: URL) -> URL:
    if url.host or url.username or url.query:
        raise ConfigurationError(
            "an SQLite URL has a path and nothing else",
            origin=ORIGIN,
            mend="use sqlite:///relative/path, or sqlite:////absolute/path with four slashes",
        )
    return url.set(drivername="sqlite")


def _postgresql(url: URL) -> URL:
    if not url.database:
        raise ConfigurationError("the database's URL names no database", origin=ORIGIN, mend=_MEND)
    return url.set(drivername="postgresql")
