"""The key of the signer, out of its settings."""

from __future__ import annotations

import msgspec
from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.serialization import (
    Encoding,
    NoEncryption,
    PrivateFormat,
    load_pem_private_key,
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


def _symmetric(secret: Secret) -> OctKey:
    if len(secret) < SHORTEST_SECRET:
        raise ConfigurationError(
            f"identity.jose.secret has {len(secret)} bytes, HS256 needs {SHORTEST_SECRET} at least",
            origin="identity.jose.secret",
            mend="make one with `python -c 'import secrets; print(secrets.token_urlsafe(48))'`",
        )
    try:
        return OctKey.import_key(secret.reveal_bytes())
    except (JoseError, ValueError) as error:
        raise ConfigurationError(
            "identity.jose.secret is a public key, which everyone may know",
            origin="identity.jose.secret",
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


def _refused() -> ConfigurationError:
    return ConfigurationError(
        "identity.jose.private_key is not an Ed25519 private key",
        origin="identity.jose.private_key",
        mend="make one with `openssl genpkey -algorithm ed25519`",
    )
