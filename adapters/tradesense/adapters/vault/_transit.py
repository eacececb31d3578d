"""Data keys that are wrapped by a transit engine, which never lets its own keys out."""

from __future__ import annotations

import base64
import binascii
import re
from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Self, TypeVar

import msgspec

from tradesense.adapters.vault._answers import Answer
from tradesense.adapters.vault._api import VaultApi
from tradesense.core.errors import DecryptionFailed, InvalidInput, SecretStoreUnavailable
from tradesense.core.secrets.models import KeyStatus, WrappedKey
from tradesense.core.secrets.ports import KeyEncryption, KeyRing
from tradesense.core.sensitive import Secret

T = TypeVar("T")

ORIGIN = "secrets.transit"
_CIPHERTEXT = re.compile(r"vault:v([1-9][0-9]{0,8}):([A-Za-z0-9+/=]+)")


class _Ciphertext(msgspec.Struct, frozen=True):
    ciphertext: str


class _Plaintext(msgspec.Struct, frozen=True):
    plaintext: Secret


class _Key(msgspec.Struct, frozen=True):
    latest_version: int
    min_decryption_version: int
    keys: dict[str, int | float | str | msgspec.Raw]


class _Data(msgspec.Struct, frozen=True):
    data: msgspec.Raw


class TransitKeyEncryption:
    """One named key of the engine, whose versions are the ring. See :class:`KeyRing`.

    A wrapped key's id is the name and the version, as in ``tradesense:3``; its context is authenticated as associated
    data. The key is made, as AES-256-GCM, when it is first used, if the token's policy lets it.
    """

    def __init__(self, api: VaultApi, *, mount: str, key: str) -> None:
        self._api = api
        self._mount = mount
        self._key = key

    async def __aenter__(self) -> Self:
        await self._api.__aenter__()
        return self

    async def __aexit__(self, *details: object) -> None:
        await self._api.__aexit__(*details)

    async def wrap(self, data_key: bytes, context: Mapping[str, str]) -> WrappedKey:
        """See :meth:`KeyEncryption.wrap`."""
        body = {"plaintext": _encoded(data_key), "associated_data": _encoded(_associated(context))}
        answer = await self._api.post(f"{self._mount}/encrypt/{self._key}", body)
        if answer.kind != "done":
            raise _refused("wrap a key")
        found = _CIPHERTEXT.fullmatch(_read(answer, _Ciphertext).ciphertext)
        if found is None:
            raise SecretStoreUnavailable("the transit engine answered with no ciphertext of its own", origin=ORIGIN)
        return WrappedKey(key_id=f"{self._key}:{found[1]}", blob=base64.b64decode(found[2]))

    async def unwrap(self, wrapped: WrappedKey, context: Mapping[str, str]) -> bytes:
        """See :meth:`KeyEncryption.unwrap`."""
        version = self._version(wrapped.key_id)
        body = {
            "ciphertext": f"vault:v{version}:{_encoded(wrapped.blob)}",
            "associated_data": _encoded(_associated(context)),
        }
        if version is None:
            await self._api.health()  # what is closed or away says so, whatever it is asked
            raise DecryptionFailed(f"the key {wrapped.key_id!r} is none of {self._key!r}", origin=ORIGIN)
        answer = await self._api.post(f"{self._mount}/decrypt/{self._key}", body)
        if answer.kind != "done":
            raise DecryptionFailed(f"the transit engine does not unwrap what {wrapped.key_id!r} wrapped", origin=ORIGIN)
        try:
            return base64.b64decode(_read(answer, _Plaintext).plaintext.reveal_bytes(), validate=True)
        except binascii.Error as error:
            raise SecretStoreUnavailable("the transit engine's answer cannot be read", origin=ORIGIN) from error

    async def keys(self) -> tuple[KeyStatus, ...]:
        """See :meth:`KeyRing.keys`. They are those from the least version that still decrypts."""
        found = await self._found()
        return tuple(
            KeyStatus(
                key_id=f"{self._key}:{version}",
                current=version == found.latest_version,
                created_at=_instant(found.keys.get(f"{version}")),
            )
            for version in range(max(found.min_decryption_version, 1), found.latest_version + 1)
        )

    async def rotate(self) -> str:
        """See :meth:`KeyRing.rotate`."""
        await self._found()
        if (await self._api.post(f"{self._mount}/keys/{self._key}/rotate", {})).kind != "done":
            raise _refused("rotate the key")
        return f"{self._key}:{(await self._found()).latest_version}"

    async def retire(self, key_id: str) -> None:
        """See :meth:`KeyRing.retire`. Every older version goes as well."""
        found, version = await self._found(), self._version(key_id)
        if version is None or not max(found.min_decryption_version, 1) <= version <= found.latest_version:
            raise InvalidInput(f"there is no key {key_id[:80]!r}", mend="see `tradesense keys status`")
        if version == found.latest_version:
            raise InvalidInput(f"{key_id!r} is the current key", mend="rotate first")
        body = {"min_decryption_version": version + 1}
        if (await self._api.post(f"{self._mount}/keys/{self._key}/config", body)).kind != "done":
            raise _refused("retire the key")

    async def _found(self) -> _Key:
        """The key's description; the key is made where there is none."""
        answer = await self._api.get(f"{self._mount}/keys/{self._key}")
        if answer.kind == "absent":
            if (await self._api.post(f"{self._mount}/keys/{self._key}", {"type": "aes256-gcm96"})).kind != "done":
                raise _refused("make the key")
            answer = await self._api.get(f"{self._mount}/keys/{self._key}")
        if answer.kind != "done":
            raise _refused("describe the key")
        return _read(answer, _Key)

    def _version(self, key_id: str) -> int | None:
        name, _, number = key_id.rpartition(":")
        return int(number) if name == self._key and re.fullmatch("[1-9][0-9]{0,8}", number) else None


def _read(answer: Answer, kind: type[T]) -> T:
    return Answer("done", bytes(answer.read(_Data).data)).read(kind)


def _instant(created: object) -> datetime | None:
    """Symmetric keys say seconds since 1970."""
    return datetime.fromtimestamp(created, UTC) if isinstance(created, int | float) else None


def _associated(context: Mapping[str, str]) -> bytes:
    return msgspec.msgpack.encode(("tradesense data key", sorted(context.items())))


def _encoded(data: bytes) -> str:
    return base64.b64encode(data).decode()


def _refused(what: str) -> SecretStoreUnavailable:
    return SecretStoreUnavailable(
        f"the transit engine refused to {what}", origin=ORIGIN, mend="see its log, and the key's type: aes256-gcm96"
    )


_: type[KeyEncryption] = TransitKeyEncryption
_ring: type[KeyRing] = TransitKeyEncryption
