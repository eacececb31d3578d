"""Secrets in memory, with versions and rotation."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import takewhile

import msgspec
from msgspec.structs import replace

from tradesense.adapters.memory._lifecycle import Lifecycle
from tradesense.adapters.memory._state import MemoryState, SortedTable, Table, page
from tradesense.core.ambient import Clock
from tradesense.core.errors import SecretConflict, SecretNotFound
from tradesense.core.paging import Page, check_cursor
from tradesense.core.secrets.models import SecretVersion, StoredSecret, check_path
from tradesense.core.secrets.ports import RotatingSecretStore, SecretStore, VersionedSecretStore, WritableSecretStore
from tradesense.core.sensitive import Secret
from tradesense.plugins.manifest import AdapterContext, NoSettings

KEPT_VERSIONS = 100
"""Versions of one secret that can still be read; older ones are dropped."""


class _Versions(msgspec.Struct, frozen=True):
    """A secret with its versions, oldest first."""

    held: tuple[StoredSecret, ...]
    current: int
    pending: int | None = None

    def find(self, version: int) -> StoredSecret | None:
        return next((held for held in reversed(self.held) if held.version == version), None)


class _Rows:
    def __init__(self, state: MemoryState) -> None:
        self.secrets: SortedTable[str, _Versions] = SortedTable(state)
        self.counts: Table[str, int] = Table(state)
        """The last number that a path has used; it outlives the secret, so that no number ever means two values."""


class MemorySecretStore(Lifecycle):
    """Secrets that end with the process. See the Protocols of :mod:`tradesense.core.secrets.ports`.

    A deleted secret that comes back goes on counting its versions.
    """

    def __init__(self, state: MemoryState, *, clock: Clock) -> None:
        super().__init__()
        self.state = state
        self._rows = state.part(_Rows)
        self._clock = clock

    async def get(self, path: str) -> StoredSecret:
        """See :meth:`SecretStore.get`."""
        secret = self._secret(path)
        return self._version(secret, path, secret.current)

    async def list(self, prefix: str = "", *, cursor: str | None = None, limit: int = 100) -> Page[str]:
        """See :meth:`SecretStore.list`."""
        self.check_open()
        check_cursor(cursor, check_path, prefix=prefix)
        return page(self._paths(prefix, cursor), limit)

    async def put(self, path: str, value: Secret, *, cas: int | None = None) -> int:
        """See :meth:`WritableSecretStore.put`. A pending version is dropped: it was made for the value before."""
        self.check_open()
        async with self.state.begin():
            secret = self._rows.secrets.get(path)
            current = secret.current if secret else 0
            if cas is not None and cas != current:
                raise SecretConflict(f"{path!r} has version {current}, not {cas}", mend="read it again")
            held = tuple(one for one in secret.held if one.version != secret.pending) if secret else ()
            added = self._add(path, value)
            self._rows.secrets.put(path, _Versions((*held, added)[-KEPT_VERSIONS:], added.version))
        return added.version

    async def delete(self, path: str) -> None:
        """See :meth:`WritableSecretStore.delete`. No version can be read any more."""
        self.check_open()
        async with self.state.begin():
            self._secret(path)
            self._rows.secrets.remove(path)

    async def get_version(self, path: str, version: int) -> StoredSecret:
        """See :meth:`VersionedSecretStore.get_version`."""
        return self._version(self._secret(path), path, version)

    async def versions(self, path: str) -> tuple[SecretVersion, ...]:
        """See :meth:`VersionedSecretStore.versions`. A pending version is among them."""
        secret = self._secret(path)
        return tuple(
            SecretVersion(version=held.version, created_at=held.created_at, current=held.version == secret.current)
            for held in secret.held
        )

    async def stage(self, path: str, value: Secret) -> int:
        """See :meth:`RotatingSecretStore.stage`."""
        self.check_open()
        async with self.state.begin():
            secret = self._secret(path)
            kept = tuple(one for one in secret.held if one.version not in {secret.pending, secret.current})
            current = self._version(secret, path, secret.current)
            added = self._add(path, value)
            held = (*kept[2 - KEPT_VERSIONS :], current, added)
            self._rows.secrets.put(path, _Versions(held, secret.current, added.version))
        return added.version

    async def promote(self, path: str, version: int) -> None:
        """See :meth:`RotatingSecretStore.promote`."""
        self.check_open()
        async with self.state.begin():
            secret = self._rows.secrets.get(path)
            if secret is None or version not in {secret.pending, secret.current}:
                raise SecretConflict(f"version {version} of {path!r} is neither pending nor current")
            if version == secret.pending:
                self._rows.secrets.put(path, replace(secret, current=version, pending=None))

    def _secret(self, path: str) -> _Versions:
        self.check_open()
        secret = self._rows.secrets.get(path)
        if secret is None:
            raise SecretNotFound(f"there is no secret {path!r}")
        return secret

    @staticmethod
    def _version(secret: _Versions, path: str, version: int) -> StoredSecret:
        held = secret.find(version)
        if held is None:
            raise SecretNotFound(f"there is no version {version} of the secret {path!r}")
        return held

    def _add(self, path: str, value: Secret) -> StoredSecret:
        version = (self._rows.counts.get(path) or 0) + 1
        self._rows.counts.put(path, version)
        return StoredSecret(path=path, value=value, version=version, created_at=self._clock.now())

    def _paths(self, prefix: str, cursor: str | None) -> Iterator[tuple[str, str]]:
        rows = self._rows.secrets.scan(cursor or prefix, after=cursor is not None)
        return ((path, path) for path, _ in takewhile(lambda row: row[0].startswith(prefix), rows))


def store(_: NoSettings, context: AdapterContext) -> MemorySecretStore:
    """The factory."""
    return MemorySecretStore(context.share(MemoryState, MemoryState), clock=context.clock)


_: type[SecretStore] = MemorySecretStore
_writable: type[WritableSecretStore] = MemorySecretStore
_versioned: type[VersionedSecretStore] = MemorySecretStore
_rotating: type[RotatingSecretStore] = MemorySecretStore
