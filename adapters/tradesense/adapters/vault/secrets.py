"""Secrets in a KV version 2 engine."""

from __future__ import annotations

import asyncio
import builtins
from collections.abc import Mapping, Sequence
from contextlib import aclosing
from typing import Any, Self, TypeVar

from tradesense.adapters.vault._answers import Answer
from tradesense.adapters.vault._api import VaultApi
from tradesense.adapters.vault._entries import Data, Entry, Names, Versions, Written, custom_of, duration, fields
from tradesense.adapters.vault._health import VaultHealth
from tradesense.adapters.vault._kv1 import VaultOneStore
from tradesense.adapters.vault._transit import TransitKeyEncryption
from tradesense.adapters.vault._walk import first, walk
from tradesense.adapters.vault.settings import TransitSettings, VaultSettings
from tradesense.core.errors import (
    InvalidInput,
    SecretConflict,
    SecretNotFound,
    SecretStoreMalformed,
)
from tradesense.core.paging import Page, check_cursor
from tradesense.core.secrets.models import Retention, SecretVersion, StoredSecret, VersionState, check_path
from tradesense.core.secrets.ports import (
    DescribedSecretStore,
    ErasableSecretStore,
    RecoverableSecretStore,
    RetainingSecretStore,
    SecretStore,
    VersionedSecretStore,
    WritableSecretStore,
)
from tradesense.core.sensitive import Secret
from tradesense.plugins import AdapterContext

T = TypeVar("T")

READS_AT_ONCE = 8
_CAS_MISMATCH = "check-and-set parameter did not match"


class VaultSecretStore:
    """See the Protocols of :mod:`tradesense.core.secrets.ports`.

    Deleting takes every version away, until they are brought back; a deleted secret that is written again goes on
    counting, and its earlier versions stay deleted.
    """

    def __init__(self, api: VaultApi, mount: str) -> None:
        self._api = api
        self._mount = mount

    async def __aenter__(self) -> Self:
        await self._api.__aenter__()
        return self

    async def __aexit__(self, *details: object) -> None:
        await self._api.__aexit__(*details)

    async def get(self, path: str) -> StoredSecret:
        """See :meth:`SecretStore.get`."""
        return await self._entry(path)

    async def get_version(self, path: str, version: int) -> StoredSecret:
        """See :meth:`VersionedSecretStore.get_version`."""
        if version < 1:
            raise _not_found(path, version)  # 0 would mean the current one
        return await self._entry(path, version=version)

    async def versions(self, path: str) -> tuple[SecretVersion, ...]:
        """See :meth:`VersionedSecretStore.versions`."""
        found, date = await self._known(path)
        return found.listed(date)

    async def list(self, prefix: str = "", *, cursor: str | None = None, limit: int = 100) -> Page[str]:
        """See :meth:`SecretStore.list`. One request per folder, and one per secret to see whether it was deleted."""
        check_cursor(cursor, check_path, prefix=prefix)
        found: list[str] = []
        async with aclosing(walk(self._names, prefix, cursor or "")) as paths:
            while len(found) <= limit:
                batch = [path async for path in first(paths, limit + 1 - len(found))]
                if not batch:
                    return Page(items=tuple(found))
                found.extend(await self._present(batch))
        return Page(items=tuple(found[:limit]), cursor=found[limit - 1])

    async def put(self, path: str, value: Secret, *, cas: int | None = None, by: str = "") -> int:  # noqa: ARG002  # it keeps no authors
        """See :meth:`WritableSecretStore.put`.

        A write that expects a version and meets its deletion in the same instant may still succeed: to the engine a
        deleted version goes on being current.
        """
        if cas is None:
            return self._content(await self._write(path, value, None), Written).version
        async with self._api.turns.writing(path):
            return await self._compare_and_set(path, value, cas)

    async def delete(self, path: str) -> None:
        """See :meth:`WritableSecretStore.delete`."""
        found = await self._versions(path)
        if found is None or not (live := found[0].live(found[1])):
            raise _not_found(path)
        await self._mark("delete", path, [*live])

    async def undelete(self, path: str) -> None:
        """See :meth:`RecoverableSecretStore.undelete`. Versions that were deleted before, singly, stay deleted."""
        found, date = await self._known(path)
        if found.live(date):
            return
        if not (gone := found.taken_away(date)):
            raise _not_found(path)
        await self._mark("undelete", path, gone)

    async def destroy(self, path: str) -> None:
        """See :meth:`RecoverableSecretStore.destroy`. The path begins to count anew."""
        await self._known(path)
        await self._api.delete(f"{self._mount}/metadata/{path}")

    async def delete_versions(self, path: str, versions: Sequence[int]) -> None:
        """See :meth:`ErasableSecretStore.delete_versions`."""
        await self._mark("delete", path, await self._those(path, versions, VersionState.AVAILABLE))

    async def undelete_versions(self, path: str, versions: Sequence[int]) -> None:
        """See :meth:`ErasableSecretStore.undelete_versions`."""
        await self._mark("undelete", path, await self._those(path, versions, VersionState.DELETED))

    async def destroy_versions(self, path: str, versions: Sequence[int]) -> None:
        """See :meth:`ErasableSecretStore.destroy_versions`."""
        there = await self._those(path, versions, VersionState.AVAILABLE, VersionState.DELETED, destroying=True)
        await self._mark("destroy", path, there)

    async def metadata(self, path: str) -> Mapping[str, str]:
        """See :meth:`DescribedSecretStore.metadata`."""
        return (await self._known(path))[0].custom()

    async def describe(self, path: str, custom: Mapping[str, str]) -> None:
        """See :meth:`DescribedSecretStore.describe`."""
        await self._set(path, {"custom_metadata": custom_of(custom)})

    async def retention(self, path: str) -> Retention:
        """See :meth:`RetainingSecretStore.retention`."""
        return (await self._known(path))[0].retention()

    async def retain(self, path: str, retention: Retention) -> None:
        """See :meth:`RetainingSecretStore.retain`. The mount's own ``max_versions`` is the least that is kept.

        The age is rounded up to whole seconds.
        """
        age = duration(retention.delete_after)
        await self._set(path, {"max_versions": retention.max_versions, "delete_version_after": age})

    async def _compare_and_set(self, path: str, value: Secret, cas: int) -> int:
        if cas:
            await self._expect(path, cas)
        answer = await self._write(path, value, cas)
        if cas == 0 and answer.says(_CAS_MISMATCH):
            answer = await self._write(path, value, await self._deleted(path))
        if answer.kind == "refused" and answer.says("check-and-set"):
            raise _conflict(path)
        return self._content(answer, Written).version

    async def _known(self, path: str) -> tuple[Versions, str]:
        found = await self._versions(path)
        if found is None:
            raise _not_found(path)
        return found

    async def _those(
        self, path: str, versions: Sequence[int], *states: VersionState, destroying: bool = False
    ) -> builtins.list[int]:
        """Which of ``versions`` are in one of ``states``; all of them have to exist."""
        found, date = await self._known(path)
        known = found.states(date)
        for version in versions:
            if version not in known or (known[version] is VersionState.DESTROYED and not destroying):
                raise _not_found(path, version)
        return [version for version in versions if known[version] in states]

    async def _mark(self, action: str, path: str, versions: Sequence[int]) -> None:
        if versions:
            body = {"versions": [str(version) for version in versions]}
            answer = await self._api.post(f"{self._mount}/{action}/{path}", body)
            if answer.kind != "done":
                raise _unexpected(action)

    async def _set(self, path: str, changes: Mapping[str, Any]) -> None:
        await self._known(path)
        answer = await self._api.post(f"{self._mount}/metadata/{path}", changes)
        if answer.kind == "refused":
            raise InvalidInput("the secret provider cannot hold such metadata", origin="secrets.vault")
        if answer.kind != "done":
            raise _unexpected("metadata")

    async def _entry(self, path: str, **parameters: int) -> StoredSecret:
        answer = await self._api.get(f"{self._mount}/data/{path}", **parameters)
        if answer.kind == "absent":
            raise _not_found(path, **parameters)
        return self._content(answer, Entry).secret(path)

    async def _versions(self, path: str) -> tuple[Versions, str] | None:
        """The metadata with the server's date; ``None`` when there never was such a secret."""
        answer = await self._api.get(f"{self._mount}/metadata/{path}")
        return None if answer.kind == "absent" else (self._content(answer, Versions), answer.date)

    async def _write(self, path: str, value: Secret, cas: int | None) -> Answer:
        options = {} if cas is None else {"cas": cas}
        return await self._api.post(f"{self._mount}/data/{path}", {"data": fields(value), "options": options})

    async def _expect(self, path: str, version: int) -> None:
        """Go on only if ``version`` is current; the engine alone would let a deleted one pass."""
        found = await self._versions(path)
        if found is None or found[0].current_version != version or not found[0].live(found[1]):
            raise _conflict(path)

    async def _deleted(self, path: str) -> int:
        """The number of the current version, which was deleted: the engine goes on counting from it."""
        found = await self._versions(path)
        if found is None or found[0].live(found[1]):
            raise _conflict(path)
        return found[0].current_version

    async def _present(self, paths: Sequence[str]) -> builtins.list[str]:
        """Those of ``paths`` that were not deleted."""
        gate = asyncio.Semaphore(READS_AT_ONCE)

        async def is_present(path: str) -> bool:
            async with gate:
                found = await self._versions(path)
            return found is not None and bool(found[0].live(found[1]))

        found = await asyncio.gather(*map(is_present, paths), return_exceptions=True)
        for one in found:
            if isinstance(one, BaseException):
                raise one
        return [path for path, one in zip(paths, found, strict=True) if one]

    async def _names(self, folder: str) -> Sequence[str]:
        answer = await self._api.get(f"{self._mount}/metadata/{folder}", list="true")
        return [] if answer.kind == "absent" else self._content(answer, Names).keys

    def _content(self, answer: Answer, kind: type[T]) -> T:
        if answer.kind != "done":
            raise _unexpected("request")
        content = Answer("done", bytes(answer.read(Data).data))
        return content.read(kind)


def store(settings: VaultSettings, context: AdapterContext) -> VaultSecretStore:
    """The factory."""
    api = VaultApi(settings)
    context.watch(VaultHealth(api))
    return VaultSecretStore(api, settings.mount)


def store_one(settings: VaultSettings, context: AdapterContext) -> VaultOneStore:
    """The factory of the store in an engine of version 1."""
    api = VaultApi(settings)
    context.watch(VaultHealth(api))
    return VaultOneStore(api, settings.mount)


def key_encryption(settings: TransitSettings, context: AdapterContext) -> TransitKeyEncryption:
    """The factory of the transit engine's keys."""
    api = VaultApi(settings)
    context.watch(VaultHealth(api))
    return TransitKeyEncryption(api, mount=settings.mount, key=settings.key)


def _not_found(path: str, version: int | None = None) -> SecretNotFound:
    if version is None:
        return SecretNotFound(f"there is no secret {path!r}")
    return SecretNotFound(f"there is no version {version} of the secret {path!r}", mend="list its versions")


def _conflict(path: str) -> SecretConflict:
    return SecretConflict(f"the secret {path!r} has another version than the write expects", mend="read it again")


def _unexpected(what: str) -> SecretStoreMalformed:
    return SecretStoreMalformed(
        f"the secret provider refused the {what} as malformed", origin="secrets.vault", mend="see the server's log"
    )


_: type[SecretStore] = VaultSecretStore
_writable: type[WritableSecretStore] = VaultSecretStore
_versioned: type[VersionedSecretStore] = VaultSecretStore
_recoverable: type[RecoverableSecretStore] = VaultSecretStore
_erasable: type[ErasableSecretStore] = VaultSecretStore
_described: type[DescribedSecretStore] = VaultSecretStore
_retaining: type[RetainingSecretStore] = VaultSecretStore
