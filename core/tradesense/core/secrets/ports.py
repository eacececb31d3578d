"""What a secrets provider does. ``SecretStore`` is the least; the others are declared as capabilities.

A version that :meth:`SecretStore.get` answers with is *current*. There is at most one, and none once it was deleted or
destroyed, whatever earlier versions there are.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from contextlib import AbstractAsyncContextManager
from typing import Protocol

from tradesense.core.paging import Page
from tradesense.core.secrets.models import KeyStatus, Retention, Rewrapped, SecretVersion, StoredSecret, WrappedKey
from tradesense.core.sensitive import Secret


class SecretStore(Protocol):
    """Reads secrets by path.

    Every method may raise :class:`SecretDenied` (the provider refused our credentials),
    :class:`SecretStoreUnavailable` (it did not answer; never mistaken for an absent secret) and, before opening and
    after closing, :class:`AdapterClosed`. Paths are checked by the service before they come here.

    An entry that somebody else wrote, in a form that holds no value of ours, is :class:`SecretStoreMalformed` and never
    absent: whoever asks several providers would else go on to the next one.
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

        A cursor is the last path of the page before. Any other path that begins with ``prefix`` is taken as well, be
        there such a secret or not: the list goes on behind it.

        :raises InvalidInput: ``cursor`` is not one that this list can have given out.
        """
        ...


class WritableSecretStore(SecretStore, Protocol):
    """``Capability.WRITE``: secrets can be written and deleted."""

    async def put(self, path: str, value: Secret, *, cas: int | None = None, by: str = "") -> int:
        """Write a new current version and return its number.

        ``cas`` names the version that must be current now, 0 meaning that none is. It is given only to adapters that
        declare ``Capability.CAS``. Of concurrent writes with one ``cas``, one wins. ``by`` says who writes, at most
        200 printable characters, and is given only to adapters that declare ``Capability.AUTHORS``.

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
        """That version of the secret, a pending one included.

        :raises SecretNotFound: no such secret or version, or it was deleted or destroyed.
        """
        ...

    async def versions(self, path: str) -> tuple[SecretVersion, ...]:
        """Every version that can still be named, oldest first; the current one says so.

        Deleted and destroyed versions are among them where they can be brought back or destroyed singly
        (``Capability.UNDELETE``, ``ERASE``), so that a deleted secret has versions there, none of them current.

        :raises SecretNotFound: there is no such secret.
        """
        ...


class RecoverableSecretStore(SecretStore, Protocol):
    """``Capability.UNDELETE``: :meth:`WritableSecretStore.delete` can be taken back, until the secret is destroyed."""

    async def undelete(self, path: str) -> None:
        """Bring back what the last deletion took away, under its numbers. A secret that is there stays as it is.

        :raises SecretNotFound: there never was such a secret, or it was destroyed.
        """
        ...

    async def destroy(self, path: str) -> None:
        """Remove the secret, deleted or not, with all versions and metadata, for good.

        :raises SecretNotFound: there is nothing to destroy.
        """
        ...


class ErasableSecretStore(SecretStore, Protocol):
    """``Capability.ERASE``: single versions can be deleted, brought back and destroyed.

    Each call does all of ``versions`` or, raising :class:`SecretNotFound` because one does not exist or was destroyed
    already, none. Versions that are in the state asked for stay in it; destroying twice is not an error. A pending
    version can be destroyed only.
    """

    async def delete_versions(self, path: str, versions: Sequence[int]) -> None:
        """Let these versions be read no more. Without the current one there is no current version."""
        ...

    async def undelete_versions(self, path: str, versions: Sequence[int]) -> None:
        """Let these versions be read again; the one that was current last is then current again."""
        ...

    async def destroy_versions(self, path: str, versions: Sequence[int]) -> None:
        """Remove the values of these versions, deleted or not, for good."""
        ...


class DescribedSecretStore(SecretStore, Protocol):
    """``Capability.METADATA``: a secret has custom metadata, which belongs to no version and is not secret."""

    async def metadata(self, path: str) -> Mapping[str, str]:
        """What was set last; empty for a secret that was never described.

        :raises SecretNotFound: there is no such secret. Whether a deleted one has metadata is the provider's.
        """
        ...

    async def describe(self, path: str, custom: Mapping[str, str]) -> None:
        """Replace all custom metadata.

        :raises SecretNotFound: there is no such secret.
        :raises InvalidInput: the provider cannot hold so much, or such keys.
        """
        ...


class RetainingSecretStore(SecretStore, Protocol):
    """``Capability.RETENTION``: the provider lets old versions go by itself."""

    async def retention(self, path: str) -> Retention:
        """What was set last; zeros for a secret that nothing was set for.

        :raises SecretNotFound: there is no such secret.
        """
        ...

    async def retain(self, path: str, retention: Retention) -> None:
        """Set how many versions are kept and how long those live that are written from now on.

        At the latest the next write drops what is too many. A version that reached its age is as though deleted.

        :raises SecretNotFound: there is no such secret.
        :raises InvalidInput: the provider cannot keep so many.
        """
        ...


class RotatingSecretStore(SecretStore, Protocol):
    """``Capability.ROTATION``: a new version can wait beside the current one until it has been tried."""

    async def stage(self, path: str, value: Secret, *, by: str = "") -> int:
        """Write a pending version, which :meth:`get` does not return, in place of any earlier pending one.

        ``by`` is as in :meth:`WritableSecretStore.put`.

        :raises SecretNotFound: there is no current version to rotate from.
        """
        ...

    async def pending(self, path: str) -> StoredSecret | None:
        """The pending version, so that whoever was interrupted finds what was staged; ``None`` when there is none.

        A secret that is not there has none.
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


class KeyRing(KeyEncryption, Protocol):
    """``Capability.KEY_RING``: several keys unwrap, the newest wraps."""

    async def keys(self) -> tuple[KeyStatus, ...]:
        """Every key that unwraps, oldest first; exactly one is current.

        :raises SecretStoreUnavailable: the key provider did not answer.
        """
        ...

    async def rotate(self) -> str:
        """Make a new key, let it be the current one, and return its id. All others go on unwrapping.

        Other processes unwrap with it at once, and wrap with it within seconds.

        :raises InvalidInput: this ring cannot be written.
        :raises SecretStoreUnavailable: the key provider did not answer.
        """
        ...

    async def retire(self, key_id: str) -> None:
        """Let this key, and where keys are counted every older one, unwrap no more, for good.

        :raises InvalidInput: it is the current key, or there is no such key, or this ring cannot be written.
        :raises SecretStoreUnavailable: the key provider did not answer.
        """
        ...


class EnvelopeStore(SecretStore, Protocol):
    """``Capability.ENVELOPES``: what is kept can be moved from one key-encryption key to another while it is read."""

    async def key_counts(self) -> Mapping[str, int]:
        """How many envelopes each key wraps; keys that wrap none are not named."""
        ...

    def held(self) -> AbstractAsyncContextManager[None]:
        """Let nobody seal an envelope, in this process or another, until it is left.

        It is entered once every write that has sealed has ended, and what is counted inside counts those writes.
        Writes that come meanwhile wait, and seal afterwards. So a key that seals nothing inside can be retired there.

        :raises SecretStoreUnavailable: a write did not end in time.
        """
        ...

    async def rewrap(self, *, limit: int = 100, after: tuple[str, int] | None = None) -> Rewrapped:
        """Seal up to ``limit`` envelopes anew that are not under the current key, in the order of path and version.

        The key's id is part of what an envelope authenticates: each gets a new data key and a new nonce as well. It
        is changed at once or not at all, so that it can be read at every moment and an interrupted rewrapping goes on
        where it was. What does not open is named and left as it is. Who goes on with ``after`` comes to an end, and
        by then every other envelope that was there is under the current key.
        """
        ...


class Opener(Protocol):
    """:meth:`Aead.open` with its key. It is kept by nobody but who asked for it."""

    def __call__(self, nonce: bytes, ciphertext: bytes, associated: bytes) -> bytes:
        """Decrypt.

        :raises DecryptionFailed: wrong nonce or associated data, changed bytes, or sealed under another key.
        """
        ...


class Rotator(Protocol):
    """Changes a credential where it is used. Rotation calls its steps in this order, and each again after a crash.

    ``options`` are those of the secret's policy. At every moment the current credential must go on working until the
    pending one has been tried. Every step may raise :class:`RotationFailed` (the other end did not do its part; it will
    be tried again) and :class:`InvalidInput` (policy and secret do not fit).
    """

    async def create(self, current: StoredSecret, options: Mapping[str, str]) -> Secret:
        """A value to follow ``current``, which nobody accepts yet."""
        ...

    async def set(self, current: StoredSecret, pending: StoredSecret, options: Mapping[str, str]) -> None:
        """Let ``pending`` be accepted besides ``current``. Doing it again changes nothing."""
        ...

    async def test(self, pending: StoredSecret, options: Mapping[str, str]) -> None:
        """Go on only if ``pending`` is accepted."""
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

    def opener(self, key: bytes) -> Opener:
        """:meth:`open` for what many values are sealed under, or one value that is read again and again.

        :raises DecryptionFailed: it is no key.
        """
        ...
