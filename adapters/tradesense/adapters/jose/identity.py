"""Signing and verifying tokens (RFC 7515, RFC 7519) with one algorithm and one kind at a time (RFC 8725)."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

import msgspec
from joserfc import jws

from tradesense.adapters.jose._compact import OneAlgorithm, header_of, payload_of
from tradesense.adapters.jose._keys import ring_of
from tradesense.adapters.jose.settings import JoseSettings
from tradesense.core.ambient import Clock
from tradesense.core.errors import TokenRefused
from tradesense.core.identity.models import TokenKind
from tradesense.core.identity.ports import TokenSigner
from tradesense.core.sensitive import Secret
from tradesense.plugins.manifest import AdapterContext

CLOCK_SKEW = 60
"""Seconds by which the clock of the process that signed may be ahead of ours; an expiry has no such leeway."""

_Claims = msgspec.json.Decoder(dict[str, Any])


class JoseSigner:
    """Compact JWS with HS256, or EdDSA over Ed25519. See :class:`TokenSigner`.

    :raises ConfigurationError: the key is absent, too short, or of another kind.
    """

    def __init__(self, settings: JoseSettings, *, clock: Clock) -> None:
        self._settings = settings
        self._clock = clock
        self._ring = ring_of(settings)
        self._key = self._ring[settings.key_id]
        self._registry = OneAlgorithm(settings.algorithm)

    async def sign(self, kind: TokenKind, claims: Mapping[str, Any]) -> Secret:
        """See :meth:`TokenSigner.sign`."""
        payload = msgspec.json.encode({**claims, "iss": self._settings.issuer, "aud": self._settings.audience})
        return Secret(
            jws.serialize_compact(
                self._header(kind, self._settings.key_id), payload, self._key, registry=self._registry
            )
        )

    async def verify(self, kind: TokenKind, token: str) -> dict[str, Any]:
        """See :meth:`TokenSigner.verify`. Form and header are checked before the key is touched."""
        header = header_of(token)
        key = self._ring.get(header.get("kid", ""))
        if key is None or header != self._header(kind, header["kid"]):
            raise TokenRefused("the token is of another algorithm, key or kind")
        try:
            claims = _Claims.decode(payload_of(token, key, self._registry))
        except ValueError as error:
            raise TokenRefused("the token's claims are malformed") from error
        self._check(kind, claims)
        return claims

    def public_keys(self) -> dict[str, Any]:
        """See :meth:`TokenSigner.public_keys`."""
        if self._settings.algorithm == "HS256":
            return {"keys": []}
        return {"keys": [self._published(name, key.as_dict(private=False)) for name, key in self._ring.items()]}

    def _published(self, name: str, key: Mapping[str, Any]) -> dict[str, Any]:
        members = {member: key[member] for member in ("kty", "crv", "x")}
        return {**members, "kid": name, "alg": self._settings.algorithm, "use": "sig"}

    def _header(self, kind: TokenKind, key_id: str) -> dict[str, str]:
        """The one header that a token of ``kind`` may have; ``crit``, ``jku``, ``jwk`` and the like have no place."""
        return {"alg": self._settings.algorithm, "typ": kind.value, "kid": key_id}

    def _check(self, kind: TokenKind, claims: dict[str, Any]) -> None:
        """:raises TokenRefused: a claim is absent or wrong (RFC 7519, section 4.1; ASVS 9.2.1, 9.2.3)."""
        if claims.get("iss") != self._settings.issuer or not self._is_for_us(claims.get("aud")):
            raise TokenRefused("the token is of another issuer or for another audience")
        if not all(isinstance(claims.get(name), str) and claims[name] for name in ("sub", "jti")):
            raise TokenRefused("the token has no subject or no id")
        now = self._clock.now().timestamp()
        expiry, issued = _instant(claims, "exp"), _instant(claims, "iat")
        if expiry - issued > kind.longest:
            raise TokenRefused("the token is good for longer than its kind ever is")
        if expiry <= now:
            raise TokenRefused("the token has expired", mend="get another one")
        if issued > now + CLOCK_SKEW or ("nbf" in claims and _instant(claims, "nbf") > now):
            raise TokenRefused("the token is not valid yet")

    def _is_for_us(self, audience: object) -> bool:
        if isinstance(audience, list):
            return self._settings.audience in audience
        return audience == self._settings.audience


def _instant(claims: dict[str, Any], name: str) -> float:
    """A NumericDate (RFC 7519, section 2).

    :raises TokenRefused: it is absent, or no finite number.
    """
    value = claims.get(name)
    if isinstance(value, bool) or not isinstance(value, int | float) or not math.isfinite(value):
        raise TokenRefused(f"the token has no valid {name}")
    return value


def signer(settings: JoseSettings, context: AdapterContext) -> JoseSigner:
    """The factory."""
    return JoseSigner(settings, clock=context.clock)


_: type[TokenSigner] = JoseSigner
