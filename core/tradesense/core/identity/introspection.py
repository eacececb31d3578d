"""What a token is worth now, for services that were given one (RFC 7662)."""

from __future__ import annotations

from collections.abc import Iterable

import msgspec

from tradesense.core.ambient import Clock
from tradesense.core.errors import Unauthenticated
from tradesense.core.identity.liveness import alive
from tradesense.core.identity.models import IdentityPolicy, TokenKind
from tradesense.core.identity.permissions import Permission
from tradesense.core.identity.ports import IdentityStore, TokenSigner
from tradesense.core.identity.recognition import API_KEY, Recognition
from tradesense.core.identity.tokens import digest


class Introspected(msgspec.Struct, frozen=True, kw_only=True):
    """RFC 7662, section 2.2. Of a token that is not good nothing is told but that."""

    active: bool = False
    token_type: str = ""
    """``access_token``, ``refresh_token`` or ``api_key``."""
    sub: str = ""
    username: str = ""
    scope: str = ""
    sid: str = ""
    jti: str = ""
    iss: str = ""
    aud: str = ""
    exp: int = 0
    iat: int = 0


class Introspection:
    """Answers for access tokens, refresh tokens and API keys; anything else is not active."""

    def __init__(
        self,
        *,
        store: IdentityStore,
        signer: TokenSigner,
        recognition: Recognition,
        clock: Clock,
        policy: IdentityPolicy,
    ) -> None:
        self._store = store
        self._signer = signer
        self._recognition = recognition
        self._clock = clock
        self._policy = policy

    async def of(self, token: str) -> Introspected:
        """What ``token`` is worth at this moment."""
        if token.startswith(API_KEY):
            return await self._key(token)
        return await self._refresh(token) or await self._access(token)

    async def _access(self, token: str) -> Introspected:
        try:
            principal = await self._recognition.by_bearer(token)
            claims = await self._signer.verify(TokenKind.ACCESS, token)
        except Unauthenticated:
            return Introspected()
        return Introspected(
            active=True,
            token_type="access_token",  # noqa: S106  # the kind of one
            sub=principal.user_id,
            username=principal.email,
            scope=_scope(rule.permission for rule in principal.rules.allow.rules),
            sid=principal.session_id,
            jti=str(claims["jti"]),
            iss=str(claims["iss"]),
            aud=str(claims["aud"]),
            exp=int(claims["exp"]),
            iat=int(claims["iat"]),
        )

    async def _refresh(self, token: str) -> Introspected | None:
        """``None`` when it is no refresh token of ours."""
        known = await self._store.refresh_tokens.find(digest(token))
        if known is None:
            return None
        now = self._clock.now()
        found = await self._store.sessions.find_by_id(known.session_id)
        if known.spent_at is not None or known.expires_at <= now or found is None:
            return Introspected()
        session, user = found
        if not alive(session, user, policy=self._policy, now=now):
            return Introspected()
        return Introspected(
            active=True,
            token_type="refresh_token",  # noqa: S106  # the kind of one
            sub=user.id,
            username=user.email,
            sid=session.id,
            exp=int(known.expires_at.timestamp()),
        )

    async def _key(self, token: str) -> Introspected:
        try:
            principal = await self._recognition.by_key(token)
        except Unauthenticated:
            return Introspected()
        bounds = principal.rules.bounds
        return Introspected(
            active=True,
            token_type="api_key",  # noqa: S106  # the kind of one
            sub=principal.user_id,
            username=principal.email,
            scope=_scope(rule.permission for rule in bounds.rules) if bounds else "",
            iat=int(principal.authenticated_at.timestamp()),
        )


def _scope(permissions: Iterable[Permission]) -> str:
    return " ".join(map(str, permissions))
