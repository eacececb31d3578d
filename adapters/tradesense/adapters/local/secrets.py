"""AES-256-GCM (NIST SP 800-38D), and data keys wrapped with it."""

from __future__ import annotations

import asyncio
import hashlib
from collections.abc import Mapping
from typing import Self

import msgspec
from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from tradesense.adapters.local.settings import KEY_BYTES, LocalKeySettings
from tradesense.core.ambient import Random
from tradesense.core.errors import AdapterClosed, DecryptionFailed
from tradesense.core.secrets.models import WrappedKey
from tradesense.core.secrets.ports import Aead, KeyEncryption, Opener
from tradesense.core.sensitive import Secret
from tradesense.plugins.manifest import AdapterContext, NoSettings

NONCE_BYTES = 12
ROUNDS = 600_000
"""Of PBKDF2-HMAC-SHA256 (ASVS 11.4.2 and appendix C)."""

_PURPOSE = "tradesense data key"
_encode = msgspec.msgpack.Encoder().encode


class AesGcm:
    """AES-256-GCM with a 96-bit nonce and a 128-bit tag. See :class:`Aead`."""

    def seal(self, key: bytes, nonce: bytes, plaintext: bytes, associated: bytes) -> bytes:
        """See :meth:`Aead.seal`.

        :raises ValueError: the key has not 32 bytes, or the nonce not 12.
        """
        if len(key) != KEY_BYTES or len(nonce) != NONCE_BYTES:
            raise ValueError("AES-256-GCM takes a key of 32 and a nonce of 12 bytes")
        return AESGCM(key).encrypt(nonce, plaintext, associated)

    def open(self, key: bytes, nonce: bytes, ciphertext: bytes, associated: bytes) -> bytes:
        """See :meth:`Aead.open`."""
        return self.opener(key)(nonce, ciphertext, associated)

    def opener(self, key: bytes) -> Opener:
        """See :meth:`Aead.opener`. What it holds is OpenSSL's context of the key, wiped when it is freed."""
        if len(key) != KEY_BYTES:
            raise DecryptionFailed
        decrypt = AESGCM(key).decrypt

        def open_(nonce: bytes, ciphertext: bytes, associated: bytes) -> bytes:
            try:
                return decrypt(nonce, ciphertext, associated)
            except (InvalidTag, ValueError) as error:  # a nonce of another length is one that nothing was sealed under
                raise DecryptionFailed from error

        return open_


class LocalKeyEncryption:
    """Wraps data keys with AES-256-GCM under a key from the settings. See :class:`KeyEncryption`.

    A key that is given as a passphrase is derived once, on opening, which takes some tenths of a second.
    """

    def __init__(self, settings: LocalKeySettings, *, random: Random) -> None:
        self._key_id = settings.key_id
        self._random = random
        self._aead = AesGcm()
        self._root = settings.root_key
        self._salt = settings.salt.encode()
        self._given = settings.key()
        self._key: tuple[bytes, Opener] | None = None

    async def __aenter__(self) -> Self:
        given = self._given
        key = given if given is not None else await asyncio.to_thread(_derive, self._root, self._salt)
        self._key = key, self._aead.opener(key)
        return self

    async def __aexit__(self, *_: object) -> None:
        self._key = None

    async def wrap(self, data_key: bytes, context: Mapping[str, str]) -> WrappedKey:
        """See :meth:`KeyEncryption.wrap`. The blob is the nonce, the ciphertext and the tag."""
        key = self._opened()[0]
        nonce = self._random.bytes(NONCE_BYTES)
        blob = nonce + self._aead.seal(key, nonce, data_key, self._associated(context))
        return WrappedKey(key_id=self._key_id, blob=blob)

    async def unwrap(self, wrapped: WrappedKey, context: Mapping[str, str]) -> bytes:
        """See :meth:`KeyEncryption.unwrap`."""
        opener = self._opened()[1]
        if wrapped.key_id != self._key_id:
            raise DecryptionFailed(
                f"the value was sealed under the key {wrapped.key_id!r}, the settings have {self._key_id!r}",
                origin="secrets.local.key_id",
                mend="restore the root key that has this id",
            )
        nonce, ciphertext = wrapped.blob[:NONCE_BYTES], wrapped.blob[NONCE_BYTES:]
        return opener(nonce, ciphertext, self._associated(context))

    def _opened(self) -> tuple[bytes, Opener]:
        if self._key is None:
            raise AdapterClosed("LocalKeyEncryption is not open", mend="use it inside its `async with`")
        return self._key

    def _associated(self, context: Mapping[str, str]) -> bytes:
        """Purpose, key and context in one encoding, which no other context has."""
        return _encode((_PURPOSE, self._key_id, sorted(context.items())))


def _derive(passphrase: Secret, salt: bytes) -> bytes:
    return hashlib.pbkdf2_hmac("sha256", passphrase.reveal_bytes(), salt, ROUNDS, KEY_BYTES)


def key_encryption(settings: LocalKeySettings, context: AdapterContext) -> LocalKeyEncryption:
    """The factory of the key encryption."""
    return LocalKeyEncryption(settings, random=context.random)


def aead(_: NoSettings, context: AdapterContext) -> AesGcm:  # noqa: ARG001  # every factory takes both
    """The factory of the cipher."""
    return AesGcm()


_: type[KeyEncryption] = LocalKeyEncryption
_aead: type[Aead] = AesGcm
