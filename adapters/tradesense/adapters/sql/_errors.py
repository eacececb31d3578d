"""What the drivers raise, in the words of the ports.

No message holds a statement, a parameter or a password: they are made of the database's place and of those texts of
the database that speak of its own state.
"""

from __future__ import annotations

import os
import sqlite3
from collections.abc import Generator
from contextlib import contextmanager

import asyncpg  # type: ignore[import-untyped]  # it ships no types
from sqlalchemy.dialects.postgresql.asyncpg import AsyncAdapt_asyncpg_dbapi
from sqlalchemy.exc import DBAPIError, PendingRollbackError
from sqlalchemy.exc import IntegrityError as AlchemyIntegrityError
from sqlalchemy.exc import TimeoutError as PoolTimeoutError

from tradesense.adapters.sql._url import ORIGIN
from tradesense.core.errors import Conflict, DatabaseUnavailable, InvalidInput, Unavailable

DRIVER_ERRORS: tuple[type[Exception], ...] = (
    DBAPIError,
    PoolTimeoutError,
    PendingRollbackError,
    AsyncAdapt_asyncpg_dbapi.Error,  # as it comes where a bare connection is made
    asyncpg.PostgresError,
    asyncpg.InterfaceError,
    asyncpg.InternalClientError,
    sqlite3.Error,
    OSError,  # TimeoutError is one
)

UPGRADE = "run `tradesense db upgrade`"

UNDEFINED_TABLE = "42P01"

_SPOKEN = frozenset({"08", "25", "28", "3D", "40", "53", "54", "55", "57", "58"})
"""Classes of SQLSTATE whose texts speak of the server and not of what was asked (PostgreSQL, appendix A)."""

_MENDS = (
    ("locked", "let the other writer finish, or raise database.busy_timeout"),
    ("disk", "free space on the disk"),
    ("readonly", "let the service's user write the file and its folder"),
    ("unable to open", UPGRADE + ", or correct database.url"),
    ("no such table", UPGRADE),
    ("not a database", "correct database.url"),
)


@contextmanager
def translated(place: str, unavailable: type[Unavailable] = DatabaseUnavailable) -> Generator[None]:
    """Raise what the body's driver raises as an error of the port, ``unavailable`` where the database is at fault.

    :raises Conflict: the database refused a row that contradicts another.
    :raises InvalidInput: a value cannot be stored at all.
    """
    try:
        yield
    except DatabaseUnavailable as error:
        if unavailable is DatabaseUnavailable:
            raise
        raise unavailable(error.detail, origin=error.origin, mend=error.mend) from error
    except DRIVER_ERRORS as error:
        state = sqlstate_of(error)
        if isinstance(error, AlchemyIntegrityError):
            raise Conflict("the change contradicts what is stored") from error
        if state.startswith("22"):
            raise InvalidInput("a value cannot be stored in the database") from error
        reason, mend = _reason(error, state)
        raise unavailable(f"{place}: {reason}", origin=ORIGIN, mend=mend) from error


def sqlstate_of(error: BaseException) -> str:
    return getattr(cause_of(error), "sqlstate", None) or ""


def cause_of(error: BaseException) -> BaseException:
    """What the driver itself raised."""
    return error.driver_exception if isinstance(error, DBAPIError) and error.orig is not None else error


def _reason(error: Exception, state: str) -> tuple[str, str]:
    """What was wrong, on one line, and what to do."""
    cause = cause_of(error)
    match cause:
        case PoolTimeoutError():
            found = "no connection became free in time", "raise database.pool_size, or send less at once"
        case TimeoutError():
            found = "no answer in time", "see whether it is overloaded or cut off"
        case sqlite3.Error():
            text = _first_line(cause)
            found = text, next((mend for word, mend in _MENDS if word in text), "see the log of the host")
        case OSError():
            named = os.strerror(cause.errno) if cause.errno and cause.errno > 0 else type(cause).__name__
            found = named, "start the database, or correct database.url"
        case _ if state == UNDEFINED_TABLE:
            found = "a table is missing", UPGRADE
        case _ if state[:2] in _SPOKEN:
            found = _first_line(cause), "see the database's log"
        case _:
            found = f"{type(cause).__name__} {state}".rstrip(), "see the database's log"
    return found


def _first_line(error: BaseException) -> str:
    lines = str(error).splitlines()
    return lines[0] if lines else type(error).__name__
