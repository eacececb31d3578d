"""Leaving a database alone that does not answer, and noticing that it does not."""

from __future__ import annotations

import asyncio
import sqlite3
import time
from collections.abc import Callable

from sqlalchemy.exc import DBAPIError
from sqlalchemy.exc import TimeoutError as PoolTimeoutError

from tradesense.adapters.sql._errors import DRIVER_ERRORS, cause_of, sqlstate_of
from tradesense.adapters.sql._url import ORIGIN
from tradesense.core.breaker import Breaker
from tradesense.core.errors import DatabaseUnavailable

LONG = 1.0
"""Seconds without an answer, after which a caller that was cancelled is taken for one that gave up."""
STARTING = frozenset({"57P01", "57P02", "57P03"})
"""What PostgreSQL says while it shuts down, has crashed, or cannot be connected to yet."""


class Silence:
    """Judges what becomes of statements, and refuses new ones while the database does not answer."""

    def __init__(self, place: str, now: Callable[[], float] = time.monotonic) -> None:
        self._place = place
        self._now = now
        self._breaker = Breaker(now)

    @property
    def quiet(self) -> bool:
        """Whether the last that was asked of the database was not answered."""
        return self._breaker.failing

    def check(self) -> None:
        """Go on only if the database is worth asking.

        :raises DatabaseUnavailable: it has not answered several times, and another caller tries it.
        """
        if not self._breaker.admits():
            raise DatabaseUnavailable(
                f"{self._place}: it is not asked, as it has not answered several times; it is tried again every second",
                origin=ORIGIN,
                mend="start the database, or see whether it is overloaded or cut off",
            )

    def judged(self) -> Judged:
        """Learn from what the body, which talks to the database and does nothing else, comes to."""
        return Judged(self._breaker, self._now)


class Judged:
    """One talk with the database."""

    __slots__ = ("_began", "_breaker", "_now")

    def __init__(self, breaker: Breaker, now: Callable[[], float]) -> None:
        self._breaker = breaker
        self._now = now
        self._began = now()

    def __enter__(self) -> None:
        return

    def __exit__(self, _: object, error: BaseException | None, __: object) -> None:
        if error is None:
            self._breaker.worked()
        elif isinstance(error, asyncio.CancelledError):
            if self._now() - self._began >= LONG:
                self._breaker.failed()
        elif isinstance(error, DRIVER_ERRORS):
            if _is_silence(error):
                self._breaker.failed()
            elif not isinstance(error, PoolTimeoutError):
                self._breaker.worked()


def _is_silence(error: Exception) -> bool:
    """Whether nothing came back, or a farewell; a refusal is an answer."""
    if isinstance(error, PoolTimeoutError):
        return False
    cause = cause_of(error)
    if isinstance(cause, sqlite3.Error):
        return False
    state = sqlstate_of(error)
    lost = isinstance(error, DBAPIError) and error.connection_invalidated
    return isinstance(cause, OSError) or state in STARTING or state.startswith("08") or (lost and not state)
