"""The settings of local key encryption, of flags in a file, and of tokens that are taken over."""

from __future__ import annotations

import base64
import binascii
from collections.abc import Callable
from typing import Annotated, Literal

import msgspec
from msgspec import Meta

from tradesense.core.errors import ConfigurationError
from tradesense.core.sensitive import Secret

KEY_BYTES = 32
SHORTEST_PASSPHRASE = 15
SHORTEST_SALT = 16
IN_BASE64 = "base64:"
MAKE_KEY = "make 32 random bytes in base64 with `python -c 'import secrets; print(secrets.token_urlsafe(32))'`"


class LocalKeySettings(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """``[secrets.local]``: the key that wraps data keys.

    :raises ConfigurationError: the root key is neither 32 bytes in base64 nor a passphrase of 15 characters with a
        salt of 16.
    """

    root_key: Secret
    """32 random bytes in base64 (either alphabet, padded or not), or a passphrase of 15 characters at least, which
    production refuses."""
    key_id: Annotated[str, Meta(min_length=1, max_length=200)] = "local-1"
    """The key's name. It is stored with what the key wraps; another key needs another name."""
    salt: str = ""
    """With a passphrase: at least 16 characters that are this deployment's own. They need not be secret."""

    keys: dict[Annotated[str, Meta(min_length=1, max_length=200)], Secret] = {}
    """Earlier root keys by their names, each as ``root_key`` is written: they go on unwrapping, and wrap no more."""
    ring_file: str = ""
    """The file that ``tradesense keys rotate`` keeps its keys in, wrapped with the root key; every process needs the
    same. Without one, keys are rotated in the settings."""

    def __post_init__(self) -> None:
        if self.key_id in self.keys:
            raise ConfigurationError(
                f"the key {self.key_id!r} is both the root key and an earlier one",
                origin="secrets.local.keys",
                mend="give the root key another key_id",
            )
        self._check(self.root_key, "secrets.local.root_key")
        for key_id, key in self.keys.items():
            self._check(key, f"secrets.local.keys.{key_id}")

    def given(self, derive: Callable[[Secret, bytes], bytes]) -> dict[str, bytes]:
        """All keys of the settings, the earlier ones first; passphrases go through ``derive`` with the salt."""
        salt = self.salt.encode()
        return {
            key_id: decoded(key) or derive(key, salt)
            for key_id, key in (self.keys | {self.key_id: self.root_key}).items()
        }

    def _check(self, key: Secret, origin: str) -> None:
        if decoded(key) is not None:
            return
        if len(key) < SHORTEST_PASSPHRASE:
            found = f"neither 32 bytes in base64 nor a passphrase: it has {len(key)} bytes"
            raise ConfigurationError(f"the root key is {found if key else 'not set'}", origin=origin, mend=MAKE_KEY)
        if len(self.salt) < SHORTEST_SALT:
            raise ConfigurationError(
                f"the root key is a passphrase, and its salt has {len(self.salt)} characters instead of "
                f"{SHORTEST_SALT} at least",
                origin="secrets.local.salt",
                mend=f"set a salt that is this deployment's own, or {MAKE_KEY} for the key",
            )


class FlagFileSettings(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """``[flags.file]``: definitions in a file that others write."""

    path: Annotated[str, Meta(min_length=1)]
    """The file. Replace it as a whole, by renaming another one over it."""
    format: Literal["auto", "native", "flagd"] = "auto"
    """``native`` is our own: a list of flags, or an object with the lists ``flags`` and ``segments``. ``flagd`` is
    flagd's document. ``auto`` tells them apart."""
    generation: Literal[1, 2] = 2
    """Of the bucketing of ``fractional`` in flagd's document."""


class FernetSettings(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """``[secrets.fernet]``: tokens that another system has sealed, and what opens them.

    :raises ConfigurationError: there is neither a key nor a passphrase, or the salt is not what it says it is.
    """

    file: str
    """A JSON object of paths and tokens; where each token has its own salt, of paths and
    ``{"token": …, "salt": BASE64}``."""
    keys: dict[Annotated[str, Meta(min_length=1, max_length=200)], Secret] = {}
    """Fernet keys, 32 bytes in URL-safe base64 each, by names that you choose; a token may be sealed with any."""
    passphrase: Secret = Secret("")
    """What the key was derived from by PBKDF2-HMAC-SHA256."""
    salt: str = ""
    """The salt of the derivation as text, or, after ``base64:``, in base64."""
    rounds: Annotated[int, Meta(ge=1, le=10_000_000)] = 100_000
    """How many rounds the derivation had."""
    max_age: Annotated[float, Meta(ge=0)] = 0.0
    """Seconds after which a token is too old to be opened; 0 for never."""

    def __post_init__(self) -> None:
        if not self.keys and not self.passphrase:
            raise ConfigurationError(
                "nothing is there to open the tokens with",
                origin="secrets.fernet",
                mend="give secrets.fernet.keys, or secrets.fernet.passphrase with its salt",
            )
        self.salt_bytes()

    def salt_bytes(self) -> bytes:
        """The salt that tokens without their own have.

        :raises ConfigurationError: it says that it is base64, and is not.
        """
        text = self.salt.removeprefix(IN_BASE64)
        if text == self.salt:
            return text.encode()
        try:
            return base64.b64decode(text, validate=True)
        except binascii.Error as error:
            raise ConfigurationError(
                "the salt is not base64", origin="secrets.fernet.salt", mend=f"leave {IN_BASE64} out where it is text"
            ) from error


def decoded(key: Secret) -> bytes | None:
    """The 32 bytes that ``key`` is the base64 of; ``None`` when it is a passphrase."""
    text = key.reveal_bytes().strip().rstrip(b"=").translate(bytes.maketrans(b"-_", b"+/"))
    try:
        found = base64.b64decode(text + b"=" * (-len(text) % 4), validate=True)
    except binascii.Error:
        return None
    return found if len(found) == KEY_BYTES else None
