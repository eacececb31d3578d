"""Secrets in a KV version 2 engine."""

from __future__ import annotations

import asyncio
import builtins
from collections.abc import AsyncGenerator, Sequence
from contextlib import aclosing
from typing import Self, TypeVar

from tradesense.adapters.vault._api import Answer, VaultApi
from tradesense.adapters.vault._entries import Data, Entry, Names, Versions, Written, fields
from tradesense.adapters.vault.settings import VaultSettings
from tradesense.core.errors import (
    InvalidSecretPath,
    SecretConflict,
    SecretNotFound,
    SecretStoreUnavailable,
    Unavailable,
)
from tradesense.core.paging import Page, check_cursor
from tradesense.core.secrets.models import SecretVersion, StoredSecret, check_path
from tradesense.core.secrets.ports import SecretStore, VersionedSecretStore, WritableSecretStore
from tradesense.core.sensitive import Secret
from tradesense.core.telemetry.models import Health, Status
from tradesense.plugins import AdapterContext

T = TypeVar("T")

HEALTH_SECONDS = 1.5
"""A check may take two seconds with all that is around it."""
READS_AT_ONCE = 8
_CAS_MISMATCH = "check-and-set parameter did not match"


class VaultSecretStore:
    """See the Protocols of :mod:`tradesense.core.secrets.ports`.

    Deleting takes every version away, so that none can be read although the engine could bring them back; a deleted
    secret that is written again goes on counting.
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
            raise SecretNotFound(
                f"there is no version {version} of the secret {path!r}"
            )  # 0 would mean the current one
        return await self._entry(path, version=version)

    async def versions(self, path: str) -> tuple[SecretVersion, ...]:
        """See :meth:`VersionedSecretStore.versions`."""
        found = await self._versions(path)
        if found is None or not (listed := found[0].listed(found[1])):
            raise _not_found(path)
        return listed

    async def list(self, prefix: str = "", *, cursor: str | None = None, limit: int = 100) -> Page[str]:
        """See :meth:`SecretStore.list`. One request per folder, and one per secret to see whether it was deleted."""
        check_cursor(cursor, check_path, prefix=prefix)
        found: list[str] = []
        async with aclosing(self._paths(prefix, cursor or "")) as paths:
            while len(found) <= limit:
                batch = [path async for path in _first(paths, limit + 1 - len(found))]
                if not batch:
                    return Page(items=tuple(found))
                found.extend(await self._present(batch))
        return Page(items=tuple(found[:limit]), cursor=found[limit - 1])

    async def put(self, path: str, value: Secret, *, cas: int | None = None, by: str = "") -> int:  # noqa: ARG002  # it keeps no authors
        """See :meth:`WritableSecretStore.put`.

        A write that expects a version and meets its deletion in the same instant may still succeed: to the engine a
        deleted version goes on being current.
        """
        if cas:
            await self._expect(path, cas)
        answer = await self._write(path, value, cas)
        if cas == 0 and answer.says(_CAS_MISMATCH):
            answer = await self._write(path, value, await self._deleted(path))
        if answer.kind == "refused" and answer.says("check-and-set"):
            raise _conflict(path)
        return self._content(answer, Written).version

    async def delete(self, path: str) -> None:
        """See :meth:`WritableSecretStore.delete`."""
        found = await self._versions(path)
        if found is None or not (live := found[0].live(found[1])):
            raise _not_found(path)
        answer = await self._api.post(f"{self._mount}/delete/{path}", {"versions": [str(number) for number in live]})
        if answer.kind != "done":
            raise _unexpected("delete")

    async def _entry(self, path: str, **parameters: int) -> StoredSecret:
        answer = await self._api.get(f"{self._mount}/data/{path}", **parameters)
        if answer.kind == "absent":
            raise _not_found(path)
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

    async def _paths(self, prefix: str, after: str) -> AsyncGenerator[str]:
        """Every path with ``prefix`` beyond ``after``, deleted ones included, in code-point order.

        A folder sorts by its name with the slash, which is how all that it holds sorts.
        """
        waiting = [prefix[: prefix.rfind("/") + 1]]
        while waiting:
            place = waiting.pop()
            if place and not place.endswith("/"):
                yield place
                continue
            below = [f"{place}{name}" for name in await self._names(place)]
            waiting += sorted((path for path in below if _is_wanted(path, prefix, after)), reverse=True)

    async def _names(self, folder: str) -> Sequence[str]:
        answer = await self._api.get(f"{self._mount}/metadata/{folder}", list="true")
        return [] if answer.kind == "absent" else self._content(answer, Names).keys

    def _content(self, answer: Answer, kind: type[T]) -> T:
        if answer.kind != "done":
            raise _unexpected("request")
        content = Answer("done", bytes(answer.read(Data).data))
        return content.read(kind)


class VaultHealth:
    """Asks the server whether it is initialised, unsealed and active."""

    name = "vault"
    essential = False

    def __init__(self, api: VaultApi) -> None:
        self._api = api

    async def check(self) -> Health:
        """One request, without the token."""
        try:
            async with asyncio.timeout(HEALTH_SECONDS):
                await self._api.health()
        except TimeoutError:
            return Health(name=self.name, status=Status.DOWN, detail=f"no answer within {HEALTH_SECONDS:g} s")
        except Unavailable as error:
            return Health(name=self.name, status=Status.DOWN, detail=error.detail)
        return Health(name=self.name, status=Status.UP)


def store(settings: VaultSettings, context: AdapterContext) -> VaultSecretStore:
    """The factory."""
    api = VaultApi(settings)
    context.watch(VaultHealth(api))
    return VaultSecretStore(api, settings.mount)


async def _first(paths: AsyncGenerator[str], count: int) -> AsyncGenerator[str]:
    for _ in range(count):
        try:
            yield await anext(paths)
        except StopAsyncIteration:
            return


def _is_wanted(path: str, prefix: str, after: str) -> bool:
    """Whether ``path``, or something below it where it is a folder, is to be listed.

    Names that the platform's paths cannot hold are somebody else's.
    """
    try:
        check_path(path.removesuffix("/"))
    except InvalidSecretPath:
        return False
    return path.startswith(prefix) and (path > after or (path.endswith("/") and after.startswith(path)))


def _not_found(path: str) -> SecretNotFound:
    return SecretNotFound(f"there is no secret {path!r}")


def _conflict(path: str) -> SecretConflict:
    return SecretConflict(f"the secret {path!r} has another version than the write expects", mend="read it again")


def _unexpected(what: str) -> SecretStoreUnavailable:
    return SecretStoreUnavailable(
        f"the secret provider refused the {what} as malformed", origin="secrets.vault", mend="see the server's log"
    )


_: type[SecretStore] = VaultSecretStore
_writable: type[WritableSecretStore] = VaultSecretStore
_versioned: type[VersionedSecretStore] = VaultSecretStore
