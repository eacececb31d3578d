"""Identity: what a token is worth, and giving one back (RFC 7662, RFC 7009)."""

from __future__ import annotations

from typing import Literal

from litestar import post
from litestar.handlers import HTTPRouteHandler
from litestar.params import JSONBody
from msgspec import Struct

from tradesense.core.identity.introspection import Introspected
from tradesense.core.sensitive import Secret
from tradesense.entrypoints.http.codec import Body
from tradesense.entrypoints.http.exchange import current
from tradesense.entrypoints.http.guards import guard, public

INTROSPECT, REVOKE = "/api/v1/auth/token/introspect", "/api/v1/auth/token/revoke"
FORMS = frozenset({INTROSPECT, REVOKE})
"""Routes that take a form as well as JSON, as the RFCs ask for."""


class TokenBody(Body, frozen=True, kw_only=True):
    """A token. The hint is taken and not needed."""

    token: Secret
    token_type_hint: str = ""


class Revoked(Struct, frozen=True, kw_only=True):
    """What everyone is told who gives a token back, whatever it was."""

    status: Literal["accepted"] = "accepted"


@post(INTROSPECT, opt=guard("tokens:introspect"), status_code=200, tags=["auth"])
async def introspect(data: JSONBody[TokenBody]) -> Introspected:
    """What a token is worth at this moment (RFC 7662). The body may be a form."""
    return await current().services.introspection.of(data.token.reveal())


@post(REVOKE, opt=public(), status_code=200, tags=["auth"])
async def revoke(data: JSONBody[TokenBody]) -> Revoked:
    """End the session that a refresh or access token belongs to (RFC 7009). It may be a form. No cookie is read."""
    here = current()
    await here.services.tokens.revoke(data.token.reveal(), actor=here.actor, correlation_id=here.correlation_id)
    here.services.recognition.forget()
    return Revoked()


ROUTES: tuple[HTTPRouteHandler, ...] = (introspect, revoke)
