"""The keys of the token signer, and what a token must look like."""

from __future__ import annotations

import base64
import json

import pytest
from cryptography.hazmat.primitives.asymmetric.ec import SECP256R1, generate_private_key
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat, PublicFormat

from tradesense.adapters.jose._compact import MAX_TOKEN
from tradesense.adapters.jose.identity import JoseSigner
from tradesense.adapters.jose.settings import JoseSettings
from tradesense.core.errors import ConfigurationError, TokenRefused
from tradesense.core.identity.models import TokenKind
from tradesense.core.sensitive import Secret
from tradesense.core.testing.checks import ManualClock

# RFC 8037, appendix A.
JWK = {
    "kty": "OKP",
    "crv": "Ed25519",
    "d": "nWGxne_9WmC6hEr0kuwsxERJxWl7MmkZcDusAxyuf2A",
    "x": "11qYAYKxCrfVS_7TyWQHOg7hcvPapiMlrwIaaPcHURo",
}
HS256 = JoseSettings(secret=Secret("k" * 32))


def pem(key: object) -> str:
    return key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()).decode()


def eddsa(key: str, **more: str) -> JoseSigner:
    settings = JoseSettings(algorithm="EdDSA", private_key=Secret(key), **more)
    return JoseSigner(settings, clock=ManualClock())


def claims(clock: ManualClock, **more: object) -> dict[str, object]:
    now = int(clock.now().timestamp())
    return {"sub": "u", "jti": "j", "iat": now, "exp": now + 600, **more}


@pytest.mark.parametrize("length", [0, 1, 31])
def test_a_short_secret_is_refused(length: int):
    with pytest.raises(ConfigurationError) as caught:
        JoseSigner(JoseSettings(secret=Secret("s" * length)), clock=ManualClock())
    assert caught.value.origin == "identity.jose.secret"


def test_a_public_key_is_no_secret():
    public = Ed25519PrivateKey.generate().public_key().public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo)
    with pytest.raises(ConfigurationError):
        JoseSigner(JoseSettings(secret=Secret(public)), clock=ManualClock())


@pytest.mark.parametrize(
    "key",
    [
        "",
        "garbage",
        "{",
        "{}",
        json.dumps({name: value for name, value in JWK.items() if name != "d"}),
        json.dumps(JWK | {"crv": "X25519"}),
        json.dumps(JWK | {"kty": "oct"}),
        json.dumps(JWK | {"d": "AAAA"}),
        json.dumps(JWK | {"d": "!"}),
        pem(generate_private_key(SECP256R1())),
        "-----BEGIN PRIVATE KEY-----\nAAAA\n-----END PRIVATE KEY-----\n",
    ],
)
def test_what_is_no_ed25519_private_key_is_refused(key: str):
    with pytest.raises(ConfigurationError) as caught:
        eddsa(key)
    assert caught.value.origin == "identity.jose.private_key"


def test_the_public_key_is_published_without_its_private_member():
    for key in (json.dumps(JWK), json.dumps(JWK | {"x": "A" * 43, "kid": "other", "alg": "none"})):
        assert eddsa(key, key_id="k").public_keys() == {
            "keys": [
                {"kty": "OKP", "crv": "Ed25519", "x": JWK["x"], "kid": "k", "alg": "EdDSA", "use": "sig"},
            ]
        }
    assert JoseSigner(HS256, clock=ManualClock()).public_keys() == {"keys": []}


async def test_a_signature_is_the_one_that_the_public_key_verifies():
    key = Ed25519PrivateKey.generate()
    clock = ManualClock()
    token = (await eddsa(pem(key)).sign(TokenKind.ACCESS, claims(clock))).reveal()
    signed, _, signature = token.rpartition(".")
    key.public_key().verify(base64.urlsafe_b64decode(signature + "=="), signed.encode())
    header = json.loads(base64.urlsafe_b64decode(signed.partition(".")[0] + "=="))
    assert header == {"alg": "EdDSA", "typ": "at+jwt", "kid": "tradesense-1"}


async def test_a_token_expires_by_our_clock_to_the_second():
    clock = ManualClock()
    signer = JoseSigner(HS256, clock=clock)
    token = (await signer.sign(TokenKind.ACCESS, claims(clock))).reveal()
    clock.advance(599.9)
    await signer.verify(TokenKind.ACCESS, token)
    clock.advance(0.1)
    with pytest.raises(TokenRefused):
        await signer.verify(TokenKind.ACCESS, token)


@pytest.mark.parametrize(
    "change",
    [{"exp": True}, {"exp": 1e400}, {"iat": None}, {"iat": 10**10}, {"sub": ""}, {"sub": 7}, {"jti": []}, {"nbf": "0"}],
    ids=str,
)
async def test_claims_of_a_wrong_type_or_time_are_refused(change: dict[str, object]):
    clock = ManualClock()
    signer = JoseSigner(HS256, clock=clock)
    token = (await signer.sign(TokenKind.ACCESS, claims(clock, **change))).reveal()
    with pytest.raises(TokenRefused):
        await signer.verify(TokenKind.ACCESS, token)


async def test_one_audience_of_several_is_enough():
    clock = ManualClock()
    theirs = JoseSigner(JoseSettings(secret=HS256.secret, audience="a"), clock=clock)
    ours = JoseSigner(HS256, clock=clock)
    token = (await theirs.sign(TokenKind.ACCESS, claims(clock))).reveal()
    with pytest.raises(TokenRefused):
        await ours.verify(TokenKind.ACCESS, token)
    ours._check(TokenKind.ACCESS, {**claims(clock), "iss": "tradesense", "aud": ["a", "tradesense"]})


async def test_one_algorithm_never_stands_in_for_the_other():
    clock = ManualClock()
    token = (await JoseSigner(HS256, clock=clock).sign(TokenKind.ACCESS, claims(clock))).reveal()
    with pytest.raises(TokenRefused):
        await eddsa(json.dumps(JWK)).verify(TokenKind.ACCESS, token)


async def test_a_token_has_at_most_8_kib():
    clock = ManualClock()
    signer = JoseSigner(HS256, clock=clock)
    empty = len((await signer.sign(TokenKind.ACCESS, claims(clock, pad=""))).reveal())
    # Three bytes of claims are four characters of the token.
    fits = (MAX_TOKEN - empty) // 4 * 3
    token = (await signer.sign(TokenKind.ACCESS, claims(clock, pad="x" * fits))).reveal()
    assert MAX_TOKEN - 4 < len(token) <= MAX_TOKEN
    await signer.verify(TokenKind.ACCESS, token)
    token = (await signer.sign(TokenKind.ACCESS, claims(clock, pad="x" * (fits + 4)))).reveal()
    assert len(token) > MAX_TOKEN
    with pytest.raises(TokenRefused):
        await signer.verify(TokenKind.ACCESS, token)
