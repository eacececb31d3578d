"""Reading secrets from their tables."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any

import msgspec

from tradesense.adapters.sql import _secrets
from tradesense.adapters.sql._database import Database
from tradesense.adapters.sql._pages import LAST, page
from tradesense.adapters.sql._query import Query, Row
from tradesense.adapters.sql._room import Room
from tradesense.adapters.sql._secretrows import Mark, absent
from tradesense.core.ambient import Clock
from tradesense.core.errors import SecretStoreUnavailable
from tradesense.core.paging import Page, check_cursor
from tradesense.core.secrets.envelope import Sealer
from tradesense.core.secrets.models import (
    MAX_VERSION,
    Retention,
    SecretVersion,
    StoredSecret,
    VersionState,
    check_path,
)

MILLI = 1000


class SecretReading(Room):
    """The reading half of the store. See the Protocols of :mod:`tradesense.core.secrets.ports`."""

    unavailable = SecretStoreUnavailable

    def __init__(self, database: Database, *, sealer: Sealer, clock: Clock) -> None:
        super().__init__(database)
        self._sealer = sealer
        self._clock = clock

    async def get(self, path: str) -> StoredSecret:
        """See :meth:`SecretStore.get`."""
        found = await self._read(_secrets.CURRENT, {"path": path, "now": self._clock.now()})
        if found is None:
            raise absent(path)
        return found

    async def get_version(self, path: str, version: int) -> StoredSecret:
        """See :meth:`VersionedSecretStore.get_version`."""
        found = None
        if 1 <= version <= MAX_VERSION:
            found = await self._read(_secrets.NUMBERED, {"path": path, "version": version, "now": self._clock.now()})
        if found is None:
            raise absent(path, version)
        return found

    async def pending(self, path: str) -> StoredSecret | None:
        """See :meth:`RotatingSecretStore.pending`."""
        return await self._read(_secrets.PENDING, {"path": path})

    async def versions(self, path: str) -> tuple[SecretVersion, ...]:
        """See :meth:`VersionedSecretStore.versions`. A pending version is among them."""
        rows = await self._fetch(_secrets.VERSIONS, path=path)
        if not rows:
            raise absent(path)
        now = self._clock.now()
        return tuple(listed(row, now) for row in rows)

    async def list(self, prefix: str = "", *, cursor: str | None = None, limit: int = 100) -> Page[str]:
        """See :meth:`SecretStore.list`."""
        after = check_cursor(cursor, check_path, prefix=prefix)
        rows = await self._fetch(
            _secrets.PATHS,
            first=prefix,
            last=prefix + LAST,
            after=after or "",
            now=self._clock.now(),
            limit=limit + 1,
        )
        return page([str(row[0]) for row in rows], limit, str)

    async def metadata(self, path: str) -> Mapping[str, str]:
        """See :meth:`DescribedSecretStore.metadata`."""
        custom: dict[str, str] = msgspec.json.decode((await self._known(path))[0], type=dict[str, str])
        return custom

    async def retention(self, path: str) -> Retention:
        """See :meth:`RetainingSecretStore.retention`."""
        _, max_versions, delete_after = await self._known(path)
        return Retention(max_versions=max_versions, delete_after=delete_after / MILLI)

    async def key_counts(self) -> Mapping[str, int]:
        """See :meth:`EnvelopeStore.key_counts`."""
        return {str(row[0]): int(row[1]) for row in await self._fetch(_secrets.COUNTS)}

    async def _fetch(self, query: Query, **parameters: Any) -> Sequence[Row]:
        return await self._ready().fetch(query, parameters, self.unavailable)

    async def _read(self, query: Query, parameters: dict[str, Any]) -> StoredSecret | None:
        rows = await self._ready().fetch(query, parameters, self.unavailable)
        if not rows:
            return None
        path: str = parameters["path"]
        version, envelope, created_at, created_by = rows[0]
        sealer = self._sealer
        if (value := sealer.quick(path, version, envelope)) is None:
            value = await sealer.open(path, version, envelope)
        return StoredSecret(path=path, value=value, version=version, created_at=created_at, created_by=created_by)

    async def _known(self, path: str) -> Row:
        rows = await self._fetch(_secrets.KNOWN, path=path)
        if not rows:
            raise absent(path)
        return rows[0]


def listed(row: Row, now: datetime) -> SecretVersion:
    version, created_at, created_by, state, deleted_at, current, pending = row
    shown = VersionState.PENDING if version == pending else VersionState(Mark(state, deleted_at).at(now))
    return SecretVersion(
        version=version,
        created_at=created_at,
        created_by=created_by,
        state=shown,
        deleted_at=deleted_at,
        current=version == current and shown is VersionState.AVAILABLE,
    )
