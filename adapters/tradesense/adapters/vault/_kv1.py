"""Secrets in a KV engine of version 1, which keeps one version."""

from __future__ import annotations

from contextlib import aclosing
from typing import Any, Self

from tradesense.adapters.vault._answers import Answer
from tradesense.adapters.vault._api import VaultApi
from tradesense.adapters.vault._entries import Data, Names, fields, value_of
from tradesense.adapters.vault._walk import first, walk
from tradesense.core.errors import SecretNotFound, SecretStoreMalformed
from tradesense.core.paging import Page, check_cursor
from tradesense.core.secrets.models import StoredSecret, check_path
from tradesense.core.secrets.ports import SecretStore, WritableSecretStore
from tradesense.core.sensitive import Secret


class VaultOneStore:
    """See the Protocols of :mod:`tradesense.core.secrets.ports`. Every secret has version 1."""

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
        data = await self._fields(path)
        return StoredSecret(path=path, value=value_of(data, path), version=1)

    async def list(self, prefix: str = "", *, cursor: str | None = None, limit: int = 100) -> Page[str]:
        """See :meth:`SecretStore.list`. One request per folder."""
        check_cursor(cursor, check_path, prefix=prefix)
        async with aclosing(walk(self._names, prefix, cursor or "")) as paths:
            found = [path async for path in first(paths, limit + 1)]
        return Page(items=tuple(found[:limit]), cursor=found[limit - 1] if len(found) > limit else None)

    async def put(self, path: str, value: Secret, *, cas: int | None = None, by: str = "") -> int:  # noqa: ARG002  # it declares neither
        """See :meth:`WritableSecretStore.put`."""
        answer = await self._api.post(f"{self._mount}/{path}", fields(value))
        if answer.kind != "done":
            raise _unexpected()
        return 1

    async def delete(self, path: str) -> None:
        """See :meth:`WritableSecretStore.delete`. It cannot be taken back; entries of another form go as well."""
        await self._fields(path)
        await self._api.delete(f"{self._mount}/{path}")

    async def _fields(self, path: str) -> dict[str, Any]:
        answer = await self._api.get(f"{self._mount}/{path}")
        if answer.kind == "absent":
            raise _not_found(path)
        return Answer("done", _content(answer)).read(dict[str, Any])

    async def _names(self, folder: str) -> tuple[str, ...]:
        answer = await self._api.get(f"{self._mount}/{folder}", list="true")
        return () if answer.kind == "absent" else tuple(Answer("done", _content(answer)).read(Names).keys)


def _content(answer: Answer) -> bytes:
    if answer.kind != "done":
        raise _unexpected()
    return bytes(answer.read(Data).data)


def _not_found(path: str) -> SecretNotFound:
    return SecretNotFound(f"there is no secret {path!r}")


def _unexpected() -> SecretStoreMalformed:
    return SecretStoreMalformed(
        "the secret provider refused the request as malformed", origin="secrets.vault", mend="see the server's log"
    )


_: type[SecretStore] = VaultOneStore
_writable: type[WritableSecretStore] = VaultOneStore
