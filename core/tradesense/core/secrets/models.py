"""What a secret is: a bounded path, a value, and the versions that it went through."""

from __future__ import annotations

import re
from collections.abc import Mapping
from datetime import datetime
from enum import StrEnum

import msgspec

from tradesense.core.errors import InvalidInput, InvalidSecretPath, SecretEmpty, SecretMasked, SecretTooLarge
from tradesense.core.sensitive import MASK, Secret, is_masked

MAX_PATH = 512
MAX_VALUE = 64 * 1024
"""Bytes; the least that every provider's own limit allows (AWS and GCP stop at 64 KiB)."""

MAX_VERSION = 2**31 - 1
"""What every provider can count to."""

MAX_CUSTOM = 32
"""Entries of custom metadata. Providers that hold fewer raise :class:`InvalidInput`."""
MAX_CUSTOM_KEY, MAX_CUSTOM_VALUE = 64, 256
"""Characters."""
MAX_RETAINED = 10_000
"""Versions that a secret may be told to keep."""
MAX_DELETE_AFTER = 10 * 365 * 86_400
"""Seconds."""

_SEGMENT = re.compile(r"[A-Za-z0-9](?:[A-Za-z0-9._-]{0,126}[A-Za-z0-9_-])?")
_CUSTOM_KEY = re.compile(r"[A-Za-z0-9](?:[A-Za-z0-9._-]*[A-Za-z0-9])?")


class VersionState(StrEnum):
    """What can be done with a version."""

    AVAILABLE = "available"
    """It can be read."""
    PENDING = "pending"
    """It waits to be promoted (``Capability.ROTATION``)."""
    DELETED = "deleted"
    """It cannot be read, and can be brought back."""
    DESTROYED = "destroyed"
    """Its value is gone; that there was such a version is all that is known."""


class StoredSecret(msgspec.Struct, frozen=True, kw_only=True):
    """One version of one secret, as a provider holds it."""

    path: str
    value: Secret
    version: int
    """Counts from 1. A provider without versions always says 1."""
    created_at: datetime | None = None
    """When this version was written, in UTC, where the provider knows."""
    created_by: str = ""
    """Who wrote it, as in ``user:ID`` (``Capability.AUTHORS``)."""
    provider: str = ""
    """Which one of a chain of providers answered; else empty. Only a chain sets it, never an adapter."""
    stale: bool = False
    """The provider did not answer, and this is what it said last. Only the service sets it, never an adapter."""


class SecretVersion(msgspec.Struct, frozen=True, kw_only=True):
    """What is known of one version without reading its value."""

    version: int
    created_at: datetime | None = None
    current: bool = False
    """Whether it is what a read without a version answers with."""
    state: VersionState = VersionState.AVAILABLE
    created_by: str = ""
    """Who wrote it, as in ``user:ID`` (``Capability.AUTHORS``)."""
    deleted_at: datetime | None = None
    """When it was deleted, in UTC; in the future where it will be by age (``Capability.RETENTION``)."""


class Retention(msgspec.Struct, frozen=True, kw_only=True):
    """What a provider does with versions by itself (``Capability.RETENTION``)."""

    max_versions: int = 0
    """How many versions are kept; older ones are gone for good. 0 leaves it to the provider."""
    delete_after: float = 0
    """Seconds after which a version written from now on deletes itself; 0 for never."""


class KeyStatus(msgspec.Struct, frozen=True, kw_only=True):
    """One key-encryption key of a ring."""

    key_id: str
    current: bool
    """Whether new data keys are wrapped with it."""
    created_at: datetime | None = None


class WrappedKey(msgspec.Struct, frozen=True, kw_only=True, gc=False):
    """A data key, encrypted by a key-encryption key that never leaves its provider."""

    key_id: str
    """Which key-encryption key wrapped it."""
    blob: bytes


class Rewrapped(msgspec.Struct, frozen=True, kw_only=True):
    """What one call of :meth:`EnvelopeStore.rewrap` came to."""

    count: int = 0
    """Envelopes that were sealed anew."""
    unopened: tuple[tuple[str, int], ...] = ()
    """Path and version of each that did not open, and was left as it is."""
    after: tuple[str, int] | None = None
    """Where to go on; ``None`` once nothing is left behind it."""


def check_path(path: str) -> str:
    """Return ``path`` when it is a valid secret path, as in ``team-a/db/password``.

    Segments of letters, digits, ``.``, ``_`` and ``-`` are joined by ``/``; a segment neither begins nor ends with a
    dot, so that no path can climb. The whole is at most 512 characters.

    :raises InvalidSecretPath: anything else.
    """
    if not path or len(path) > MAX_PATH:
        raise InvalidSecretPath(f"a secret path has 1 to {MAX_PATH} characters, this one {len(path)}")
    if not path.isascii() or not all(_SEGMENT.fullmatch(segment) for segment in path.split("/")):
        raise InvalidSecretPath(
            f"{path[:80]!r} is not a secret path",
            mend="use segments of letters, digits, '.', '_' and '-' joined by '/'",
        )
    return path


def check_prefix(prefix: str) -> str:
    """Return ``prefix`` when it is empty, a path, or a path followed by ``/``.

    :raises InvalidSecretPath: anything else.
    """
    if prefix:
        check_path(prefix.removesuffix("/"))
    return prefix


def check_value(value: Secret) -> Secret:
    """Return ``value`` when it can be written.

    :raises SecretEmpty: it has no byte.
    :raises SecretTooLarge: it has more than 65,536 bytes.
    :raises SecretMasked: it is the mask that is shown in place of a value, or JSON in which a text is that mask.
    """
    if not value:
        raise SecretEmpty("a secret value has at least one byte", mend="see what was to write it")
    if is_masked(value):
        raise SecretMasked(
            f"the value holds {MASK!r}, which is shown in place of one", mend="send the value itself, or leave it out"
        )
    if len(value) > MAX_VALUE:
        raise SecretTooLarge(
            f"a secret value has at most {MAX_VALUE} bytes, this one {len(value)}",
            mend="keep the data where files are kept, and its key or its address here",
        )
    return value


def check_version(version: int) -> int:
    """Return ``version`` when a version can be called so.

    :raises InvalidInput: it is not between 1 and :data:`MAX_VERSION`.
    """
    if not 1 <= version <= MAX_VERSION:
        raise InvalidInput(f"a version is a number from 1 to {MAX_VERSION}", mend="leave it out for the current one")
    return version


def check_custom(custom: Mapping[str, str]) -> dict[str, str]:
    """Return ``custom`` when it can be a secret's custom metadata.

    Keys are letters, digits, ``.``, ``_`` and ``-``, at most 64 of them, beginning and ending with a letter or digit;
    values are printable and have at most 256 characters; there are at most 32 entries.

    :raises InvalidInput: it cannot.
    """
    if len(custom) > MAX_CUSTOM:
        raise InvalidInput(f"a secret has at most {MAX_CUSTOM} entries of metadata, these are {len(custom)}")
    for key, value in custom.items():
        if len(key) > MAX_CUSTOM_KEY or not key.isascii() or not _CUSTOM_KEY.fullmatch(key):
            raise InvalidInput(f"{key[:80]!r} is no key of metadata", mend="use letters, digits, '.', '_' and '-'")
        if len(value) > MAX_CUSTOM_VALUE or not value.isprintable():
            raise InvalidInput(f"the metadata {key!r} is not printable, or longer than {MAX_CUSTOM_VALUE} characters")
    return dict(custom)


def check_retention(retention: Retention) -> Retention:
    """Return ``retention`` when its numbers can be.

    :raises InvalidInput: they cannot.
    """
    if not 0 <= retention.max_versions <= MAX_RETAINED:
        raise InvalidInput(f"max_versions is a number from 0 to {MAX_RETAINED}")
    if not 0 <= retention.delete_after <= MAX_DELETE_AFTER:
        raise InvalidInput(f"delete_after is a number of seconds from 0 to {MAX_DELETE_AFTER}")
    return retention
