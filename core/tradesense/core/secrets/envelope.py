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


_decode = msgspec.msgpack.Decoder(Envelope).decode
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

    @property
    def holding(self) -> bool:
        """Whether a data key is held."""
        return bool(self._remembered)

    def forget(self) -> None:
        """Drop every data key that is held, so that each is asked for again."""
        if self._remembered is not None:
            self._remembered.forget()

    def quick(self, path: str, version: int, blob: bytes) -> Secret | None:
        """What :meth:`open` returns, if this very envelope was opened a moment ago; else ``None``.

        All before the ciphertext must be the same again: format, key, wrapped key and nonce. So nothing is decoded.

        :raises DecryptionFailed: the ciphertext was changed.
        """
        remembered = self._remembered
        if remembered is None or (known := remembered.held.get((path, version))) is None:
            return None
        head, opener, nonce, associated, until = known
        if until <= remembered.now() or not blob.startswith(head):
            return None
        return Secret(opener(nonce, blob[len(head) :], associated))

    async def open(self, path: str, version: int, blob: bytes) -> Secret:
        """Decrypt an envelope that was sealed for this path and version.

        :raises DecryptionFailed: it was not, or it was changed, or its key is another's.
        :raises SecretStoreUnavailable: the key provider did not answer.
        """
        if (value := self.quick(path, version, blob)) is not None:
            return value
        envelope = _decoded(path, version, blob)
        key_id, nonce, ciphertext = envelope.key_id, envelope.nonce, envelope.ciphertext
        wrapped = WrappedKey(key_id=key_id, blob=envelope.wrapped_key)
        data_key = await self._keys.unwrap(wrapped, self._context(path, version))
        associated = self._associated(path, version, key_id)
        remembered = self._remembered
        if remembered is None:
            return Secret(self._aead.open(data_key, nonce, ciphertext, associated))
        opener = self._aead.opener(data_key)
        value = Secret(opener(nonce, ciphertext, associated))
        if blob.endswith(ciphertext):  # else it is of a later release, which has fields behind it
            remembered.keep((path, version), blob[: len(blob) - len(ciphertext)], opener, nonce, associated)
        return value

    def _context(self, path: str, version: int) -> dict[str, str]:
        return {"namespace": self._namespace, "path": path, "version": f"{version}"}

    def _associated(self, path: str, version: int, key_id: str) -> bytes:
        return _encode((self._namespace, path, version, key_id, FORMAT))


def _decoded(path: str, version: int, blob: bytes) -> Envelope:
    """The envelope, of a format that this release reads."""
    try:
        envelope = _decode(blob)
    except (msgspec.MsgspecError, UnicodeDecodeError) as error:
        raise DecryptionFailed(f"the envelope of {path!r} version {version} is malformed") from error
    if envelope.format != FORMAT:
        raise DecryptionFailed(
            f"the envelope of {path!r} version {version} has format {envelope.format}, this release reads {FORMAT}",
            mend="upgrade TradeSense",
        )
    return envelope


def key_of(blob: bytes) -> str:
    """The id of the key that wraps an envelope's data key.

    :raises DecryptionFailed: it is no envelope.
    """
    try:
        return _decode(blob).key_id
    except (msgspec.MsgspecError, UnicodeDecodeError) as error:
        raise DecryptionFailed("an envelope is malformed") from error
