"""Which passwords are taken, in which form they are hashed, and proving that one knows one's own."""

from __future__ import annotations

import re
import unicodedata

from tradesense.core.errors import PasswordRefused
from tradesense.core.identity.models import IdentityPolicy
from tradesense.core.identity.ports import BreachedPasswords, PasswordHasher
from tradesense.core.sensitive import Secret

PRODUCT_WORDS = ("tradesense",)
SHORTEST_CONTEXT_WORD = 4
LEAST_REST = 6
"""Letters that have to be left of a password without the words of its context."""

FEWEST_CHARACTERS = 5
"""Different ones."""

MAX_BYTES = 4096
"""No account's password is longer. Composing takes time with the square of the marks that follow one letter."""


def normalise(password: Secret) -> Secret:
    """The password in Unicode NFC, so that two keyboards that compose differently make the same one.

    NFC, not NFKC: compatibility folding would merge passwords that their owners see as different
    (NIST SP 800-63B-4, section 3.1.1.2, allows either). It is applied once, here, and nothing is trimmed or cut.
    Above :data:`MAX_BYTES` it stays as it is.
    """
    if len(password) > MAX_BYTES:
        return password
    return Secret(unicodedata.normalize("NFC", password.reveal()))


class Passwords:
    """The passwords of one deployment."""

    def __init__(self, *, hasher: PasswordHasher, breached: BreachedPasswords, policy: IdentityPolicy) -> None:
        self._hasher = hasher
        self._breached = breached
        self._policy = policy

    async def make(self, password: Secret, *, email: str) -> Secret:
        """The hash of a new password of ``email``.

        :raises PasswordRefused: it may not be used.
        :raises LimitExceeded: too many passwords wait to be hashed.
        :raises Unavailable: the list of breached passwords did not answer.
        """
        secret = normalise(password)
        await check(secret, email=email, policy=self._policy, breached=self._breached)
        return await self._hasher.hash(secret)

    def readable(self, hashed: Secret) -> bool:
        """Whether a password can be checked against this hash, which another system may have made."""
        return self._hasher.readable(hashed)

    async def fits(self, hashed: Secret, password: Secret) -> bool:
        """Whether the password made the hash.

        :raises LimitExceeded: too many passwords wait to be hashed.
        """
        return await self._hasher.verify(hashed, normalise(password))


async def check(password: Secret, *, email: str, policy: IdentityPolicy, breached: BreachedPasswords) -> None:
    """Go on only if ``password``, already normalised, may become ``email``'s (ASVS 6.2.1, 6.2.4, 6.2.11, 6.2.12).

    :raises PasswordRefused: it may not; the reason is machine-readable.
    :raises Unavailable: the list of breached passwords did not answer.
    """
    text = password.reveal()
    if len(text) < policy.password_min:
        raise PasswordRefused(
            "too-short", f"the password has {len(text)} characters, at least {policy.password_min} are needed"
        )
    if len(text) > policy.password_max or len(password) > MAX_BYTES:
        raise PasswordRefused(
            "too-long", f"the password has {len(text)} characters, at most {policy.password_max} are taken"
        )
    folded = text.casefold()
    if _is_contextual(folded, email.casefold(), policy.password_min):
        raise PasswordRefused("contextual", "the password is made of the account's or the product's name")
    if _is_monotonous(folded, policy.password_min):
        raise PasswordRefused("common", "the password repeats itself, or has too few different characters")
    if await breached.contains(password):
        raise PasswordRefused("common", "the password is known from breaches or is too common")


def _is_contextual(text: str, email: str, least: int) -> bool:
    """Whether little is left of ``text`` once the words that everyone can guess are taken out.

    Digits and signs around them are little, unless they would do as a password by themselves.
    """
    rest = text
    for word in _context(email):
        rest = rest.replace(word, "")
    return rest != text and len(rest) < least and sum(map(str.isalpha, rest)) < LEAST_REST


def _context(email: str) -> list[str]:
    """The product's name, the address and its parts, longest first."""
    local, _, domain = email.partition("@")
    parts = re.split(r"[^\w]|_", f"{local}.{domain}")
    words = {*PRODUCT_WORDS, email, local, domain, *parts}
    return sorted((word for word in words if len(word) >= SHORTEST_CONTEXT_WORD), key=len, reverse=True)


def _is_monotonous(text: str, least: int) -> bool:
    """Whether ``text`` is as easy to guess as a part of it that is too short for a password.

    Such a part comes again and again; the last time it may be cut.
    """
    if len(set(text)) < FEWEST_CHARACTERS:
        return True
    longest = min(least - 1, len(text) * 2 // 3)
    return any(text.startswith(text[period:]) for period in range(1, longest + 1))
