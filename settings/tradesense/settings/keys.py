"""The rules about keys: each is there, long, random, and for one purpose. One rule is one function (SECURITY R55)."""

from __future__ import annotations

import base64
import binascii
from collections.abc import Iterator

from tradesense.core.errors import Problem
from tradesense.core.sensitive import Secret, is_masked
from tradesense.settings.facts import PRIVATE_KEY, ROOT_KEY, Facts
from tradesense.settings.references import path_in, secrets_in

KEY_BYTES = 32
FEW = 10
"""A random key of 32 characters has more distinct ones than this."""

_MAKE = "make one with `python -c 'import secrets; print(secrets.token_urlsafe(48))'`"
_MENDS = {
    ROOT_KEY: "make 32 random bytes in base64 with `python -c 'import secrets; print(secrets.token_urlsafe(32))'`",
    PRIVATE_KEY: "make one with `openssl genpkey -algorithm ed25519`",
}

_PLACEHOLDERS = (
    "changeme",
    "change-me",
    "change_me",
    "default",
    "dummy-",
    "example",
    "insecure",
    "password",
    "placeholder",
    "replace-",
    "sample-",
    "secret",
    "testing",
    "your-",
    "your_",
    "0123456789",
    "abcdefgh",
    "qwerty",
)


def mend_of(key: str) -> str:
    """The command that makes a value that ``key`` takes."""
    return _MENDS.get(key, _MAKE)


def absent_keys(facts: Facts) -> Iterator[Problem]:
    """Without its keys no environment starts; development and testing make theirs."""
    for key, value in facts.keys().items():
        if not value:
            yield facts.problem("error", key, "the key is not set", mend_of(key))


def short_keys(facts: Facts) -> Iterator[Problem]:
    """A key has at least 32 bytes everywhere (RFC 7518, section 3.2). Of the root key its adapter asks for more."""
    for key, value in facts.keys().items():
        if key not in {ROOT_KEY, PRIVATE_KEY} and value and len(value) < KEY_BYTES and path_in(value) is None:
            message = f"the key has {len(value)} bytes, at least {KEY_BYTES} are needed"
            yield facts.problem("error", key, message, mend_of(key))


def passphrase(facts: Facts) -> Iterator[Problem]:
    """The key of all keys is 256 random bits where something is at stake (NIST SP 800-57 part 1, section 5.6)."""
    value = facts.keys().get(ROOT_KEY)
    if facts.production and value and path_in(value) is None and not _is_random(value):
        message = f"it is a passphrase, and production wants {KEY_BYTES} random bytes in base64"
        yield facts.problem("error", ROOT_KEY, message, mend_of(ROOT_KEY))


def private_key_form(facts: Facts) -> Iterator[Problem]:
    """The key for EdDSA is one that openssl makes, or a JWK (RFC 8037)."""
    value = facts.keys().get(PRIVATE_KEY)
    if value and path_in(value) is None and not value.reveal_bytes().lstrip().startswith((b"-----BEGIN ", b"{")):
        yield facts.problem("error", PRIVATE_KEY, "it is neither in PEM nor a JWK", mend_of(PRIVATE_KEY))


def default_keys(facts: Facts) -> Iterator[Problem]:
    """A key that stands in somebody's documentation is everybody's (ASVS 13.2.3)."""
    if facts.local:
        return
    level = facts.strictly
    for key, value in facts.keys().items():
        if len(value) >= KEY_BYTES and path_in(value) is None and _looks_default(value):
            yield facts.problem(level, key, "the key looks like one from an example", mend_of(key))


def equal_keys(facts: Facts) -> Iterator[Problem]:
    """One key has one purpose (NIST SP 800-57 part 1, section 5.2)."""
    if facts.local:
        return
    level = facts.strictly
    seen: list[tuple[str, Secret]] = []
    for key, value in facts.keys().items():
        for other, earlier in seen:
            if value and value == earlier:
                yield facts.problem(level, key, f"the key is the same as {other}", "give each purpose its own key")
        seen.append((key, value))


def masks(facts: Facts) -> Iterator[Problem]:
    """What was shown in place of a secret is not taken for it, wherever its address says that it is to go (R47)."""
    for key, value in secrets_in(facts.settings):
        if is_masked(value):
            mend = "give the value itself, or secret:// and where it is kept"
            yield facts.problem("error", key, "it is the mask that is shown in place of the value", mend)


RULES = (masks, absent_keys, short_keys, passphrase, private_key_form, default_keys, equal_keys)
"""All of them."""


def _looks_default(value: Secret) -> bool:
    text = value.reveal_bytes().decode("latin-1").lower()
    return len(set(text)) < FEW or any(word in text for word in _PLACEHOLDERS)


def _is_random(root: Secret) -> bool:
    """Whether ``root`` is 32 bytes in base64, in either alphabet, padded or not."""
    text = root.reveal_bytes().strip().rstrip(b"=").translate(bytes.maketrans(b"-_", b"+/"))
    try:
        return len(base64.b64decode(text + b"=" * (-len(text) % 4), validate=True)) == KEY_BYTES
    except binascii.Error:
        return False
