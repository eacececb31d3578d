"""Limits whose counts survive everything but the loss of the database, timed by its clock alone."""

from __future__ import annotations

import hashlib
from collections import deque
from collections.abc import Iterable, Mapping, Sequence
from functools import cache

import msgspec
from sqlalchemy import LargeBinary, bindparam, delete, or_, select
from sqlalchemy.ext.asyncio import AsyncConnection
from sqlalchemy.sql.base import Executable

from tradesense.adapters.sql import _upsert
from tradesense.adapters.sql._database import Database
from tradesense.adapters.sql._now import database_now
from tradesense.adapters.sql._query import Query, Row
from tradesense.adapters.sql._room import Room
from tradesense.adapters.sql._tables import limits
from tradesense.core.cache.models import Attempt, Limit, Verdict, check_attempts
from tradesense.core.cache.ports import RateLimiter
from tradesense.core.cache.window import ROUNDING, Window
from tradesense.core.errors import LimiterUnavailable

SWEPT = 4
"""Rows that have stopped counting and are removed with each new one, which outruns the new ones."""

_ROW = limits.c
_COLUMNS = (_ROW.place, _ROW.attempts, _ROW.expires_at, database_now())
_CLOCK = select(database_now())
_RESET = delete(limits).where(_ROW.place == bindparam("at"))
_OVER = (
    select(_ROW.place)
    .where(_ROW.expires_at < database_now())
    .limit(SWEPT)
    .with_for_update(skip_locked=True)  # two that sweep share the work instead of waiting for each other
)
_SWEEP = delete(limits).where(_ROW.place.in_(_OVER))

_decode = msgspec.msgpack.Decoder(list[tuple[float, int]]).decode
_encode = msgspec.msgpack.Encoder().encode


class SqlLimiter(Room):
    """A sliding window, exact at its edges, over all processes on one database. See :class:`RateLimiter`.

    A count never joins a transaction: what was tried was tried, whatever becomes of it. A row holds the digest of its
    key, and each of its attempts, so that limits of some hundreds are what it is for.
    """

    unavailable = LimiterUnavailable

    async def hit(self, key: str, limit: Limit, *, cost: int = 1) -> Verdict:
        """See :meth:`RateLimiter.hit`."""
        return (await self.hit_many([Attempt(key=key, limit=limit, cost=cost)]))[0]

    async def hit_many(self, attempts: Sequence[Attempt]) -> tuple[Verdict, ...]:
        """See :meth:`RateLimiter.hit_many`. What is refused costs a read and no write."""
        database = self._apart()
        check_attempts(attempts)
        if not attempts:
            return ()
        places = {f"place{number}": _place(attempt.key, attempt.limit) for number, attempt in enumerate(attempts)}
        seen = _read(await database.fetch(_seen(len(places)), dict(places), self.unavailable), places.values())
        verdicts, allowed = _decided(attempts, seen, count=False)
        return await self._counted(database, attempts, places) if allowed else verdicts

    async def _counted(
        self, database: Database, attempts: Sequence[Attempt], places: Mapping[str, bytes]
    ) -> tuple[Verdict, ...]:
        """Decide once more, while nobody else writes the rows."""
        async with database.writing(self.unavailable, alone=True) as connection:
            if database.one_writer:
                rows: Sequence[Row] = (await connection.execute(_seen(len(places)).statement, places)).all()
            else:
                rows = await _held(connection, sorted(places.values()))
            clock = rows[0][3] if rows else (await connection.execute(_CLOCK)).scalar_one()
            windows = _read(rows, places.values(), clock)
            new = not all(window.until for window, _ in windows)
            verdicts, allowed = _decided(attempts, windows, count=True)
            if allowed:
                counted = zip(places.values(), (window for window, _ in windows), strict=True)
                await connection.execute(
                    _written(database.dialect),
                    [
                        {"place": place, "attempts": _encode(list(window.attempts)), "expires_at": window.until}
                        for place, window in counted
                    ],
                )
                if new:
                    await connection.execute(_SWEEP)
        return verdicts

    async def reset(self, key: str, limit: Limit) -> None:
        """See :meth:`RateLimiter.reset`."""
        async with self._apart().committing(self.unavailable, alone=True) as connection:
            await connection.execute(_RESET, {"at": _place(key, limit)})

    def _apart(self) -> Database:
        """The database, provided that a transaction beside the task's own can go on.

        :raises LimiterUnavailable: it would wait for the very transaction that waits for it.
        """
        database = self._ready()
        if database.one_writer and database.in_transaction:
            raise LimiterUnavailable(
                "on SQLite no attempt can be counted inside a transaction", mend="count it before the transaction"
            )
        return database


async def _held(connection: AsyncConnection, places: Sequence[bytes]) -> Sequence[Row]:
    """What is counted at these places, the rows locked one after the other: everybody gives them in one order."""
    empty = [{"place": place, "attempts": _encode(()), "expires_at": 0.0} for place in places]
    row = _upsert.insert(connection.dialect.name, limits).values(empty)
    locking = row.on_conflict_do_update(index_elements=["place"], set_={"expires_at": limits.c.expires_at})
    rows: Sequence[Row] = (await connection.execute(locking.returning(*_COLUMNS))).all()
    return rows


@cache
def _written(dialect: str) -> Executable:
    row = _upsert.insert(dialect, limits)
    changed = {"attempts": row.excluded.attempts, "expires_at": row.excluded.expires_at}
    return row.on_conflict_do_update(index_elements=["place"], set_=changed)


@cache
def _seen(number: int) -> Query:
    """What is counted at so many places."""
    wanted = [bindparam(f"place{one}", type_=LargeBinary) for one in range(number)]
    return Query(select(*_COLUMNS).where(or_(*(_ROW.place == one for one in wanted))))


def _read(rows: Sequence[Row], places: Iterable[bytes], clock: float = 0.0) -> list[tuple[Window, float]]:
    """What is counted at each place, and when that was read by the database's clock: ``clock`` where nothing is."""
    windows = dict[bytes, tuple[Window, float]]()
    for place, counted, until, now in rows:
        log = _decode(counted)
        windows[place] = Window(attempts=deque(log), used=sum(cost for _, cost in log), until=until), now
    return [windows.get(place) or (Window(), clock) for place in places]


def _decided(
    attempts: Sequence[Attempt], read: Sequence[tuple[Window, float]], *, count: bool
) -> tuple[tuple[Verdict, ...], bool]:
    """What to say, and whether the attempt is allowed; it is then counted if ``count`` is true."""
    nows = list[float]()
    for attempt, (window, clock) in zip(attempts, read, strict=True):
        now = max(clock, window.attempts[-1][0]) if window.attempts else clock  # it never runs backwards
        window.forget(now - attempt.limit.period + ROUNDING)
        nows.append(now)
    pairs = [(attempt, window) for attempt, (window, _) in zip(attempts, read, strict=True)]
    allowed = all(
        one.shadow or window.fits(one.limit, one.cost, now) for (one, window), now in zip(pairs, nows, strict=True)
    )
    verdicts = tuple(
        window.verdict(attempt.limit, attempt.cost, now, count=allowed and count)
        for (attempt, window), now in zip(pairs, nows, strict=True)
    )
    return verdicts, allowed


def _place(key: str, limit: Limit) -> bytes:
    """The same for no two pairs of a limit's name and a key."""
    name = limit.name.encode()
    return hashlib.sha256(len(name).to_bytes(4) + name + key.encode("utf-8", "surrogatepass")).digest()


_: type[RateLimiter] = SqlLimiter
