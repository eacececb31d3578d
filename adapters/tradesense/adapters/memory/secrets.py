"""Secrets in memory, with all that the ports know."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from itertools import takewhile

from msgspec.structs import replace

from tradesense.adapters.memory._lifecycle import Lifecycle
from tradesense.adapters.memory._state import MemoryState, SortedTable, Table, page
from tradesense.adapters.memory._versions import Versions
from tradesense.core.ambient import Clock
from tradesense.core.errors import SecretConflict, SecretNotFound
from tradesense.core.paging import Page, check_cursor
from tradesense.core.secrets.models import Retention, SecretVersion, StoredSecret, VersionState, check_path
from tradesense.core.secrets.ports import (
    DescribedSecretStore,
    ErasableSecretStore,
    RecoverableSecretStore,
    RetainingSecretStore,
    RotatingSecretStore,
    SecretStore,
    VersionedSecretStore,
    WritableSecretStore,
)
from tradesense.core.sensitive import Secret
from tradesense.plugins.manifest import AdapterContext, NoSettings


class _Rows:
    def __init__(self, state: MemoryState) -> None:
        self.secrets: SortedTable[str, Versions] = SortedTable(state)
        self.counts: Table[str, int] = Table(state)
        """The last number that a path has used; it outlives the secret, so that no number ever means two values."""


class MemorySecretStore(Lifecycle):
    """Secrets that end with the process. See the Protocols of :mod:`tradesense.core.secrets.ports`.

    A secret that was deleted or destroyed goes on counting its versions when it comes back. Those that were deleted
    stay where they are, and a list passes over them.
    """

    def __init__(self, state: MemoryState, *, clock: Clock) -> None:
        super().__init__()
        self.state = state
        self._rows = state.part(_Rows)
        self._clock = clock

    async def get(self, path: str) -> StoredSecret:
        """See :meth:`SecretStore.get`."""
        secret = self._present(path)
        return secret.read(secret.current, self._clock.now())

    async def list(self, prefix: str = "", *, cursor: str | None = None, limit: int = 100) -> Page[str]:
        """See :meth:`SecretStore.list`."""
        self.check_open()
        check_cursor(cursor, check_path, prefix=prefix)
        return page(self._paths(prefix, cursor), limit)

    async def put(self, path: str, value: Secret, *, cas: int | None = None, by: str = "") -> int:
        """See :meth:`WritableSecretStore.put`. A pending version is dropped: it was made for the value before."""
        self.check_open()
        async with self.state.begin():
            now = self._clock.now()
            secret = self._rows.secrets.get(path) or Versions(path=path)
            current = secret.current_at(now)
            if cas is not None and cas != current:
                raise SecretConflict(f"{path!r} has version {current}, not {cas}", mend="read it again")
            version = self._count(path)
            self._rows.secrets.put(path, secret.written(version, value, by, now))
        return version

    async def delete(self, path: str) -> None:
        """See :meth:`WritableSecretStore.delete`. No version can be read until it is brought back."""
        self.check_open()
        async with self.state.begin():
            self._rows.secrets.put(path, self._present(path).deleted(self._clock.now()))

    async def get_version(self, path: str, version: int) -> StoredSecret:
        """See :meth:`VersionedSecretStore.get_version`."""
        return self._known(path).read(version, self._clock.now())

    async def versions(self, path: str) -> tuple[SecretVersion, ...]:
        """See :meth:`VersionedSecretStore.versions`. A pending version is among them."""
        return self._known(path).listed(self._clock.now())

    async def undelete(self, path: str) -> None:
        """See :meth:`RecoverableSecretStore.undelete`."""
        await self._change(path, lambda secret: secret.undeleted(self._clock.now()))

    async def destroy(self, path: str) -> None:
        """See :meth:`RecoverableSecretStore.destroy`."""
        self.check_open()
        async with self.state.begin():
            self._known(path)
            self._rows.secrets.remove(path)

    async def delete_versions(self, path: str, versions: Sequence[int]) -> None:
        """See :meth:`ErasableSecretStore.delete_versions`."""
        await self._mark(path, versions, VersionState.DELETED)

    async def undelete_versions(self, path: str, versions: Sequence[int]) -> None:
        """See :meth:`ErasableSecretStore.undelete_versions`."""
        await self._mark(path, versions, VersionState.AVAILABLE)

    async def destroy_versions(self, path: str, versions: Sequence[int]) -> None:
        """See :meth:`ErasableSecretStore.destroy_versions`."""
        await self._mark(path, versions, VersionState.DESTROYED)

    async def metadata(self, path: str) -> Mapping[str, str]:
        """See :meth:`DescribedSecretStore.metadata`."""
        return dict(self._known(path).custom)

    async def describe(self, path: str, custom: Mapping[str, str]) -> None:
        """See :meth:`DescribedSecretStore.describe`."""
        await self._change(path, lambda secret: replace(secret, custom=dict(custom)))

    async def retention(self, path: str) -> Retention:
        """See :meth:`RetainingSecretStore.retention`."""
        return self._known(path).retention

    async def retain(self, path: str, retention: Retention) -> None:
        """See :meth:`RetainingSecretStore.retain`."""
        await self._change(path, lambda secret: replace(secret, retention=retention))

    async def stage(self, path: str, value: Secret, *, by: str = "") -> int:
        """See :meth:`RotatingSecretStore.stage`."""
        self.check_open()
        async with self.state.begin():
            secret = self._present(path)
            version = self._count(path)
            self._rows.secrets.put(path, secret.staged(version, value, by, self._clock.now()))
        return version

    async def pending(self, path: str) -> StoredSecret | None:
        """See :meth:`RotatingSecretStore.pending`."""
        self.check_open()
        secret = self._rows.secrets.get(path)
        held = secret.pending() if secret else None
        return None if secret is None or held is None else secret.read(held.version, self._clock.now())

    async def promote(self, path: str, version: int) -> None:
        """See :meth:`RotatingSecretStore.promote`."""
        self.check_open()
        async with self.state.begin():
            secret = self._rows.secrets.get(path) or Versions(path=path)
            self._rows.secrets.put(path, secret.promoted(version, self._clock.now()))

    async def _change(self, path: str, change: Callable[[Versions], Versions]) -> None:
        self.check_open()
        async with self.state.begin():
            self._rows.secrets.put(path, change(self._known(path)))

    async def _mark(self, path: str, versions: Sequence[int], state: VersionState) -> None:
        await self._change(path, lambda secret: secret.marked(versions, state, self._clock.now()))

    def _known(self, path: str) -> Versions:
        """The secret, deleted or not."""
        self.check_open()
        secret = self._rows.secrets.get(path)
        if secret is None:
            raise SecretNotFound(f"there is no secret {path!r}")
        return secret

    def _present(self, path: str) -> Versions:
        """The secret, which has a current version."""
        secret = self._known(path)
        if not secret.current_at(self._clock.now()):
            raise SecretNotFound(f"there is no secret {path!r}")
        return secret

    def _count(self, path: str) -> int:
        version = (self._rows.counts.get(path) or 0) + 1
        self._rows.counts.put(path, version)
        return version

    def _paths(self, prefix: str, cursor: str | None) -> Iterator[tuple[str, str]]:
        now = self._clock.now()
        rows = self._rows.secrets.scan(cursor or prefix, after=cursor is not None)
        within = takewhile(lambda row: row[0].startswith(prefix), rows)
        return ((path, path) for path, secret in within if secret.current_at(now))


def store(_: NoSettings, context: AdapterContext) -> MemorySecretStore:
    """The factory."""
    return MemorySecretStore(context.share(MemoryState, MemoryState), clock=context.clock)


_: type[SecretStore] = MemorySecretStore
_writable: type[WritableSecretStore] = MemorySecretStore
_versioned: type[VersionedSecretStore] = MemorySecretStore
_recoverable: type[RecoverableSecretStore] = MemorySecretStore
_erasable: type[ErasableSecretStore] = MemorySecretStore
_described: type[DescribedSecretStore] = MemorySecretStore
_retaining: type[RetainingSecretStore] = MemorySecretStore
_rotating: type[RotatingSecretStore] = MemorySecretStore
