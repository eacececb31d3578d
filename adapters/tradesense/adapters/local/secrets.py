"""AES-256-GCM (NIST SP 800-38D), and data keys wrapped with it."""

from __future__ import annotations

import asyncio
import base64
import binascii
import hashlib
from collections.abc import Mapping
from typing import Self

import msgspec
from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from tradesense.adapters.local.settings import LocalKeySettings
from tradesense.core.ambient import Random
from tradesense.core.errors import AdapterClosed, ConfigurationError, DecryptionFailed
from tradesense.core.secrets.models import WrappedKey
from tradesense.core.secrets.ports import Aead, KeyEncryption
from tradesense.core.sensitive import Secret
from tradesense.plugins.manifest import AdapterContext, NoSettings

KEY_BYTES = 32
NONCE_BYTES = 12
ROUNDS = 600_000
"""Of PBKDF2-HMAC-SHA256 (ASVS 11.4.2 and appendix C)."""
SHORTEST_PASSPHRASE = 15
SHORTEST_SALT = 16

_PURPOSE = "tradesense data key"


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
        if len(key) != KEY_BYTES or len(nonce) != NONCE_BYTES:
            raise DecryptionFailed
        try:
            return AESGCM(key).decrypt(nonce, ciphertext, associated)
        except InvalidTag as error:
            raise DecryptionFailed from error


class LocalKeyEncryption:
    """Wraps data keys with AES-256-GCM under a key from the settings. See :class:`KeyEncryption`.

    A key that is given as a passphrase is derived once, on opening, which takes some tenths of a second.

    :raises ConfigurationError: the root key is neither 32 bytes in base64 nor a passphrase of 15 characters with a
        salt of 16.
    """

    def __init__(self, settings: LocalKeySettings, *, random: Random) -> None:
        self._key_id = settings.key_id
        self._random = random
        self._aead = AesGcm()
        self._root = settings.root_key
        self._salt = settings.salt.encode()
        self._given = _key_in(self._root)
        self._key: bytes | None = None
        if self._given is None:
            _check_passphrase(self._root, settings.salt)

    async def __aenter__(self) -> Self:
        self._key = self._given or await asyncio.to_thread(_derive, self._root, self._salt)
        return self

    async def __aexit__(self, *_: object) -> None:
        self._key = None

    async def wrap(self, data_key: bytes, context: Mapping[str, str]) -> WrappedKey:
        """See :meth:`KeyEncryption.wrap`. The blob is the nonce, the ciphertext and the tag."""
        key = self._opened()
        nonce = self._random.bytes(NONCE_BYTES)
        blob = nonce + self._aead.seal(key, nonce, data_key, self._associated(context))
        return WrappedKey(key_id=self._key_id, blob=blob)

    async def unwrap(self, wrapped: WrappedKey, context: Mapping[str, str]) -> bytes:
        """See :meth:`KeyEncryption.unwrap`."""
        key = self._opened()
        if wrapped.key_id != self._key_id:
            raise DecryptionFailed(
                f"the value was sealed under the key {wrapped.key_id!r}, the settings have {self._key_id!r}",
                origin="secrets.local.key_id",
                mend="restore the root key that has this id",
            )
        nonce, ciphertext = wrapped.blob[:NONCE_BYTES], wrapped.blob[NONCE_BYTES:]
        return self._aead.open(key, nonce, ciphertext, self._associated(context))

    def _opened(self) -> bytes:
        if self._key is None:
            raise AdapterClosed("LocalKeyEncryption is not open", mend="use it inside its `async with`")
        return self._key

    def _associated(self, context: Mapping[str, str]) -> bytes:
        """Purpose, key and context in one encoding, which no other context has."""
        return msgspec.msgpack.encode((_PURPOSE, self._key_id, sorted(context.items())))


def _key_in(root: Secret) -> bytes | None:
    """The 32 bytes that ``root`` is the base64 of, or ``None``."""
    text = root.reveal_bytes().strip().rstrip(b"=").translate(bytes.maketrans(b"-_", b"+/"))
    try:
        key = base64.b64decode(text + b"=" * (-len(text) % 4), validate=True)
    except binascii.Error:
        return None
    return key if len(key) == KEY_BYTES else None


def _check_passphrase(root: Secret, salt: str) -> None:
    if len(root) < SHORTEST_PASSPHRASE:
        raise ConfigurationError(
            f"secrets.local.root_key is no key: it is not 32 bytes in base64, and too short for a passphrase "
            f"({len(root)} bytes)",
            origin="secrets.local.root_key",
            mend="make one with `python -c 'import secrets; print(secrets.token_urlsafe(32))'`",
        )
    if len(salt) < SHORTEST_SALT:
        raise ConfigurationError(
            f"secrets.local.root_key is a passphrase, and its salt has {len(salt)} characters instead of "
            f"{SHORTEST_SALT} at least",
            origin="secrets.local.salt",
            mend="set a salt that is this deployment's own, or give 32 bytes in base64 as the key",
        )


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
