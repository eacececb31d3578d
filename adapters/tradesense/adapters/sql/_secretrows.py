"""One secret's rows inside a transaction: where it stands, and how it is moved."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime, timedelta
from typing import NamedTuple

from sqlalchemy.ext.asyncio import AsyncConnection

from tradesense.adapters.sql import _secrets, _upsert
from tradesense.adapters.sql._secrets import AVAILABLE, DELETED, DESTROYED
from tradesense.adapters.sql._tables import secrets
from tradesense.core.errors import SecretNotFound


class Place(NamedTuple):
    """Where a secret stands, as its row says it."""

    current: int = 0
    """The number that was current last; 0 when it never was, or was destroyed."""
    pending: int | None = None
    latest: int = 0
    deleted_at: datetime | None = None
    max_versions: int = 0
    delete_after: int = 0
    """Milliseconds."""

    def current_at(self, now: datetime) -> int:
        """The number of the current version, 0 for none."""
        return self.current if self.deleted_at is None or self.deleted_at > now else 0


class Mark(NamedTuple):
    """The state of one version."""

    state: str
    deleted_at: datetime | None

    def at(self, now: datetime) -> str:
        """The state at ``now``."""
        aged = self.state == AVAILABLE and self.deleted_at is not None and self.deleted_at <= now
        return DELETED if aged else self.state


async def begin(connection: AsyncConnection, path: str) -> None:
    """Make a row, with nothing current as yet, for a secret that never was, unless another has just done so."""
    row = _upsert.insert(connection.dialect.name, secrets).values(path=path, current_version=0, latest_version=0)
    await connection.execute(row.on_conflict_do_nothing(index_elements=["path"]))


async def place(connection: AsyncConnection, path: str) -> Place | None:
    """Lock the secret's row and say where it stands; ``None`` when it never was.

    From then on, until the transaction ends, no key is retired: what is sealed here will open.
    """
    postgresql = connection.dialect.name == "postgresql"
    locked = _secrets.LOCKED_TO_SEAL if postgresql else _secrets.LOCKED
    row = (await connection.execute(locked, {"path": path})).first()
    return None if row is None else Place(*row[: len(Place._fields)])


async def hold(connection: AsyncConnection) -> None:
    """Wait for everyone who has a :func:`place`, and let nobody have one until this transaction ends."""
    if connection.dialect.name == "postgresql":
        await connection.execute(_secrets.HOLD)


async def known(connection: AsyncConnection, path: str) -> Place:
    """The secret's place, be it deleted or not.

    :raises SecretNotFound: it never was, or was destroyed.
    """
    found = await place(connection, path)
    if found is None or not found.current:
        raise absent(path)
    return found


async def present(connection: AsyncConnection, path: str, now: datetime) -> Place:
    """The place of a secret that has a current version.

    :raises SecretNotFound: it has none.
    """
    found = await known(connection, path)
    if not found.current_at(now):
        raise absent(path)
    return found


async def marks(connection: AsyncConnection, path: str) -> dict[int, Mark]:
    """The state of every version."""
    rows = (await connection.execute(_secrets.STATES, {"path": path})).all()
    return {version: Mark(state, deleted_at) for version, state, deleted_at in rows}


async def mark(
    connection: AsyncConnection, path: str, versions: Sequence[int], state: str, at: datetime | None
) -> None:
    """Bring versions into a state, since ``at``; what is destroyed loses its envelope."""
    if not versions:
        return
    if state == DESTROYED:
        await connection.execute(_secrets.WIPE, [{"of": path, "marked": number, "at": at} for number in versions])
    else:
        await connection.execute(
            _secrets.MARK, [{"of": path, "marked": number, "new_state": state, "at": at} for number in versions]
        )


async def move(connection: AsyncConnection, path: str, to: Place) -> None:
    """Let the secret stand there."""
    await connection.execute(
        _secrets.MOVE,
        {
            "of": path,
            "current_version": to.current,
            "pending_version": to.pending,
            "latest_version": to.latest,
            "deleted_at": to.deleted_at,
        },
    )


async def drop(connection: AsyncConnection, path: str, *versions: int | None) -> None:
    """Remove versions, if they are any."""
    rows = [{"of": path, "dropped": version} for version in versions if version is not None]
    if rows:
        await connection.execute(_secrets.DROP, rows)


async def prune(connection: AsyncConnection, path: str, most: int) -> None:
    """Drop what is too old to be kept. There is no pending version when this is called."""
    if most:
        await drop(connection, path, *sorted(await marks(connection, path))[:-most])


def end(at: Place, now: datetime) -> datetime | None:
    """When a version that is written now will be deleted by age."""
    return now + timedelta(milliseconds=at.delete_after) if at.delete_after else None


def absent(path: str, version: int | None = None) -> SecretNotFound:
    """What is raised for what cannot be read."""
    which = "" if version is None else f"version {version} of the "
    return SecretNotFound(f"there is no {which}secret {path!r}")
