"""Secrets in Google Cloud's Secret Manager."""

from __future__ import annotations

import builtins
from collections.abc import Mapping, Sequence
from typing import Any, Self

from google.api_core.exceptions import FailedPrecondition, NotFound

from tradesense.adapters.gcp._aliases import CURRENT, Aliases
from tradesense.adapters.gcp._client import GcpHealth, SecretManager
from tradesense.adapters.gcp._held import RACES, Held, conflict, contended, each, not_found
from tradesense.adapters.gcp._names import path_of
from tradesense.adapters.gcp._values import data_of, listed, number_of, stored
from tradesense.adapters.gcp.settings import GcpSettings
from tradesense.core.errors import SecretNotFound
from tradesense.core.paging import Page
from tradesense.core.secrets.listing import page_of
from tradesense.core.secrets.models import SecretVersion, StoredSecret, VersionState
from tradesense.core.secrets.ports import (
    DescribedSecretStore,
    ErasableSecretStore,
    RotatingSecretStore,
    SecretStore,
    VersionedSecretStore,
    WritableSecretStore,
)
from tradesense.core.sensitive import Secret
from tradesense.plugins import AdapterContext

PAGE = 250


class GcpSecretStore:
    """See the Protocols of :mod:`tradesense.core.secrets.ports`.

    The alias ``current`` names the current version and ``pending`` the pending one; they are moved with the secret's
    etag, so that of two writers one has to look again. A secret without these aliases is somebody else's, and its
    latest version is current. Single versions are disabled, enabled and destroyed; a deleted secret is gone.
    """

    def __init__(self, manager: SecretManager, settings: GcpSettings) -> None:
        self._manager = manager
        self._prefix = settings.prefix
        self._held = Held(manager, settings)

    async def __aenter__(self) -> Self:
        await self._manager.__aenter__()
        return self

    async def __aexit__(self, *details: object) -> None:
        await self._manager.__aexit__(*details)

    async def get(self, path: str) -> StoredSecret:
        """See :meth:`SecretStore.get`. One request, for a secret that others wrote three."""
        name = self._held.name(path)
        try:
            return stored(path, await self._manager.access(f"{name}/versions/{CURRENT}"))
        except FailedPrecondition as error:
            raise not_found(path) from error
        except NotFound as error:
            aliases = await self._held.aliases(path)
            if not aliases.foreign:
                raise not_found(path) from error
        return await self._read(path, "latest")

    async def list(self, prefix: str = "", *, cursor: str | None = None, limit: int = 100) -> Page[str]:
        """See :meth:`SecretStore.list`. The service lists in no order of ours, so all of them are fetched."""
        paths: builtins.list[str] = []
        request: dict[str, Any] = {"parent": self._manager.parent, "page_size": PAGE}
        async for secret in each(self._manager, "list_secrets", request):
            path = path_of(self._prefix, secret.name.rpartition("/")[2])
            if path is not None and not Aliases.of(secret).withdrawn:
                paths.append(path)
        return page_of(paths, prefix, cursor, limit)

    async def put(self, path: str, value: Secret, *, cas: int | None = None, by: str = "") -> int:  # noqa: ARG002  # it keeps no authors
        """See :meth:`WritableSecretStore.put`. A pending version is dropped: it was made for the value before."""
        data, name = data_of(value), self._held.name(path)
        async with self._manager.turns.writing(path):
            return await self._written(path, name, data, cas)

    async def _written(self, path: str, name: str, data: bytes, cas: int | None) -> int:
        number = 0
        for _ in range(RACES):
            aliases = await self._held.aliases_or_new(name)
            current = await self._held.current(aliases)
            if cas is not None and current not in {cas, number or cas}:
                await self._held.drop(name, number)
                raise conflict(path)
            if not number and not await self._held.adopt(aliases, current):
                continue
            number = number or number_of(await self._manager.add(name, data))
            if cas is None and current > number:
                return number  # a later write came in between, and is what there is now
            if await self._held.point(aliases, aliases.having(current=number)):
                await self._held.drop(name, aliases.pending)
                return number
        raise contended(path)

    async def delete(self, path: str) -> None:
        """See :meth:`WritableSecretStore.delete`. It cannot be taken back."""
        aliases = await self._held.aliases(path)
        if not await self._held.current(aliases):
            raise not_found(path)
        try:
            await self._manager.call("delete_secret", {"name": aliases.name}, repeatable=False)
        except NotFound as error:
            raise not_found(path) from error

    async def get_version(self, path: str, version: int) -> StoredSecret:
        """See :meth:`VersionedSecretStore.get_version`."""
        if version < 1:
            raise not_found(path)
        return await self._read(path, str(version))

    async def versions(self, path: str) -> tuple[SecretVersion, ...]:
        """See :meth:`VersionedSecretStore.versions`."""
        aliases = await self._held.aliases(path)
        return listed(await self._held.all(aliases.name), await self._held.current(aliases), aliases.pending)

    async def delete_versions(self, path: str, versions: Sequence[int]) -> None:
        """See :meth:`ErasableSecretStore.delete_versions`."""
        aliases, states = await self._held.marked(path, versions)
        if aliases.pending in versions:
            raise not_found(path)
        await self._held.withdraw(path, aliases, versions)
        for version in versions:
            if states[version] is VersionState.AVAILABLE:
                await self._held.change("disable_secret_version", aliases.name, version)

    async def undelete_versions(self, path: str, versions: Sequence[int]) -> None:
        """See :meth:`ErasableSecretStore.undelete_versions`."""
        aliases, states = await self._held.marked(path, versions)
        if aliases.pending in versions:
            raise not_found(path)
        for version in versions:
            if states[version] is VersionState.DELETED:
                await self._held.change("enable_secret_version", aliases.name, version)
        if aliases.withdrawn in versions and not await self._held.point(
            aliases, aliases.having(current=aliases.withdrawn, pending=aliases.pending)
        ):
            raise contended(path)

    async def destroy_versions(self, path: str, versions: Sequence[int]) -> None:
        """See :meth:`ErasableSecretStore.destroy_versions`."""
        aliases, states = await self._held.marked(path, versions, destroying=True)
        await self._held.withdraw(path, aliases, versions)
        for version in versions:
            if states[version] is not VersionState.DESTROYED:
                await self._held.change("destroy_secret_version", aliases.name, version)

    async def metadata(self, path: str) -> Mapping[str, str]:
        """See :meth:`DescribedSecretStore.metadata`: the secret's annotations."""
        return {str(key): str(value) for key, value in (await self._held.secret(path)).annotations.items()}

    async def describe(self, path: str, custom: Mapping[str, str]) -> None:
        """See :meth:`DescribedSecretStore.describe`."""
        secret = {"name": (await self._held.secret(path)).name, "annotations": dict(custom)}
        await self._manager.call("update_secret", {"secret": secret, "update_mask": {"paths": ["annotations"]}})

    async def stage(self, path: str, value: Secret, *, by: str = "") -> int:  # noqa: ARG002  # it keeps no authors
        """See :meth:`RotatingSecretStore.stage`."""
        data = data_of(value)
        number = 0
        for _ in range(RACES):
            aliases = await self._held.aliases(path)
            current = await self._held.current(aliases)
            if not current:
                await self._held.drop(aliases.name, number)
                raise not_found(path)
            if not number and not await self._held.adopt(aliases, current):
                continue
            number = number or number_of(await self._manager.add(aliases.name, data))
            if await self._held.point(aliases, aliases.having(current=current, pending=number)):
                await self._held.drop(aliases.name, aliases.pending)
                return number
        raise contended(path)

    async def pending(self, path: str) -> StoredSecret | None:
        """See :meth:`RotatingSecretStore.pending`."""
        try:
            aliases = await self._held.aliases(path)
        except SecretNotFound:
            return None
        return await self._read(path, str(aliases.pending)) if aliases.pending else None

    async def promote(self, path: str, version: int) -> None:
        """See :meth:`RotatingSecretStore.promote`."""
        for _ in range(RACES):
            try:
                aliases = await self._held.aliases(path)
            except SecretNotFound as error:
                raise conflict(path) from error
            if version and version == await self._held.current(aliases):
                return
            if not version or version != aliases.pending:
                raise conflict(path)
            if await self._held.point(aliases, aliases.having(current=version)):
                return
        raise contended(path)

    async def _read(self, path: str, version: str) -> StoredSecret:
        try:
            return stored(path, await self._manager.access(f"{self._held.name(path)}/versions/{version}"))
        except (NotFound, FailedPrecondition) as error:
            raise not_found(path) from error


def store(settings: GcpSettings, context: AdapterContext) -> GcpSecretStore:
    """The factory."""
    manager = SecretManager(settings)
    context.watch(GcpHealth(manager, f"{manager.parent}/secrets/{settings.prefix}tradesense_-health"))
    return GcpSecretStore(manager, settings)


_: type[SecretStore] = GcpSecretStore
_writable: type[WritableSecretStore] = GcpSecretStore
_versioned: type[VersionedSecretStore] = GcpSecretStore
_erasable: type[ErasableSecretStore] = GcpSecretStore
_described: type[DescribedSecretStore] = GcpSecretStore
_rotating: type[RotatingSecretStore] = GcpSecretStore
