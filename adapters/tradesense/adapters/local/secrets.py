"""AES-256-GCM (NIST SP 800-38D), and data keys wrapped with it."""

from __future__ import annotations

import asyncio
import base64
import hashlib
from collections.abc import Mapping
from pathlib import Path
from typing import Self

import msgspec
from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from msgspec.structs import replace

from tradesense.adapters.local._fernet import FernetSecretStore
from tradesense.adapters.local._ring import Ring, RingFile, RingKey, Stamp, opened
from tradesense.adapters.local._rotation import PasswordRotator
from tradesense.adapters.local.settings import KEY_BYTES, FernetSettings, LocalKeySettings
from tradesense.core.ambient import Clock, Random
from tradesense.core.errors import AdapterClosed, DecryptionFailed, InvalidInput
from tradesense.core.secrets.models import KeyStatus, WrappedKey
from tradesense.core.secrets.ports import Aead, KeyEncryption, KeyRing, Opener
from tradesense.core.sensitive import Secret
from tradesense.plugins.manifest import AdapterContext, NoSettings

NONCE_BYTES = 12
ROUNDS = 600_000
"""Of PBKDF2-HMAC-SHA256 (ASVS 11.4.2 and appendix C)."""

LOOK_SECONDS = 1.0
"""After this time a changed ring file is noticed."""

_PURPOSE = "tradesense data key"
_RING_PURPOSE = "tradesense key ring"
_encode = msgspec.msgpack.Encoder(order="sorted").encode


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
        _check_length(key)
        try:
            return AESGCM(key).decrypt(nonce, ciphertext, associated)
        except (InvalidTag, ValueError) as error:  # as below
            raise DecryptionFailed from error

    def opener(self, key: bytes) -> Opener:
        """See :meth:`Aead.opener`. What it holds is OpenSSL's context of the key, wiped when it is freed."""
        _check_length(key)
        decrypt = AESGCM(key).decrypt

        def open_(nonce: bytes, ciphertext: bytes, associated: bytes) -> bytes:
            try:
                return decrypt(nonce, ciphertext, associated)
            except (InvalidTag, ValueError) as error:  # a nonce of another length is one that nothing was sealed under
                raise DecryptionFailed from error

        return open_


class LocalKeyEncryption:
    """Wraps data keys with AES-256-GCM under keys of the settings and of a file. See :class:`KeyRing`.

    A key that is given as a passphrase is derived once, on opening, which takes some tenths of a second. The file is
    looked at again after a second, and at once when a key is unknown.
    """

    def __init__(self, settings: LocalKeySettings, *, random: Random, clock: Clock) -> None:
        self._settings = settings
        self._key_id = settings.key_id
        self._random = random
        self._clock = clock
        self._aead = AesGcm()
        self._file = RingFile(Path(settings.ring_file)) if settings.ring_file else None
        self._root: bytes | None = None
        self._given: dict[str, bytes] = {}
        self._ring, self._keys = Ring(), dict[str, bytes]()
        self._openers: dict[str, Opener] = {}
        """By the ids of those of the keys that have unwrapped something; none before opening and after closing."""
        self._stamp: Stamp | None = None
        self._looked = 0.0

    async def __aenter__(self) -> Self:
        given = await asyncio.to_thread(self._settings.given, _derive)
        self._root, self._given = given[self._key_id], given
        await self._load()
        return self

    async def __aexit__(self, *_: object) -> None:
        self._root, self._given, self._keys, self._openers = None, {}, {}, {}

    async def wrap(self, data_key: bytes, context: Mapping[str, str]) -> WrappedKey:
        """See :meth:`KeyEncryption.wrap`. The blob is the nonce, the ciphertext and the tag."""
        keys = await self._known()
        key_id = self._current()
        nonce = self._random.bytes(NONCE_BYTES)
        blob = nonce + self._aead.seal(keys[key_id], nonce, data_key, self._associated(key_id, context))
        return WrappedKey(key_id=key_id, blob=blob)

    async def unwrap(self, wrapped: WrappedKey, context: Mapping[str, str]) -> bytes:
        """See :meth:`KeyEncryption.unwrap`."""
        key_id, blob = wrapped.key_id, wrapped.blob
        opener = self._openers.get(key_id)
        if opener is None or (self._file is not None and self._due()):
            opener = await self._opener(key_id)
        nonce, ciphertext = blob[:NONCE_BYTES], blob[NONCE_BYTES:]
        try:
            return opener(nonce, ciphertext, self._associated(key_id, context))
        except DecryptionFailed:
            return opener(nonce, ciphertext, _encode((_PURPOSE, key_id, sorted(context.items()))))

    async def _opener(self, key_id: str) -> Opener:
        key = (await self._known(key_id)).get(key_id)
        if key is None:
            raise DecryptionFailed(
                f"the value was sealed under the key {key_id!r}, which is not here or was retired",
                origin="secrets.local",
                mend="restore the root key or the ring file that has this id",
            )
        opener = self._openers[key_id] = self._aead.opener(key)
        return opener

    async def keys(self) -> tuple[KeyStatus, ...]:
        """See :meth:`KeyRing.keys`."""
        keys = await self._known()
        current, made = self._current(), {key.id: key.created_at for key in self._ring.keys}
        return tuple(
            KeyStatus(key_id=key_id, current=key_id == current, created_at=made.get(key_id)) for key_id in keys
        )

    async def rotate(self) -> str:
        """See :meth:`KeyRing.rotate`."""
        file, root = self._writable(), self._opened()
        key_id, key = f"ring-{self._random.bytes(6).hex()}", self._random.bytes(KEY_BYTES)
        nonce = self._random.bytes(NONCE_BYTES)
        blob = nonce + self._aead.seal(root, nonce, key, _of_ring(key_id))
        made = RingKey(id=key_id, created_at=self._clock.now(), wrapped=base64.b64encode(blob).decode())
        await asyncio.to_thread(file.change, lambda ring: replace(ring, keys=(*ring.keys, made)))
        await self._load()
        return key_id

    async def retire(self, key_id: str) -> None:
        """See :meth:`KeyRing.retire`."""
        file = self._writable()
        await self._load()
        if key_id not in self._keys:
            raise InvalidInput(f"there is no key {key_id[:80]!r}", mend="see `tradesense keys status`")
        if key_id == self._current():
            raise InvalidInput(f"{key_id!r} is the current key", mend="rotate first")

        def without(ring: Ring) -> Ring:
            kept = tuple(key for key in ring.keys if key.id != key_id)
            return replace(ring, keys=kept, retired=(*ring.retired, key_id))

        await asyncio.to_thread(file.change, without)
        await self._load()

    def _associated(self, key_id: str, context: Mapping[str, str]) -> bytes:
        """Purpose, key and context in one encoding, which no other context has.

        What the first of these releases wrapped has the context as a list of pairs, and goes on being unwrapped.
        """
        return _encode((_PURPOSE, key_id, {**context}))

    def _current(self) -> str:
        return self._ring.keys[-1].id if self._ring.keys else self._key_id

    async def _known(self, wanted: str | None = None) -> dict[str, bytes]:
        """The keys by their ids, as they are in the file now, or were a second ago."""
        self._opened()
        if self._file is None:
            return self._keys
        due = self._due()
        unknown = wanted is not None and wanted not in self._keys
        if (due or unknown) and self._file.stamp() != self._stamp:
            await self._load()
        elif due:
            self._looked = self._clock.monotonic()
        return self._keys

    def _due(self) -> bool:
        """Whether the file is to be looked at again."""
        return self._clock.monotonic() - self._looked >= LOOK_SECONDS

    async def _load(self) -> None:
        root = self._opened()
        self._looked = self._clock.monotonic()
        if self._file is not None:
            stamp = self._file.stamp()  # before reading: a change in between is read again, never missed
            self._ring, self._stamp = await asyncio.to_thread(self._file.read), stamp
        made = opened(self._ring, lambda key_id, blob: self._unwrapped(root, key_id, blob))
        given = {key_id: key for key_id, key in self._given.items() if key_id not in self._ring.retired}
        self._keys, self._openers = given | made, {}

    def _unwrapped(self, root: bytes, key_id: str, blob: bytes) -> bytes:
        return self._aead.open(root, blob[:NONCE_BYTES], blob[NONCE_BYTES:], _of_ring(key_id))

    def _opened(self) -> bytes:
        if self._root is None:
            raise AdapterClosed("LocalKeyEncryption is not open", mend="use it inside its `async with`")
        return self._root

    def _writable(self) -> RingFile:
        self._opened()
        if self._file is None:
            raise InvalidInput(
                "the keys stand in the settings, which are not written from here",
                origin="secrets.local.ring_file",
                mend="set secrets.local.ring_file, or name a new root key and move the old one to secrets.local.keys",
            )
        return self._file


def _check_length(key: bytes) -> None:
    if len(key) != KEY_BYTES:
        raise DecryptionFailed


def _of_ring(key_id: str) -> bytes:
    return msgspec.msgpack.encode((_RING_PURPOSE, key_id))


def _derive(passphrase: Secret, salt: bytes) -> bytes:
    return hashlib.pbkdf2_hmac("sha256", passphrase.reveal_bytes(), salt, ROUNDS, KEY_BYTES)


def key_encryption(settings: LocalKeySettings, context: AdapterContext) -> LocalKeyEncryption:
    """The factory of the key encryption."""
    return LocalKeyEncryption(settings, random=context.random, clock=context.clock)


def aead(_: NoSettings, context: AdapterContext) -> AesGcm:  # noqa: ARG001  # every factory takes both
    """The factory of the cipher."""
    return AesGcm()


def rotator(_: NoSettings, context: AdapterContext) -> PasswordRotator:
    """The factory of the rotator."""
    return PasswordRotator(random=context.random)


def fernet(settings: FernetSettings, context: AdapterContext) -> FernetSecretStore:
    """The factory of the store of another system's tokens."""
    return FernetSecretStore(settings, clock=context.clock)


_: type[KeyEncryption] = LocalKeyEncryption
_ring: type[KeyRing] = LocalKeyEncryption
_aead: type[Aead] = AesGcm
