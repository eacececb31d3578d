"""Which passwords are taken, and in which form they are hashed."""

from __future__ import annotations

import unicodedata

from tradesense.core.errors import PasswordRefused
from tradesense.core.identity.models import IdentityPolicy
from tradesense.core.identity.ports import BreachedPasswords
from tradesense.core.sensitive import Secret

PRODUCT_WORDS = ("tradesense",)
SHORTEST_CONTEXT_WORD = 4


def normalise(password: Secret) -> Secret:
    """The password in Unicode NFC, so that two keyboards that compose differently make the same one.

    NFC, not NFKC: compatibility folding would merge passwords that their owners see as different
    (NIST SP 800-63B-4, section 3.1.1.2, allows either). It is applied once, here, and nothing is trimmed or cut.
    """
    return Secret(unicodedata.normalize("NFC", password.reveal()))


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
    if len(text) > policy.password_max:
        raise PasswordRefused(
            "too-long", f"the password has {len(text)} characters, at most {policy.password_max} are taken"
        )
    if _is_contextual(text.casefold(), email.casefold()):
        raise PasswordRefused("contextual", "the password is made of the account's or the product's name")
    if await breached.contains(password):
        raise PasswordRefused("common", "the password is known from breaches or is too common")


def _is_contextual(text: str, email: str) -> bool:
    """Whether little is left of ``text`` once the words that everyone can guess are taken out."""
    local = email.partition("@")[0]
    words = [word for word in (*PRODUCT_WORDS, email, local) if len(word) >= SHORTEST_CONTEXT_WORD]
    rest = text
    for word in words:
        rest = rest.replace(word, "")
    return rest != text and len(rest) < SHORTEST_CONTEXT_WORD
