"""Data keys wrapped by AWS KMS."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from typing import Self

import msgspec

from tradesense.adapters.aws._client import AwsService
from tradesense.adapters.aws._errors import Refusal
from tradesense.core.errors import DecryptionFailed, SecretStoreMalformed
from tradesense.core.secrets.models import WrappedKey
from tradesense.core.secrets.ports import KeyEncryption

PURPOSE = {"tradesense:purpose": "data key"}
"""Part of every encryption context, so that nothing else that the key encrypted opens here."""

_UNREADABLE = frozenset(
    {
        "AccessDeniedException",  # only where KMS says that there is no such key
        "IncorrectKeyException",
        "InvalidArnException",
        "InvalidCiphertextException",
        "NotFoundException",
        "ValidationException",
    }
)
_MAX_BLOB = 6144
_MAX_KEY_ID = 2048


class KmsKeyEncryption:
    """See :class:`KeyEncryption`. The context is the encryption context of KMS, and so stands in CloudTrail.

    A key that KMS rotates by itself goes on unwrapping what its earlier material wrapped.
    """

    def __init__(self, service: AwsService, key_id: str) -> None:
        self._service = service
        self._key_id = key_id

    async def __aenter__(self) -> Self:
        await self._service.__aenter__()
        return self

    async def __aexit__(self, *details: object) -> None:
        await self._service.__aexit__(*details)

    async def wrap(self, data_key: bytes, context: Mapping[str, str]) -> WrappedKey:
        """See :meth:`KeyEncryption.wrap`. The id is the key's ARN, also where the settings name an alias."""
        try:
            reply = await self._service.call(
                "encrypt", KeyId=self._key_id, Plaintext=data_key, EncryptionContext=_bound(context)
            )
        except Refusal as refusal:
            raise refusal.unexpected() from refusal
        return WrappedKey(key_id=str(reply["KeyId"]), blob=bytes(reply["CiphertextBlob"]))

    async def unwrap(self, wrapped: WrappedKey, context: Mapping[str, str]) -> bytes:
        """See :meth:`KeyEncryption.unwrap`."""
        if not 0 < len(wrapped.blob) <= _MAX_BLOB or not 0 < len(wrapped.key_id) <= _MAX_KEY_ID:
            self._service.check_open()
            raise DecryptionFailed
        try:
            reply = await self._service.call(
                "decrypt", KeyId=wrapped.key_id, CiphertextBlob=wrapped.blob, EncryptionContext=_bound(context)
            )
        except Refusal as refusal:
            if refusal.reason in _UNREADABLE:
                raise DecryptionFailed from refusal
            raise refusal.unexpected() from refusal
        plaintext = reply.get("Plaintext")
        if not isinstance(plaintext, bytes):
            raise SecretStoreMalformed("the answer of KMS holds no key", origin=self._service.origin)
        return plaintext


def _bound(context: Mapping[str, str]) -> dict[str, str]:
    digest = hashlib.sha256(msgspec.msgpack.encode(sorted(context.items()))).hexdigest()
    return {**{f"context:{name}": value for name, value in context.items()}, **PURPOSE, "tradesense:digest": digest}


_: type[KeyEncryption] = KmsKeyEncryption
