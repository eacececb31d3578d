"""The key of the signer, out of its settings."""

from __future__ import annotations

import msgspec
from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey
from cryptography.hazmat.primitives.serialization import (
    Encoding,
    NoEncryption,
    PrivateFormat,
    PublicFormat,
    load_pem_private_key,
    load_pem_public_key,
)
from joserfc.errors import JoseError
from joserfc.jwk import OctKey, OKPKey
from joserfc.util import urlsafe_b64decode

from tradesense.adapters.jose.settings import JoseSettings
from tradesense.core.errors import ConfigurationError
from tradesense.core.sensitive import Secret

SHORTEST_SECRET = 32
"""Bytes: as many as the hash has (RFC 7518, section 3.2)."""


class _Jwk(msgspec.Struct, frozen=True):
    """The members of a private Ed25519 JWK that count (RFC 8037, section 2). The public one follows from ``d``."""

    kty: str
    crv: str
    d: str


def key_of(settings: JoseSettings) -> OctKey | OKPKey:
    """The key that ``settings`` hold.

    :raises ConfigurationError: there is none, it is too short, or it is of another kind.
    """
    return _symmetric(settings.secret) if settings.algorithm == "HS256" else _private(settings.private_key)


def ring_of(settings: JoseSettings) -> dict[str, OctKey | OKPKey]:
    """Every key whose tokens are accepted, by its name; the one that signs comes first.

    :raises ConfigurationError: one is absent, too short, of another kind, or has the name of another.
    """
    if settings.key_id in settings.keys:
        raise ConfigurationError(
            f"{settings.key_id!r} names the key that signs and one of identity.jose.keys",
            origin="identity.jose.keys",
            mend="give each key a name of its own",
        )
    ring = {settings.key_id: key_of(settings)}
    for name, text in settings.keys.items():
        origin = f"identity.jose.keys.{name}"
        ring[name] = _symmetric(text, origin) if settings.algorithm == "HS256" else _public(text, origin)
    return ring


def _public(pem_or_jwk: Secret, origin: str) -> OKPKey:
    """The public half of what is kept for verifying alone, of which the private half may be gone."""
    text = pem_or_jwk.reveal_bytes()
    try:
        key = load_pem_public_key(text) if b"PUBLIC KEY" in text else _loaded(text)
        if isinstance(key, Ed25519PrivateKey):
            key = key.public_key()
    except (JoseError, ValueError, TypeError, UnsupportedAlgorithm) as error:
        raise _refused(origin) from error
    if not isinstance(key, Ed25519PublicKey):
        raise _refused(origin)
    return OKPKey.import_key(key.public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo))


def _symmetric(secret: Secret, origin: str = "identity.jose.secret") -> OctKey:
    if len(secret) < SHORTEST_SECRET:
        raise ConfigurationError(
            f"{origin} has {len(secret)} bytes, HS256 needs {SHORTEST_SECRET} at least",
            origin=origin,
            mend="make one with `python -c 'import secrets; print(secrets.token_urlsafe(48))'`",
        )
    try:
        return OctKey.import_key(secret.reveal_bytes())
    except (JoseError, ValueError) as error:
        raise ConfigurationError(
            f"{origin} is a public key, which everyone may know",
            origin=origin,
            mend="use a random secret, or set algorithm = 'EdDSA' and private_key",
        ) from error


def _private(pem_or_jwk: Secret) -> OKPKey:
    try:
        key = _loaded(pem_or_jwk.reveal_bytes())
    except (JoseError, ValueError, TypeError, UnsupportedAlgorithm) as error:
        raise _refused() from error
    if not isinstance(key, Ed25519PrivateKey):
        raise _refused()
    return OKPKey.import_key(key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()))


def _loaded(text: bytes) -> object:
    if not text.lstrip().startswith(b"{"):
        return load_pem_private_key(text, password=None)
    jwk = msgspec.json.decode(text, type=_Jwk)
    if (jwk.kty, jwk.crv) != ("OKP", "Ed25519"):
        return None
    return Ed25519PrivateKey.from_private_bytes(urlsafe_b64decode(jwk.d.encode()))


def _refused(origin: str = "identity.jose.private_key") -> ConfigurationError:
    return ConfigurationError(
        f"{origin} is not an Ed25519 private key",
        origin=origin,
        mend="make one with `openssl genpkey -algorithm ed25519`",
    )
