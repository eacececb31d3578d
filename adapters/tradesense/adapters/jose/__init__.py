"""Signed tokens: JSON Web Signatures in compact form (RFC 7515), by the rules of RFC 8725."""

from __future__ import annotations

from collections.abc import Iterable

from tradesense.adapters.jose.settings import JoseSettings
from tradesense.core.identity.ports import TokenSigner
from tradesense.plugins import Adapter, Requirement, hookimpl


@hookimpl
def tradesense_adapters() -> Iterable[Adapter]:
    """What this provider offers."""
    return (
        Adapter(
            port=TokenSigner,
            name="jose",
            factory="tradesense.adapters.jose.identity:signer",
            summary="JWTs signed with HS256 or EdDSA",
            settings=JoseSettings,
            requires=(
                Requirement("joserfc", "joserfc", "server"),
                Requirement("cryptography", "cryptography", "server"),
            ),
        ),
    )
