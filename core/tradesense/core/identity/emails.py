"""Email addresses: which are taken, and when two are one account's."""

from __future__ import annotations

import re
import unicodedata

from tradesense.core.errors import InvalidEmail

MAX_LENGTH = 254
"""RFC 5321, section 4.5.3.1.3, less the angle brackets."""

LONGEST_TYPED = 4 * MAX_LENGTH
"""Characters before normalisation; no longer text becomes an address."""

MAX_LOCAL = 64
"""RFC 5321, section 4.5.3.1.1."""

_LOCAL = re.compile(r"[A-Za-z0-9!#$%&'*+/=?^_`{|}~-]+(?:\.[A-Za-z0-9!#$%&'*+/=?^_`{|}~-]+)*")
_LABEL = re.compile(r"[a-z0-9](?:[a-z0-9-]{0,61}[a-z0-9])?")


def normalise(address: str) -> str:
    """Return the address with surrounding space removed and the domain as lower-case A-labels.

    The local part stays as typed and must be ASCII: look-alike letters would give one person two accounts, or two
    persons one (CVE-2019-19844).

    :raises InvalidEmail: it is not an address that an account can have.
    """
    if len(address) > LONGEST_TYPED:  # composing takes time with the square of the marks that follow one letter
        raise InvalidEmail(f"an address has at most {MAX_LENGTH} characters, this one {len(address)}")
    local, at, domain = unicodedata.normalize("NFC", address.strip()).rpartition("@")
    if not at or not _LOCAL.fullmatch(local) or len(local) > MAX_LOCAL:
        raise InvalidEmail("the part before '@' is not valid", mend="use letters, digits and .!#$%&'*+/=?^_`{|}~-")
    try:
        ascii_domain = domain.encode("idna").decode().lower() if not domain.isascii() else domain.lower()
    except UnicodeError as error:
        raise InvalidEmail("the part after '@' is not a domain name") from error
    labels = ascii_domain.split(".")
    if len(labels) == 1 or not all(_LABEL.fullmatch(label) for label in labels) or labels[-1].isdigit():
        raise InvalidEmail("the part after '@' is not a domain name")
    normal = f"{local}@{ascii_domain}"
    if len(normal) > MAX_LENGTH:
        raise InvalidEmail(f"an address has at most {MAX_LENGTH} characters, this one {len(normal)}")
    return normal


def uniqueness_key(normal: str) -> str:
    """What two accounts may not share: the NFKC case-folded address."""
    return unicodedata.normalize("NFKC", normal).casefold()
