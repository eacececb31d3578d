r"""Hashes that another system made: bcrypt, scrypt and PBKDF2, in the forms that are passed around.

``$2b$12$…`` is bcrypt's own form, ``$scrypt$ln=15,r=8,p=1$salt$hash`` and ``$pbkdf2-sha256$i=600000$salt$hash`` are PHC
strings; the latter is also taken with the bare number of rounds. They are verified once and then replaced. What a hash
costs is bounded before anything is computed, so that a hostile one cannot use the processor or the memory up.
"""

from __future__ import annotations

import base64
import hashlib
import hmac
import re
from collections.abc import Callable
from typing import NamedTuple

import bcrypt

LONGEST = 512
"""Characters of a hash."""

MOST_BCRYPT = 14
"""Of bcrypt's cost, which doubles the work with each step: about a second."""
BCRYPT_BYTES = 72
"""bcrypt looks no further. A longer password is refused, as nobody can tell what the rest of it was."""
MOST_MEMORY = 128 * 1024 * 1024
"""Bytes that scrypt may fill, which is also what it may do in all."""
MOST_ROUNDS = 2_000_000
"""Of PBKDF2."""

_BCRYPT = re.compile(r"\$2[aby]\$(\d\d)\$[./A-Za-z0-9]{53}")
_BASE64 = r"[A-Za-z0-9+/.]{11,128}"
_SCRYPT = re.compile(rf"\$scrypt\$ln=(\d{{1,2}}),r=(\d{{1,2}}),p=(\d{{1,2}})\$({_BASE64})={{0,2}}\$({_BASE64})={{0,2}}")
_PBKDF2 = re.compile(rf"\$pbkdf2-(sha256|sha512)\$(?:i=)?(\d{{1,7}})\$({_BASE64})={{0,2}}\$({_BASE64})={{0,2}}")

Verify = Callable[[bytes], bool]


class _Parts(NamedTuple):
    salt: bytes
    wanted: bytes


def verifier(hashed: str) -> Verify | None:
    """What tells whether a password made this hash; ``None`` for what is no such hash, or costs too much."""
    if len(hashed) > LONGEST:
        return None
    if found := _BCRYPT.fullmatch(hashed):
        return _bcrypt(hashed) if int(found[1]) <= MOST_BCRYPT else None
    if found := _SCRYPT.fullmatch(hashed):
        return _scrypt(int(found[1]), int(found[2]), int(found[3]), _parts(found[4], found[5]))
    if found := _PBKDF2.fullmatch(hashed):
        return _pbkdf2(found[1], int(found[2]), _parts(found[3], found[4]))
    return None


def _bcrypt(hashed: str) -> Verify:
    def verify(password: bytes) -> bool:
        if len(password) > BCRYPT_BYTES or b"\0" in password:
            return False
        try:
            return bcrypt.checkpw(password, hashed.encode())
        except ValueError:  # a cost or a salt that there is not
            return False

    return verify


def _scrypt(cost: int, block: int, lanes: int, parts: _Parts) -> Verify | None:
    if not (cost >= 1 and block and lanes) or 128 * block * lanes * 2**cost > MOST_MEMORY:
        return None

    def verify(password: bytes) -> bool:
        made = hashlib.scrypt(
            password,
            salt=parts.salt,
            n=2**cost,
            r=block,
            p=lanes,
            maxmem=2 * MOST_MEMORY,
            dklen=len(parts.wanted),
        )
        return hmac.compare_digest(made, parts.wanted)

    return verify


def _pbkdf2(name: str, rounds: int, parts: _Parts) -> Verify | None:
    if not 1 <= rounds <= MOST_ROUNDS:
        return None

    def verify(password: bytes) -> bool:
        made = hashlib.pbkdf2_hmac(name, password, parts.salt, rounds, len(parts.wanted))
        return hmac.compare_digest(made, parts.wanted)

    return verify


def _parts(salt: str, wanted: str) -> _Parts:
    return _Parts(_decoded(salt), _decoded(wanted))


def _decoded(text: str) -> bytes:
    """The bytes of base64 without its end, with ``.`` for ``+`` where passlib wrote it; a broken rest is left out."""
    whole = text.replace(".", "+")
    if len(whole) % 4 == 1:
        whole = whole[:-1]
    return base64.b64decode(whole + "=" * (-len(whole) % 4))
