"""Envelope encryption: a fresh data key for every version of every secret, wrapped by a key that we never store.

The associated data ties a ciphertext to its place, so that a row copied over another, an older version put back, or a
stripped field does not open (NIST SP 800-38D, section 8; ASVS 11.3.2).
"""

from __future__ import annotations

import msgspec

from tradesense.core.ambient import Random
from tradesense.core.errors import DecryptionFailed
from tradesense.core.secrets.datakeys import DataKeys
from tradesense.core.secrets.models import WrappedKey
from tradesense.core.secrets.ports import Aead, KeyEncryption
from tradesense.core.sensitive import Secret

FORMAT = 1
DATA_KEY_BYTES = 32
NONCE_BYTES = 12


class Envelope(msgspec.Struct, frozen=True, array_like=True, gc=False):
    """What is stored in place of a value. The field order is the format; new fields go to the end."""

    format: int
    key_id: str
    wrapped_key: bytes
    nonce: bytes
    ciphertext: bytes


_DECODER = msgspec.msgpack.Decoder(Envelope)
_encode = msgspec.msgpack.Encoder().encode


class Sealer:
    """Seals values into envelopes and opens them again. ``namespace`` is one deployment's name.

    Without ``remembered`` every opening asks the key provider.
    """

    def __init__(
        self, *, keys: KeyEncryption, aead: Aead, random: Random, namespace: str, remembered: DataKeys | None = None
    ) -> None:
        self._keys = keys
        self._remembered = remembered
        self._aead = aead
        self._random = random
        self._namespace = namespace

    async def seal(self, path: str, version: int, value: Secret) -> bytes:
        """Encrypt ``value`` for exactly this path and version.

        :raises SecretStoreUnavailable: the key provider did not answer.
        """
        data_key = self._random.bytes(DATA_KEY_BYTES)
        nonce = self._random.bytes(NONCE_BYTES)
        wrapped = await self._keys.wrap(data_key, self._context(path, version))
        associated = self._associated(path, version, wrapped.key_id)
        ciphertext = self._aead.seal(data_key, nonce, value.reveal_bytes(), associated)
        return msgspec.msgpack.encode(Envelope(FORMAT, wrapped.key_id, wrapped.blob, nonce, ciphertext))

    async def current_key(self) -> str:
        """The id of the key that wraps now.

        :raises SecretStoreUnavailable: the key provider did not answer.
        """
        return (await self._keys.wrap(self._random.bytes(DATA_KEY_BYTES), {"namespace": self._namespace})).key_id

    async def open(self, path: str, version: int, blob: bytes) -> Secret:
        """Decrypt an envelope that was sealed for this path and version.

        :raises DecryptionFailed: it was not, or it was changed, or its key is another's.
        :raises SecretStoreUnavailable: the key provider did not answer.
        """
        try:
            envelope = _DECODER.decode(blob)
        except (msgspec.MsgspecError, UnicodeDecodeError) as error:
            raise DecryptionFailed(f"the envelope of {path!r} version {version} is malformed") from error
        if envelope.format != FORMAT:
            raise DecryptionFailed(
                f"the envelope of {path!r} version {version} has format {envelope.format}, this release reads {FORMAT}",
                mend="upgrade TradeSense",
            )
        remembered = self._remembered
        place = (path, version, envelope.key_id, envelope.wrapped_key)
        if remembered is not None:
            held = remembered.held.get(place)
            if held is not None and held.until > remembered.now():
                return Secret(held.opener(envelope.nonce, envelope.ciphertext, held.associated))
        wrapped = WrappedKey(key_id=envelope.key_id, blob=envelope.wrapped_key)
        opener = self._aead.opener(await self._keys.unwrap(wrapped, self._context(path, version)))
        associated = self._associated(path, version, envelope.key_id)
        value = Secret(opener(envelope.nonce, envelope.ciphertext, associated))
        if remembered is not None:
            remembered.keep(place, opener, associated)
        return value

    def _context(self, path: str, version: int) -> dict[str, str]:
        return {"namespace": self._namespace, "path": path, "version": str(version)}

    def _associated(self, path: str, version: int, key_id: str) -> bytes:
        return _encode((self._namespace, path, version, key_id, FORMAT))


def key_of(blob: bytes) -> str:
    """The id of the key that wraps an envelope's data key.

    :raises DecryptionFailed: it is no envelope.
    """
    try:
        return _DECODER.decode(blob).key_id
    except (msgspec.MsgspecError, UnicodeDecodeError) as error:
        raise DecryptionFailed("an envelope is malformed") from error
