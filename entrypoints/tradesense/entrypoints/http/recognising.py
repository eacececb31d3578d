"""Who is asking."""

from __future__ import annotations

import structlog

from tradesense.core.errors import TokenRefused, Unauthenticated
from tradesense.core.identity.models import Principal
from tradesense.entrypoints.http.exchange import Exchange

log = structlog.stdlib.get_logger("tradesense.http")


async def authenticate(exchange: Exchange) -> Principal:
    """Who is asking, by bearer token, API key or session cookie. A cookie beside a token does not count (SECURITY R22).

    :raises Unauthenticated: neither is there, or the one that counts is not accepted.
    """
    recognition = exchange.services.recognition
    cookie = exchange.cookie(exchange.site.cookies.session)
    authorization = exchange.headers.get(b"authorization")
    api_key = exchange.headers.get(b"x-api-key")
    if api_key is not None:
        if authorization is not None:
            raise TokenRefused("send Authorization or X-API-Key, not both")
        return await recognition.by_key(api_key.strip().decode("latin-1"))
    if authorization is not None:
        scheme, _, token = authorization.partition(b" ")
        if scheme.lower() != b"bearer":
            raise TokenRefused("only Bearer is taken in Authorization")
        if cookie:
            log.warning("bearer token and session cookie in one request", counted="bearer")
        return await recognition.by_bearer(token.strip().decode("latin-1"))
    if not cookie:
        raise Unauthenticated
    return await recognition.by_cookie(cookie)
