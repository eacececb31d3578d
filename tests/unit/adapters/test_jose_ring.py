"""Keys of tokens change without anybody being refused, and a key that is gone opens nothing."""

from __future__ import annotations

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat, PublicFormat

from tradesense.adapters.jose.identity import JoseSigner
from tradesense.adapters.jose.settings import JoseSettings
from tradesense.core.errors import ConfigurationError, TokenRefused
from tradesense.core.identity.models import TokenKind
from tradesense.core.identity.verified import VerifiedTokens
from tradesense.core.sensitive import Secret
from tradesense.core.testing import ManualClock

OLD, NEW = (Ed25519PrivateKey.from_private_bytes(bytes([number]) * 32) for number in (1, 2))


def private(key):
    return Secret(key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()))


def public(key):
    return Secret(key.public_key().public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo))


def signer(key_id, key, **keys):
    settings = JoseSettings(algorithm="EdDSA", private_key=private(key), key_id=key_id, keys=keys)
    return JoseSigner(settings, clock=ManualClock())


def claims(seconds=600):
    now = int(ManualClock().now().timestamp())
    return {"sub": "u", "jti": "j", "iat": now, "exp": now + seconds}


@pytest.mark.parametrize("kept", [private, public])
async def test_R51_a_change_of_keys_refuses_nobody(kept):
    """The three steps of the page on identity, with processes of two steps side by side."""
    before, ready = signer("old", OLD), signer("old", OLD, new=public(NEW))
    changed, over = signer("new", NEW, old=kept(OLD)), signer("new", NEW)
    for one, other in ((before, ready), (ready, changed), (changed, over)):
        for signs, verifies in ((one, other), (other, one)):
            token = (await signs.sign(TokenKind.ACCESS, claims())).reveal()
            if (signs, verifies) != (changed, before) and (signs, verifies) != (over, ready):
                assert (await verifies.verify(TokenKind.ACCESS, token))["sub"] == "u"
    assert [key["kid"] for key in changed.public_keys()["keys"]] == ["new", "old"]
    assert all("d" not in key for key in changed.public_keys()["keys"])


async def test_R51_a_token_of_a_retired_key_is_refused():
    token = (await signer("old", OLD).sign(TokenKind.ACCESS, claims())).reveal()
    with pytest.raises(TokenRefused):
        await signer("new", NEW).verify(TokenKind.ACCESS, token)
    with pytest.raises(TokenRefused):
        await signer("new", NEW, old=public(NEW)).verify(TokenKind.ACCESS, token)


async def test_R51_a_secret_changes_as_a_key_pair_does():
    def hs256(key_id, secret, **keys):
        return JoseSigner(JoseSettings(secret=Secret(secret), key_id=key_id, keys=keys), clock=ManualClock())

    old, new = "o" * 32, "n" * 32
    token = (await hs256("old", old).sign(TokenKind.ACCESS, claims())).reveal()
    assert await hs256("new", new, old=Secret(old)).verify(TokenKind.ACCESS, token)
    with pytest.raises(TokenRefused):
        await hs256("new", new).verify(TokenKind.ACCESS, token)
    with pytest.raises(ConfigurationError):
        hs256("new", new, old=Secret("short"))


@pytest.mark.parametrize("text", ["", "nonsense", "-----BEGIN PUBLIC KEY-----\nAAAA\n-----END PUBLIC KEY-----\n"])
def test_what_is_no_key_is_refused_by_its_name(text):
    with pytest.raises(ConfigurationError) as caught:
        signer("new", NEW, old=Secret(text))
    assert caught.value.origin == "identity.jose.keys.old"


def test_two_keys_of_one_name_are_refused():
    with pytest.raises(ConfigurationError):
        signer("new", NEW, new=public(OLD))


class Counting:
    """A signer that counts what it is asked."""

    def __init__(self, inner):
        self.inner = inner
        self.verified = 0

    async def verify(self, kind, token):
        self.verified += 1
        return await self.inner.verify(kind, token)


async def test_P15_a_signature_is_verified_once_and_expiry_every_time():
    clock = ManualClock()
    counting = Counting(signer("new", NEW))
    known = VerifiedTokens(TokenKind.ACCESS, signer=counting, clock=clock, most=2)
    token = (await counting.inner.sign(TokenKind.ACCESS, claims())).reveal()
    for _ in range(3):
        assert (await known.verify(token))["sub"] == "u"
    assert counting.verified == 1
    clock.advance(601)
    counting.inner = JoseSigner(JoseSettings(algorithm="EdDSA", private_key=private(NEW), key_id="new"), clock=clock)
    with pytest.raises(TokenRefused):
        await known.verify(token)


async def test_P15_what_is_remembered_is_bounded_and_no_refusal_is():
    counting = Counting(signer("new", NEW))
    known = VerifiedTokens(TokenKind.ACCESS, signer=counting, clock=ManualClock(), most=2)
    tokens = [(await counting.inner.sign(TokenKind.ACCESS, claims(600 + n))).reveal() for n in range(5)]
    for token in tokens:
        await known.verify(token)
    assert len(known._known) == 2
    for bad in (tokens[0][:-4] + "AAAA", "x" * 10_000, "é"):
        for _ in range(2):
            with pytest.raises(TokenRefused):
                await known.verify(bad)
    assert len(known._known) == 2
