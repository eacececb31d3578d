"""Secrets that another system has sealed with Fernet, read so that they can be moved.

Fernet is AES-128-CBC with an HMAC and nothing that ties a token to its place: it is opened here, and never made.
"""

from __future__ import annotations

import asyncio
import base64
import binascii
import hashlib
import json
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Self

import msgspec
from cryptography.fernet import Fernet, InvalidToken

from tradesense.adapters.local.settings import FernetSettings
from tradesense.core.ambient import Clock
from tradesense.core.errors import (
    AdapterClosed,
    ConfigurationError,
    DecryptionFailed,
    InvalidSecretPath,
    SecretNotFound,
)
from tradesense.core.paging import Page
from tradesense.core.secrets.listing import page_of
from tradesense.core.secrets.models import StoredSecret, check_path
from tradesense.core.secrets.ports import SecretStore
from tradesense.core.sensitive import Secret

ORIGIN = "secrets.fernet"
KEY_BYTES = 32
SKEW = 60.0
"""Seconds that the other system's clock may be ahead, where ages count (Fernet's specification)."""
LARGEST_FILE = 64 * 1024 * 1024
"""Bytes."""


class Token(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """An entry of the file."""

    token: str
    salt: str = ""
    """In base64, where each token has a salt of its own."""


class FernetSecretStore:
    """Reads the tokens of a file, which is read once, on opening. See :class:`SecretStore`.

    A token says when it was sealed; that is when the secret was made.
    """

    def __init__(self, settings: FernetSettings, *, clock: Clock) -> None:
        self._settings = settings
        self._clock = clock
        self._tokens: dict[str, Token] | None = None
        self._keys: list[Fernet] = []
        self._derived: dict[bytes, Fernet] = {}

    async def __aenter__(self) -> Self:
        """Read the file.

        :raises ConfigurationError: there is no such file, or it is not as it must be, or a key is none.
        """
        self._keys = [_fernet(name, key) for name, key in self._settings.keys.items()]
        self._tokens = await asyncio.to_thread(_read, Path(self._settings.file))
        return self

    async def __aexit__(self, *_: object) -> None:
        self._tokens, self._keys, self._derived = None, [], {}

    async def get(self, path: str) -> StoredSecret:
        """See :meth:`SecretStore.get`.

        :raises DecryptionFailed: no key opens the token, or it is older than ``max_age``.
        """
        token = self._opened().get(path)
        if token is None:
            raise SecretNotFound(f"there is no secret {path!r}", origin=self._settings.file)
        return await asyncio.to_thread(self._open, path, token)

    async def list(self, prefix: str = "", *, cursor: str | None = None, limit: int = 100) -> Page[str]:
        """See :meth:`SecretStore.list`."""
        return page_of(self._opened(), prefix, cursor, limit)

    def _open(self, path: str, token: Token) -> StoredSecret:
        data = token.token.strip().encode()
        key, sealed_at = self._key_of(path, data, self._salt(path, token))
        self._check_age(path, sealed_at)
        try:
            value = key.decrypt(data)
        except InvalidToken as error:  # its signature holds, so whoever made it made it so
            raise DecryptionFailed(f"the token of {path!r} is malformed", origin=ORIGIN) from error
        return StoredSecret(path=path, value=Secret(value), version=1, created_at=_moment(sealed_at))

    def _key_of(self, path: str, data: bytes, salt: bytes) -> tuple[Fernet, int]:
        """The key that signed a token, and when, in seconds since 1970."""
        for key in self._candidates(salt):
            try:
                return key, key.extract_timestamp(data)
            except InvalidToken:
                continue
        raise DecryptionFailed(
            f"no key opens the token of {path!r}: it was sealed with another one, or was changed",
            origin=ORIGIN,
            mend="give the key, or the passphrase with its salt and rounds, that it was sealed with",
        )

    def _candidates(self, salt: bytes) -> Iterator[Fernet]:
        yield from self._keys
        passphrase = self._settings.passphrase
        if passphrase:
            if salt not in self._derived:
                self._derived[salt] = Fernet(derived(passphrase, salt, self._settings.rounds))
            yield self._derived[salt]

    def _salt(self, path: str, token: Token) -> bytes:
        if not token.salt:
            return self._settings.salt_bytes()
        try:
            return base64.b64decode(token.salt, validate=True)
        except binascii.Error as error:
            raise DecryptionFailed(f"the salt of {path!r} is not base64", origin=self._settings.file) from error

    def _check_age(self, path: str, sealed_at: int) -> None:
        most = self._settings.max_age
        age = self._clock.now().timestamp() - sealed_at
        if most and age > most:
            raise DecryptionFailed(
                f"the token of {path!r} is older than {most:g} s", origin=ORIGIN, mend="raise secrets.fernet.max_age"
            )
        if most and age < -SKEW:
            raise DecryptionFailed(
                f"the token of {path!r} was sealed in the future", origin=ORIGIN, mend="see the clock"
            )

    def _opened(self) -> dict[str, Token]:
        if self._tokens is None:
            raise AdapterClosed("FernetSecretStore is not open", mend="use it inside its `async with`")
        return self._tokens


def derived(passphrase: Secret, salt: bytes, rounds: int) -> bytes:
    """A Fernet key by PBKDF2-HMAC-SHA256 (RFC 8018, section 5.2)."""
    key = hashlib.pbkdf2_hmac("sha256", passphrase.reveal_bytes(), salt, rounds, KEY_BYTES)
    return base64.urlsafe_b64encode(key)


def _fernet(name: str, key: Secret) -> Fernet:
    try:
        return Fernet(key.reveal_bytes().strip())
    except ValueError as error:
        raise ConfigurationError(
            f"the key {name!r} is not 32 bytes in URL-safe base64",
            origin=f"{ORIGIN}.keys.{name}",
            mend="give it as the other system has it; one that is a passphrase goes to secrets.fernet.passphrase",
        ) from error


def _read(path: Path) -> dict[str, Token]:
    try:
        with path.open("rb") as file:
            data = file.read(LARGEST_FILE + 1)
    except OSError as error:
        raise _unfit(path, f"cannot be read: {error.strerror or type(error).__name__}") from error
    if len(data) > LARGEST_FILE:
        raise _unfit(path, f"has more than {LARGEST_FILE} bytes")
    try:
        raw = json.loads(data, object_pairs_hook=_once)
        found = msgspec.convert(raw, dict[str, Token | str])
    except (ValueError, RecursionError) as error:  # msgspec's errors are ValueErrors and name no value
        raise _unfit(path, "is not a JSON object of paths and tokens, each path once") from error
    for name in found:
        try:
            check_path(name)
        except InvalidSecretPath as error:
            raise _unfit(path, error.detail) from error
    return {name: Token(entry) if isinstance(entry, str) else entry for name, entry in found.items()}


def _once(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found = dict(pairs)
    if len(found) < len(pairs):
        raise ValueError("a name stands twice")
    return found


def _unfit(path: Path, what: str) -> ConfigurationError:
    return ConfigurationError(
        f"the file {path} {what}",
        origin=f"{ORIGIN}.file",
        mend='write {"PATH": "TOKEN", …}, or {"PATH": {"token": "TOKEN", "salt": "BASE64"}, …}',
    )


def _moment(seconds: int) -> datetime | None:
    try:
        return datetime.fromtimestamp(seconds, UTC)
    except (OverflowError, ValueError, OSError):  # a token may say any 64 bits
        return None


_: type[SecretStore] = FernetSecretStore
