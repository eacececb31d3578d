"""The settings of the token signer."""

from __future__ import annotations

from typing import Annotated, Literal

import msgspec
from msgspec import Meta

from tradesense.core.sensitive import Secret

Name = Annotated[str, Meta(min_length=1, max_length=200)]


class JoseSettings(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """``[identity.jose]``: how access tokens are signed."""

    algorithm: Literal["HS256", "EdDSA"] = "HS256"
    """The one algorithm: HS256 with a key that only we have, or EdDSA (Ed25519) with a public key for others."""
    secret: Secret = Secret("")
    """With HS256: at least 32 random bytes (RFC 7518, section 3.2)."""
    private_key: Secret = Secret("")
    """With EdDSA: an Ed25519 private key, in PEM (PKCS #8) or as a JWK."""
    key_id: Name = "tradesense-1"
    """The key's name, which tokens and the published key carry."""
    keys: dict[Name, Secret] = {}
    """Further keys by their names, of the same kind: their tokens are accepted, and with EdDSA they are published,
    private or public. Nothing is signed with them."""
    issuer: Name = "tradesense"
    """``iss``: who signs."""
    audience: Name = "tradesense"
    """``aud``: for whom."""
