"""Secrets in Azure Key Vault."""

from __future__ import annotations

import asyncio
import builtins
from collections.abc import AsyncIterator
from typing import Self
from weakref import WeakValueDictionary

from azure.core.exceptions import ResourceExistsError, ResourceNotFoundError
from azure.keyvault.secrets import DeletedSecret, KeyVaultSecret, SecretProperties

from tradesense.adapters.azure._client import AzureHealth, KeyVault
from tradesense.adapters.azure._errors import is_disabled
from tradesense.adapters.azure._names import path_of, secret_name
from tradesense.adapters.azure._versions import form_of, listed, number_of, numbered, of_deleted, stored
from tradesense.adapters.azure.settings import AzureSettings
from tradesense.core.errors import SecretDenied, SecretNotFound, SecretStoreUnavailable
from tradesense.core.paging import Page
from tradesense.core.secrets.listing import page_of
from tradesense.core.secrets.models import SecretVersion, StoredSecret
from tradesense.core.secrets.ports import RecoverableSecretStore, SecretStore, VersionedSecretStore, WritableSecretStore
from tradesense.core.sensitive import Secret
from tradesense.plugins import AdapterContext

RACES = 20
"""How often one write counts again because another process gave its version the same number."""


class AzureSecretStore:
    """See the Protocols of :mod:`tradesense.core.secrets.ports`.

    A version's number stands in a tag. Whoever writes looks afterwards whether another one has the same number, and
    takes a higher one if so: numbers may have gaps, and no two are equal. The vault cannot compare and set. When a
    deleted secret is written again its earlier versions are there again.
    """

    def __init__(self, vault: KeyVault, prefix: str) -> None:
        self._vault = vault
        self._prefix = prefix
        self._turns: WeakValueDictionary[str, asyncio.Lock] = WeakValueDictionary()

    async def __aenter__(self) -> Self:
        await self._vault.__aenter__()
        return self

    async def __aexit__(self, *details: object) -> None:
        await self._vault.__aexit__(*details)

    async def get(self, path: str) -> StoredSecret:
        """See :meth:`SecretStore.get`. A disabled secret is not found."""
        return stored(path, await self._read(path, None))

    async def list(self, prefix: str = "", *, cursor: str | None = None, limit: int = 100) -> Page[str]:
        """See :meth:`SecretStore.list`. The vault lists in no order of ours, so all of them are fetched."""
        found = await self._vault.call(lambda client: _all(client.list_properties_of_secrets()))
        paths = (path_of(self._prefix, one.name) for one in found if one.name and one.enabled)
        return page_of((path for path in paths if path is not None), prefix, cursor, limit)

    async def put(self, path: str, value: Secret, *, cas: int | None = None, by: str = "") -> int:  # noqa: ARG002  # it declares neither
        """See :meth:`WritableSecretStore.put`."""
        text, kind = form_of(value)
        name = self._name(path)
        async with self._turns.setdefault(name, asyncio.Lock()):
            for _ in range(RACES):
                number = max(map(number_of, await self._versions(name)), default=0) + 1
                try:
                    made = await self._set(name, text, kind, number)
                except ResourceExistsError:
                    await self._recover(name)
                    continue
                return await self._counted(name, made.properties)
        raise _contended(path)

    async def delete(self, path: str) -> None:
        """See :meth:`WritableSecretStore.delete`."""
        await self._delete(path)

    async def get_version(self, path: str, version: int) -> StoredSecret:
        """See :meth:`VersionedSecretStore.get_version`. Two requests: the first finds the version's id."""
        for one in await self._versions(self._name(path)):
            if number_of(one) == version:
                return stored(path, await self._read(path, one.version))
        raise _not_found(path)

    async def versions(self, path: str) -> tuple[SecretVersion, ...]:
        """See :meth:`VersionedSecretStore.versions`.

        Of a deleted secret the vault shows the last version alone; every number up to that one's was given.
        """
        name = self._name(path)
        found = await self._versions(name)
        if not found:
            return of_deleted(await self._deleted(path))
        latest = max(found, key=lambda one: (one.created_on, number_of(one)))
        return listed(found, latest.version or "")

    async def undelete(self, path: str) -> None:
        """See :meth:`RecoverableSecretStore.undelete`."""
        name = self._name(path)
        if not await self._recover(name) and not await self._versions(name):
            raise _not_found(path)

    async def destroy(self, path: str) -> None:
        """See :meth:`RecoverableSecretStore.destroy`.

        :raises SecretDenied: the vault is protected against purging, or we may not.
        """
        name = self._name(path)
        if await self._versions(name):
            await self._delete(path)
        try:
            await self._vault.call(lambda client: client.purge_deleted_secret(name), repeatable=False)
        except ResourceNotFoundError as error:
            raise _not_found(path) from error

    async def _read(self, path: str, version: str | None) -> KeyVaultSecret:
        name = self._name(path)
        try:
            return await self._vault.call(lambda client: client.get_secret(name, version))
        except ResourceNotFoundError as error:
            raise _not_found(path) from error
        except SecretDenied as error:
            if is_disabled(error.__cause__):
                raise _not_found(path) from error
            raise

    async def _versions(self, name: str) -> builtins.list[SecretProperties]:
        """Every version; none where there is no such secret, or a deleted one."""
        try:
            return await self._vault.call(lambda client: _all(client.list_properties_of_secret_versions(name)))
        except ResourceNotFoundError:
            return []

    async def _deleted(self, path: str) -> DeletedSecret:
        name = self._name(path)
        try:
            return await self._vault.call(lambda client: client.get_deleted_secret(name))
        except ResourceNotFoundError as error:
            raise _not_found(path) from error

    async def _delete(self, path: str) -> None:
        name, poll = self._name(path), self._vault.poll
        try:
            await self._vault.slowly(lambda client: client.delete_secret(name, _polling_interval=poll))
        except ResourceNotFoundError as error:
            raise _not_found(path) from error

    async def _recover(self, name: str) -> bool:
        """Bring a deleted secret back; false where there is none."""
        poll = self._vault.poll
        try:
            await self._vault.slowly(lambda client: client.recover_deleted_secret(name, _polling_interval=poll))
        except ResourceNotFoundError:
            return False
        except ResourceExistsError:
            await asyncio.sleep(poll)  # it is just being deleted or purged
        return True

    async def _counted(self, name: str, mine: SecretProperties) -> int:
        """The number of the version that was just written, which is a new one for as long as another has it as well."""
        number = number_of(mine)
        for _ in range(RACES):
            others = [one for one in await self._versions(name) if one.version != mine.version]
            taken = sorted(one.version or "" for one in others if number_of(one) == number)
            if not taken:
                return number
            # Of those that count again at once each takes another place, by their ids.
            place = sum(1 for one in taken if one < (mine.version or ""))
            number = max(number_of(one) for one in others) + 1 + place
            await self._renumber(name, mine, number)
        raise _contended(name)

    async def _set(self, name: str, text: str, kind: str | None, number: int) -> KeyVaultSecret:
        tags = numbered(None, number)
        return await self._vault.call(
            lambda client: client.set_secret(name, text, content_type=kind, tags=tags), repeatable=False
        )

    async def _renumber(self, name: str, mine: SecretProperties, number: int) -> None:
        tags, kind = numbered(mine.tags, number), mine.content_type
        await self._vault.call(
            lambda client: client.update_secret_properties(name, mine.version, content_type=kind, tags=tags)
        )

    def _name(self, path: str) -> str:
        return secret_name(self._prefix, path)


def store(settings: AzureSettings, context: AdapterContext) -> AzureSecretStore:
    """The factory."""
    vault = KeyVault(settings)
    context.watch(AzureHealth(vault, f"{settings.prefix}tradesense-health-3"))
    return AzureSecretStore(vault, settings.prefix)


async def _all(pages: AsyncIterator[SecretProperties]) -> list[SecretProperties]:
    return [one async for one in pages]


def _not_found(path: str) -> SecretNotFound:
    return SecretNotFound(f"there is no secret {path!r}, or no such version of it")


def _contended(path: str) -> SecretStoreUnavailable:
    return SecretStoreUnavailable(
        f"the secret {path!r} is written by others again and again, or is just being removed",
        origin="secrets.azure",
        mend="try again",
    )


_: type[SecretStore] = AzureSecretStore
_writable: type[WritableSecretStore] = AzureSecretStore
_versioned: type[VersionedSecretStore] = AzureSecretStore
_recoverable: type[RecoverableSecretStore] = AzureSecretStore
