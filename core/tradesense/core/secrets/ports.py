"""What a secrets provider does. ``SecretStore`` is the least; the others are declared as capabilities."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Protocol

from tradesense.core.paging import Page
from tradesense.core.secrets.models import SecretVersion, StoredSecret, WrappedKey
from tradesense.core.sensitive import Secret


class SecretStore(Protocol):
    """Reads secrets by path.

    Every method may raise :class:`SecretDenied` (the provider refused our credentials),
    :class:`SecretStoreUnavailable` (it did not answer; never mistaken for an absent secret) and, before opening and
    after closing, :class:`AdapterClosed`. Paths are checked by the service before they come here.
    """

    async def get(self, path: str) -> StoredSecret:
        """The current version of the secret at ``path``.

        :raises SecretNotFound: there is none, or it was deleted.
        """
        ...

    async def list(self, prefix: str = "", *, cursor: str | None = None, limit: int = 100) -> Page[str]:
        """The paths that begin with ``prefix``, in ascending code-point order, ``limit`` (1 to 1000) a page.

        Following cursors to the end yields every path that was there all the while exactly once. An unknown prefix
        is an empty page, not an error.

        :raises InvalidInput: ``cursor`` is not one that this list can have given out.
        """
        ...


class WritableSecretStore(SecretStore, Protocol):
    """``Capability.WRITE``: secrets can be written and deleted."""

    async def put(self, path: str, value: Secret, *, cas: int | None = None) -> int:
        """Write a new current version and return its number.

        ``cas`` names the version that must be current now, 0 meaning that the secret must not exist. It is given
        only to adapters that declare ``Capability.CAS``. Of concurrent writes with one ``cas``, one wins.

        :raises SecretConflict: another version is current; nothing was written.
        """
        ...

    async def delete(self, path: str) -> None:
        """Delete the secret; from then on :meth:`get` raises :class:`SecretNotFound`.

        :raises SecretNotFound: there is nothing to delete.
        """
        ...


class VersionedSecretStore(SecretStore, Protocol):
    """``Capability.VERSIONS``: earlier versions can be read."""

    async def get_version(self, path: str, version: int) -> StoredSecret:
        """That version of the secret.

        :raises SecretNotFound: no such secret or version, or it was destroyed.
        """
        ...

    async def versions(self, path: str) -> tuple[SecretVersion, ...]:
        """Every version that can still be named, oldest first; the current one says so.

        :raises SecretNotFound: there is no such secret.
        """
        ...


class RotatingSecretStore(SecretStore, Protocol):
    """``Capability.ROTATION``: a new version can wait beside the current one until it has been tried."""

    async def stage(self, path: str, value: Secret) -> int:
        """Write a pending version, which :meth:`get` does not return, in place of any earlier pending one.

        :raises SecretNotFound: there is no current version to rotate from.
        """
        ...

    async def promote(self, path: str, version: int) -> None:
        """Make the pending version current, atomically. Promoting the current version changes nothing.

        :raises SecretConflict: ``version`` is neither pending nor current.
        """
        ...


class KeyEncryption(Protocol):
    """Wraps data keys with a key-encryption key that never leaves its provider (ASVS 13.3.3)."""

    async def wrap(self, data_key: bytes, context: Mapping[str, str]) -> WrappedKey:
        """Encrypt ``data_key`` (32 bytes) under the current key, bound to ``context``.

        :raises SecretStoreUnavailable: the key provider did not answer.
        """
        ...

    async def unwrap(self, wrapped: WrappedKey, context: Mapping[str, str]) -> bytes:
        """Decrypt a wrapped data key.

        :raises DecryptionFailed: other key, other context, or changed bytes.
        :raises SecretStoreUnavailable: the key provider did not answer.
        """
        ...


class Aead(Protocol):
    """Authenticated encryption with associated data; AES-256-GCM (NIST SP 800-38D) in our adapter."""

    def seal(self, key: bytes, nonce: bytes, plaintext: bytes, associated: bytes) -> bytes:
        """Encrypt under a 32-byte ``key`` and a 12-byte ``nonce`` that this key never saw before."""
        ...

    def open(self, key: bytes, nonce: bytes, ciphertext: bytes, associated: bytes) -> bytes:
        """Decrypt.

        :raises DecryptionFailed: wrong key, nonce or associated data, or changed bytes.
        """
        ...
