"""Hashes of other systems are verified, within bounds, and given up for ours."""

from __future__ import annotations

import base64
import hashlib

import bcrypt
import pytest

import contracted
from tradesense.core.identity.ports import PasswordHasher
from tradesense.core.sensitive import Secret

PASSWORD = b"correct horse battery staple"
SALT = b"sixteen bytes ok"


def b64(data, *, dot=False):
    text = base64.b64encode(data).decode().rstrip("=")
    return text.replace("+", ".") if dot else text


def scrypt(cost=14, block=8, lanes=1):
    made = hashlib.scrypt(PASSWORD, salt=SALT, n=2**cost, r=block, p=lanes, maxmem=2**28, dklen=32)
    return f"$scrypt$ln={cost},r={block},p={lanes}${b64(SALT)}${b64(made)}"


def pbkdf2(rounds=1000, name="sha256", form="i="):
    made = hashlib.pbkdf2_hmac(name, PASSWORD, SALT, rounds)
    return f"$pbkdf2-{name}${form}{rounds}${b64(SALT, dot=not form)}${b64(made, dot=not form)}"


GOOD = {
    "bcrypt": bcrypt.hashpw(PASSWORD, bcrypt.gensalt(4)).decode(),
    "bcrypt 2a": bcrypt.hashpw(PASSWORD, bcrypt.gensalt(4, prefix=b"2a")).decode(),
    "scrypt": scrypt(),
    "pbkdf2": pbkdf2(),
    "pbkdf2 of passlib": pbkdf2(form=""),
    "pbkdf2 sha512": pbkdf2(name="sha512"),
}
HOSTILE = {
    "bcrypt": "$2b$31$" + "a" * 53,
    "scrypt memory": f"$scrypt$ln=31,r=8,p=1${b64(SALT)}${b64(bytes(32))}",
    "scrypt lanes": f"$scrypt$ln=14,r=8,p=99${b64(SALT)}${b64(bytes(32))}",
    "scrypt nothing": f"$scrypt$ln=0,r=0,p=0${b64(SALT)}${b64(bytes(32))}",
    "pbkdf2": f"$pbkdf2-sha256$i=9999999${b64(SALT)}${b64(bytes(32))}",
    "pbkdf2 none": f"$pbkdf2-sha256$i=0${b64(SALT)}${b64(bytes(32))}",
    "argon2 memory": f"$argon2id$v=19$m=4194304,t=1,p=1${b64(SALT)}${b64(bytes(32))}",
    "argon2 passes": f"$argon2id$v=19$m=47104,t=9999,p=1${b64(SALT)}${b64(bytes(32))}",
    "long": "$2b$04$" + "a" * 10_000,
}


@pytest.fixture
async def hasher():
    async with contracted.build(contracted.manifest("argon2", PasswordHasher), contracted.context()) as hasher:
        yield hasher


@pytest.mark.parametrize("hashed", GOOD.values(), ids=GOOD)
async def test_R01_a_hash_of_another_system_is_verified_and_outdated(hasher, hashed):
    assert hasher.readable(Secret(hashed)) is True
    assert hasher.outdated(Secret(hashed)) is True
    assert await hasher.verify(Secret(hashed), Secret(PASSWORD)) is True
    for other in (PASSWORD + b"x", b"", PASSWORD[:-1]):
        assert await hasher.verify(Secret(hashed), Secret(other)) is False


async def test_scrypt_is_that_of_the_rfc(hasher):
    """RFC 7914, section 12, the case with the largest cost that is within bounds here."""
    wanted = bytes.fromhex(
        "7023bdcb3afd7348461c06cd81fd38ebfda8fbba904f8e3ea9b543f6545da1f2"
        "d5432955613f0fcf62d49705242a9af9e61e85dc0d651e40dfcf017b45575887"
    )
    hashed = Secret(f"$scrypt$ln=14,r=8,p=1${b64(b'SodiumChloride')}${b64(wanted)}")
    assert await hasher.verify(hashed, Secret("pleaseletmein")) is True
    assert await hasher.verify(hashed, Secret("pleaseletmeout")) is False


@pytest.mark.parametrize("hashed", HOSTILE.values(), ids=HOSTILE)
async def test_a_hash_that_would_cost_too_much_is_never_computed(hasher, hashed):
    assert hasher.readable(Secret(hashed)) is False
    assert await hasher.verify(Secret(hashed), Secret(PASSWORD)) is False


async def test_R02_bcrypt_takes_no_password_of_which_it_would_read_a_part(hasher):
    long = b"x" * 80
    hashed = Secret(bcrypt.hashpw(long[:72], bcrypt.gensalt(4)))
    assert await hasher.verify(hashed, Secret(long[:72])) is True
    assert await hasher.verify(hashed, Secret(long)) is False
