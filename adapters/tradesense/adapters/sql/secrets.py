"""Secrets in a table, each version in an envelope that opens in its own place only."""

from __future__ import annotations

from typing import Any, NamedTuple

from sqlalchemy import bindparam, delete, insert, select, update
from sqlalchemy.ext.asyncio import AsyncConnection

from tradesense.adapters.sql import _upsert
from tradesense.adapters.sql._database import Database
from tradesense.adapters.sql._pages import LAST, page
from tradesense.adapters.sql._query import Query, Row
from tradesense.adapters.sql._room import Room, database_of
from tradesense.adapters.sql._tables import secret_versions, secrets
from tradesense.adapters.sql.settings import SqlSettings
from tradesense.core.ambient import Clock
from tradesense.core.errors import SecretConflict, SecretNotFound, SecretStoreUnavailable
from tradesense.core.paging import Page, check_cursor
from tradesense.core.secrets.envelope import Sealer
from tradesense.core.secrets.models import SecretVersion, StoredSecret, check_path
from tradesense.core.secrets.ports import RotatingSecretStore, SecretStore, VersionedSecretStore, WritableSecretStore
from tradesense.core.sensitive import Secret
from tradesense.plugins.manifest import AdapterContext

AVAILABLE = "available"
DELETED = "deleted"
"""The secret was deleted when this was one of its versions."""

MAX_VERSION = 2**31 - 1

_HERE = secrets.c.path == bindparam("path")
_VERSION = (
    select(secret_versions.c.version, secret_versions.c.envelope, secret_versions.c.created_at)
    .select_from(secrets.join(secret_versions, secret_versions.c.path == secrets.c.path))
    .where(_HERE, secrets.c.deleted_at.is_(None), secret_versions.c.state == AVAILABLE)
)
CURRENT = Query(_VERSION.where(secret_versions.c.version == secrets.c.current_version))
_NUMBERED = Query(_VERSION.where(secret_versions.c.version == bindparam("version")))
_PENDING = Query(_VERSION.where(secret_versions.c.version == secrets.c.pending_version))
_VERSIONS = Query(
    select(secret_versions.c.version, secret_versions.c.created_at, secrets.c.current_version)
    .select_from(secrets.join(secret_versions, secret_versions.c.path == secrets.c.path))
    .where(_HERE, secrets.c.deleted_at.is_(None), secret_versions.c.state == AVAILABLE)
    .order_by(secret_versions.c.version)
)
_PATHS = Query(
    select(secrets.c.path)
    .where(
        secrets.c.path >= bindparam("first"),
        secrets.c.path < bindparam("last"),
        secrets.c.path > bindparam("after"),
        secrets.c.deleted_at.is_(None),
    )
    .order_by(secrets.c.path)
    .limit(bindparam("limit"))
)
_LOCKED = (
    select(secrets.c.current_version, secrets.c.pending_version, secrets.c.latest_version, secrets.c.deleted_at)
    .where(_HERE)
    .with_for_update()
)
_ADD = insert(secret_versions)
_MOVE = (
    update(secrets)
    .where(secrets.c.path == bindparam("of"))
    .values({name: bindparam(name) for name in ("current_version", "pending_version", "latest_version", "deleted_at")})
)
_DROP = delete(secret_versions).where(
    secret_versions.c.path == bindparam("of"), secret_versions.c.version == bindparam("dropped")
)
_RETIRE = (
    update(secret_versions)
    .where(secret_versions.c.path == bindparam("of"), secret_versions.c.state == AVAILABLE)
    .values(state=DELETED)
)


class _Place(NamedTuple):
    """Where a secret stands. ``current`` is 0 when there is nothing to read."""

    current: int = 0
    pending: int | None = None
    latest: int = 0


class SqlSecretStore(Room):
    """Secrets that nobody can read from the database alone. See the Protocols of :mod:`tradesense.core.secrets.ports`.

    A deleted secret keeps its row and goes on counting its versions when it comes back, so that no number ever means
    two values. Writers of one secret take turns at its row.
    """

    unavailable = SecretStoreUnavailable

    def __init__(self, database: Database, *, sealer: Sealer, clock: Clock) -> None:
        super().__init__(database)
        self._sealer = sealer
        self._clock = clock

    async def get(self, path: str) -> StoredSecret:
        """See :meth:`SecretStore.get`."""
        return await self._read(CURRENT, {"path": path}, f"there is no secret {path!r}")

    async def get_version(self, path: str, version: int) -> StoredSecret:
        """See :meth:`VersionedSecretStore.get_version`."""
        lack = f"there is no version {version} of the secret {path!r}"
        if not 1 <= version <= MAX_VERSION:
            raise SecretNotFound(lack)
        return await self._read(_NUMBERED, {"path": path, "version": version}, lack)

    async def versions(self, path: str) -> tuple[SecretVersion, ...]:
        """See :meth:`VersionedSecretStore.versions`. A pending version is among them."""
        rows = await self._ready().fetch(_VERSIONS, {"path": path}, self.unavailable)
        if not rows:
            raise SecretNotFound(f"there is no secret {path!r}")
        return tuple(SecretVersion(version=row[0], created_at=row[1], current=row[0] == row[2]) for row in rows)

    async def list(self, prefix: str = "", *, cursor: str | None = None, limit: int = 100) -> Page[str]:
        """See :meth:`SecretStore.list`."""
        after = check_cursor(cursor, check_path, prefix=prefix)
        rows = await self._ready().fetch(
            _PATHS,
            {"first": prefix, "last": prefix + LAST, "after": after or "", "limit": limit + 1},
            self.unavailable,
        )
        return page([str(row[0]) for row in rows], limit, str)

    async def put(self, path: str, value: Secret, *, cas: int | None = None, by: str = "") -> int:  # noqa: ARG002  # it keeps no authors
        """See :meth:`WritableSecretStore.put`. A pending version is dropped: it was made for the value before."""
        async with self._ready().writing(self.unavailable) as connection:
            place = await _place(connection, path)
            if place is None and cas in {None, 0}:
                await self._begin(connection, path)
                place = await _place(connection, path)
            current = place.current if place else 0
            if place is None or (cas is not None and cas != current):
                raise SecretConflict(f"{path!r} has version {current}, not {cas}", mend="read it again")
            version = place.latest + 1
            await self._add(connection, path, version, value)
            await _drop(connection, path, place.pending)
            await _move(connection, path, _Place(version, None, version))
        return version

    async def delete(self, path: str) -> None:
        """See :meth:`WritableSecretStore.delete`. No version can be read any more."""
        async with self._ready().writing(self.unavailable) as connection:
            place = await _present(connection, path)
            await _drop(connection, path, place.pending)
            await connection.execute(_RETIRE, {"of": path})
            await _move(connection, path, place._replace(pending=None), deleted_at=self._clock.now())

    async def stage(self, path: str, value: Secret, *, by: str = "") -> int:  # noqa: ARG002  # it keeps no authors
        """See :meth:`RotatingSecretStore.stage`."""
        async with self._ready().writing(self.unavailable) as connection:
            place = await _present(connection, path)
            version = place.latest + 1
            await self._add(connection, path, version, value)
            await _drop(connection, path, place.pending)
            await _move(connection, path, _Place(place.current, version, version))
        return version

    async def pending(self, path: str) -> StoredSecret | None:
        """See :meth:`RotatingSecretStore.pending`."""
        rows = await self._ready().fetch(_PENDING, {"path": path}, self.unavailable)
        return await self._opened(path, rows[0]) if rows else None

    async def promote(self, path: str, version: int) -> None:
        """See :meth:`RotatingSecretStore.promote`."""
        async with self._ready().writing(self.unavailable) as connection:
            place = await _place(connection, path) or _Place()
            if version < 1 or version not in {place.current, place.pending}:
                raise SecretConflict(f"version {version} of {path!r} is neither pending nor current")
            if version == place.pending:
                await _move(connection, path, _Place(version, None, place.latest))

    async def _read(self, query: Query, key: dict[str, Any], lack: str) -> StoredSecret:
        rows = await self._ready().fetch(query, key, self.unavailable)
        if not rows:
            raise SecretNotFound(lack)
        return await self._opened(str(key["path"]), rows[0])

    async def _opened(self, path: str, row: Row) -> StoredSecret:
        version, envelope, created_at = row
        value = await self._sealer.open(path, version, envelope)
        return StoredSecret(path=path, value=value, version=version, created_at=created_at)

    async def _begin(self, connection: AsyncConnection, path: str) -> None:
        """Make a row, deleted as yet, for a secret that never was, unless another has just done so."""
        row = _upsert.insert(connection.dialect.name, secrets).values(
            path=path, current_version=0, latest_version=0, deleted_at=self._clock.now()
        )
        await connection.execute(row.on_conflict_do_nothing(index_elements=["path"]))

    async def _add(self, connection: AsyncConnection, path: str, version: int, value: Secret) -> None:
        await connection.execute(
            _ADD,
            {
                "path": path,
                "version": version,
                "envelope": await self._sealer.seal(path, version, value),
                "created_at": self._clock.now(),
                "state": AVAILABLE,
            },
        )


async def _place(connection: AsyncConnection, path: str) -> _Place | None:
    """Lock the secret's row and say where it stands; ``None`` when it never was."""
    row = (await connection.execute(_LOCKED, {"path": path})).first()
    if row is None:
        return None
    current, pending, latest, deleted_at = row
    return _Place(current if deleted_at is None else 0, pending, latest)


async def _present(connection: AsyncConnection, path: str) -> _Place:
    place = await _place(connection, path)
    if place is None or place.current == 0:
        raise SecretNotFound(f"there is no secret {path!r}")
    return place


async def _move(connection: AsyncConnection, path: str, place: _Place, **more: Any) -> None:
    await connection.execute(
        _MOVE,
        {
            "of": path,
            "current_version": place.current,
            "pending_version": place.pending,
            "latest_version": place.latest,
            "deleted_at": None,
        }
        | more,
    )


async def _drop(connection: AsyncConnection, path: str, version: int | None) -> None:
    if version is not None:
        await connection.execute(_DROP, {"of": path, "dropped": version})


def secret_store(settings: SqlSettings, context: AdapterContext) -> SqlSecretStore:
    """The factory that the manifest names."""
    return SqlSecretStore(database_of(settings, context), sealer=context.sealer, clock=context.clock)


_: type[SecretStore] = SqlSecretStore
_writable: type[WritableSecretStore] = SqlSecretStore
_versioned: type[VersionedSecretStore] = SqlSecretStore
_rotating: type[RotatingSecretStore] = SqlSecretStore
