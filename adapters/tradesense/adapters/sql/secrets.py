"""Secrets in a table, each version in an envelope that opens in its own place only."""

from __future__ import annotations

from collections.abc import AsyncGenerator, Callable, Mapping, Sequence
from contextlib import asynccontextmanager
from datetime import datetime
from typing import Any

import msgspec
from sqlalchemy.ext.asyncio import AsyncConnection

from tradesense.adapters.sql import _secretrows, _secrets
from tradesense.adapters.sql._errors import translated
from tradesense.adapters.sql._room import database_of
from tradesense.adapters.sql._secretreads import MILLI, SecretReading
from tradesense.adapters.sql._secretrows import Mark, Place, absent
from tradesense.adapters.sql._secrets import AVAILABLE, DELETED, DESTROYED
from tradesense.adapters.sql.settings import SqlSettings
from tradesense.core.errors import DecryptionFailed, SecretConflict
from tradesense.core.secrets.envelope import key_of
from tradesense.core.secrets.models import Retention, Rewrapped
from tradesense.core.secrets.ports import (
    DescribedSecretStore,
    EnvelopeStore,
    ErasableSecretStore,
    RecoverableSecretStore,
    RetainingSecretStore,
    RotatingSecretStore,
    SecretStore,
    VersionedSecretStore,
    WritableSecretStore,
)
from tradesense.core.sensitive import Secret
from tradesense.plugins.manifest import AdapterContext


class SqlSecretStore(SecretReading):
    """Secrets that nobody can read from the database alone. See the Protocols of :mod:`tradesense.core.secrets.ports`.

    No number ever means two values, whatever was deleted or destroyed. Writers of one secret take turns at its row.
    """

    async def put(self, path: str, value: Secret, *, cas: int | None = None, by: str = "") -> int:
        """See :meth:`WritableSecretStore.put`. A pending version is dropped: it was made for the value before."""
        async with self._ready().writing(self.unavailable) as connection:
            place, now = await _secretrows.place(connection, path), self._clock.now()
            if place is None and cas in {None, 0}:
                await _secretrows.begin(connection, path)
                place = await _secretrows.place(connection, path)
            current = place.current_at(now) if place else 0
            if place is None or (cas is not None and cas != current):
                raise SecretConflict(f"{path!r} has version {current}, not {cas}", mend="read it again")
            version = place.latest + 1
            ends = _secretrows.end(place, now)
            await self._add(connection, path, version, value, by=by, now=now, deleted_at=ends)
            await _secretrows.drop(connection, path, place.pending)
            await _secretrows.move(
                connection, path, place._replace(current=version, pending=None, latest=version, deleted_at=ends)
            )
            await _secretrows.prune(connection, path, place.max_versions)
        return version

    async def delete(self, path: str) -> None:
        """See :meth:`WritableSecretStore.delete`. No version can be read until it is brought back."""
        async with self._ready().writing(self.unavailable) as connection:
            now = self._clock.now()
            place = await _secretrows.present(connection, path, now)
            await _secretrows.drop(connection, path, place.pending)
            marks = await _secretrows.marks(connection, path)
            await _secretrows.mark(
                connection, path, [v for v, mark in marks.items() if mark.at(now) == AVAILABLE], DELETED, now
            )
            await _secretrows.move(connection, path, place._replace(pending=None, deleted_at=now))

    async def undelete(self, path: str) -> None:
        """See :meth:`RecoverableSecretStore.undelete`."""
        async with self._ready().writing(self.unavailable) as connection:
            place = await _secretrows.known(connection, path)
            if place.current_at(self._clock.now()):
                return
            marks = await _secretrows.marks(connection, path)
            if marks.get(place.current, Mark(DESTROYED, None)).state == DESTROYED:
                raise absent(path)
            back = [version for version, mark in marks.items() if mark.deleted_at == place.deleted_at]
            await _secretrows.mark(connection, path, [v for v in back if marks[v].state != DESTROYED], AVAILABLE, None)
            await _secretrows.move(connection, path, place._replace(deleted_at=None))

    async def destroy(self, path: str) -> None:
        """See :meth:`RecoverableSecretStore.destroy`."""
        async with self._ready().writing(self.unavailable) as connection:
            place = await _secretrows.known(connection, path)
            await connection.execute(_secrets.DROP_ALL, {"of": path})
            await connection.execute(_secrets.FORGET, {"of": path})
            await _secretrows.move(connection, path, Place(latest=place.latest, deleted_at=self._clock.now()))

    async def delete_versions(self, path: str, versions: Sequence[int]) -> None:
        """See :meth:`ErasableSecretStore.delete_versions`."""
        now = self._clock.now()
        await self._erase(path, versions, lambda mark: mark.at(now) == AVAILABLE, DELETED, now)

    async def undelete_versions(self, path: str, versions: Sequence[int]) -> None:
        """See :meth:`ErasableSecretStore.undelete_versions`."""
        now = self._clock.now()
        await self._erase(path, versions, lambda mark: mark.at(now) == DELETED, AVAILABLE, None)

    async def destroy_versions(self, path: str, versions: Sequence[int]) -> None:
        """See :meth:`ErasableSecretStore.destroy_versions`."""
        await self._erase(path, versions, lambda mark: mark.state != DESTROYED, DESTROYED, self._clock.now())

    async def describe(self, path: str, custom: Mapping[str, str]) -> None:
        """See :meth:`DescribedSecretStore.describe`."""
        text = msgspec.json.encode(dict(custom)).decode()
        if not await self._ready().change(_secrets.DESCRIBE, {"of": path, "text": text}, self.unavailable):
            raise absent(path)

    async def retain(self, path: str, retention: Retention) -> None:
        """See :meth:`RetainingSecretStore.retain`."""
        settings = {"of": path, "most": retention.max_versions, "age": round(retention.delete_after * MILLI)}
        if not await self._ready().change(_secrets.RETAIN, settings, self.unavailable):
            raise absent(path)

    async def stage(self, path: str, value: Secret, *, by: str = "") -> int:
        """See :meth:`RotatingSecretStore.stage`."""
        async with self._ready().writing(self.unavailable) as connection:
            now = self._clock.now()
            place = await _secretrows.present(connection, path, now)
            version = place.latest + 1
            await self._add(connection, path, version, value, by=by, now=now)
            await _secretrows.drop(connection, path, place.pending)
            await _secretrows.move(connection, path, place._replace(pending=version, latest=version))
        return version

    async def promote(self, path: str, version: int) -> None:
        """See :meth:`RotatingSecretStore.promote`."""
        async with self._ready().writing(self.unavailable) as connection:
            now = self._clock.now()
            place = await _secretrows.place(connection, path) or Place()
            if version < 1 or version not in {place.current_at(now), place.pending}:
                raise SecretConflict(f"version {version} of {path!r} is neither pending nor current")
            if version == place.pending:
                ends = _secretrows.end(place, now)
                await _secretrows.mark(connection, path, [version], AVAILABLE, ends)
                await _secretrows.move(connection, path, place._replace(current=version, pending=None, deleted_at=ends))
                await _secretrows.prune(connection, path, place.max_versions)

    @asynccontextmanager
    async def held(self) -> AsyncGenerator[None]:
        """See :meth:`EnvelopeStore.held`. A transaction, which every writer waits for before it seals."""
        database = self._ready()
        with translated(database.place, self.unavailable):
            async with database.begin():
                async with database.writing(self.unavailable) as connection:
                    await _secretrows.hold(connection)
                yield

    async def rewrap(self, *, limit: int = 100, after: tuple[str, int] | None = None) -> Rewrapped:
        """See :meth:`EnvelopeStore.rewrap`. What another has rewritten meanwhile is left to its writer."""
        current, (path, version) = await self._sealer.current_key(), after or ("", 0)
        rows = await self._fetch(
            _secrets.UNDER_OTHERS, current=current, after_path=path, after_version=version, limit=limit
        )
        changes, unopened = list[dict[str, Any]](), list[tuple[str, int]]()
        for path, version, key_id, envelope in rows:
            try:
                value = await self._sealer.open(path, version, bytes(envelope))
            except DecryptionFailed:
                unopened.append((path, version))
                continue
            sealed = await self._sealer.seal(path, version, value)
            changes.append(
                {"of": path, "number": version, "old_key": key_id, "new_key": key_of(sealed), "sealed": sealed}
            )
        if changes:
            async with self._ready().writing(self.unavailable) as connection:
                await connection.execute(_secrets.RESEAL, changes)
        return Rewrapped(
            count=len(changes), unopened=tuple(unopened), after=(path, version) if len(rows) == limit else None
        )

    async def _add(
        self,
        connection: AsyncConnection,
        path: str,
        version: int,
        value: Secret,
        *,
        by: str,
        now: datetime,
        deleted_at: datetime | None = None,
    ) -> None:
        envelope = await self._sealer.seal(path, version, value)
        await connection.execute(
            _secrets.ADD,
            {
                "path": path,
                "version": version,
                "envelope": envelope,
                "key_id": key_of(envelope),
                "created_at": now,
                "created_by": by,
                "state": AVAILABLE,
                "deleted_at": deleted_at,
            },
        )

    async def _erase(
        self, path: str, versions: Sequence[int], concerns: Callable[[Mark], bool], state: str, at: datetime | None
    ) -> None:
        """Bring those of ``versions`` that it ``concerns`` into ``state``, or none of them."""
        async with self._ready().writing(self.unavailable) as connection:
            place, marks = await _secretrows.known(connection, path), await _secretrows.marks(connection, path)
            for version in versions:
                mark = marks.get(version)
                destroyed = mark is not None and mark.state == DESTROYED and state != DESTROYED
                if mark is None or destroyed or (version == place.pending and state != DESTROYED):
                    raise absent(path, version)
            changed = [version for version in sorted(set(versions)) if concerns(marks[version])]
            await _secretrows.mark(connection, path, changed, state, at)
            if place.pending in changed:
                place = place._replace(pending=None)
            if place.current in changed:
                place = place._replace(deleted_at=at)
            await _secretrows.move(connection, path, place)


def secret_store(settings: SqlSettings, context: AdapterContext) -> SqlSecretStore:
    """The factory that the manifest names."""
    return SqlSecretStore(database_of(settings, context), sealer=context.sealer, clock=context.clock)


_: type[SecretStore] = SqlSecretStore
_writable: type[WritableSecretStore] = SqlSecretStore
_versioned: type[VersionedSecretStore] = SqlSecretStore
_recoverable: type[RecoverableSecretStore] = SqlSecretStore
_erasable: type[ErasableSecretStore] = SqlSecretStore
_described: type[DescribedSecretStore] = SqlSecretStore
_retaining: type[RetainingSecretStore] = SqlSecretStore
_rotating: type[RotatingSecretStore] = SqlSecretStore
_enveloped: type[EnvelopeStore] = SqlSecretStore
