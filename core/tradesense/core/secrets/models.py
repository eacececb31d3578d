"""What a secret is: a bounded path, a value, and the versions that it went through."""

from __future__ import annotations

import re
from datetime import datetime

import msgspec

from tradesense.core.errors import InvalidInput, InvalidSecretPath, SecretTooLarge
from tradesense.core.sensitive import Secret

MAX_PATH = 512
MAX_VALUE = 64 * 1024
"""Bytes; the least that every provider's own limit allows (AWS and GCP stop at 64 KiB)."""

MAX_VERSION = 2**31 - 1
"""What every provider can count to."""

_SEGMENT = re.compile(r"[A-Za-z0-9](?:[A-Za-z0-9._-]{0,126}[A-Za-z0-9_-])?")


class StoredSecret(msgspec.Struct, frozen=True, kw_only=True):
    """One version of one secret, as a provider holds it."""

    path: str
    value: Secret
    version: int
    """Counts from 1. A provider without versions always says 1."""
    created_at: datetime | None = None
    """When this version was written, in UTC, where the provider knows."""


class SecretVersion(msgspec.Struct, frozen=True, kw_only=True):
    """What is known of one version without reading its value."""

    version: int
    created_at: datetime | None = None
    current: bool = False


class WrappedKey(msgspec.Struct, frozen=True, kw_only=True):
    """A data key, encrypted by a key-encryption key that never leaves its provider."""

    key_id: str
    """Which key-encryption key wrapped it."""
    blob: bytes


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
    """Return ``value`` when it fits.

    :raises SecretTooLarge: it has more than 65,536 bytes.
    """
    if len(value) > MAX_VALUE:
        raise SecretTooLarge(f"a secret value has at most {MAX_VALUE} bytes, this one {len(value)}")
    return value


def check_version(version: int) -> int:
    """Return ``version`` when a version can be called so.

    :raises InvalidInput: it is not between 1 and :data:`MAX_VERSION`.
    """
    if not 1 <= version <= MAX_VERSION:
        raise InvalidInput(f"a version is a number from 1 to {MAX_VERSION}", mend="leave it out for the current one")
    return version
