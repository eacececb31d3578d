"""Our cookies: for HTTP alone, for this host alone, in the clear only on one's own machine (ASVS 3.3.1 to 3.3.4)."""

from __future__ import annotations

from litestar.datastructures import Cookie

from tradesense.core.sensitive import Secret
from tradesense.entrypoints.http.exchange import Exchange


def session(exchange: Exchange, token: Secret) -> Cookie:
    """The cookie of a new session. It lives no longer than the session can."""
    life = exchange.services.settings.identity.policy.session_absolute
    return _cookie(exchange, exchange.site.cookies.session, token.reveal(), life)


def no_session(exchange: Exchange) -> Cookie:
    """What takes the session's cookie away."""
    return _cookie(exchange, exchange.site.cookies.session, "", 0)


def visit(exchange: Exchange, signed_id: str) -> Cookie:
    """The cookie of a visit. It ends with the browser."""
    return _cookie(exchange, exchange.site.cookies.visit, signed_id, None)


def no_visit(exchange: Exchange) -> Cookie:
    """What takes the visit's cookie away."""
    return _cookie(exchange, exchange.site.cookies.visit, "", 0)


def known_browser(exchange: Exchange, email_key: str) -> Cookie:
    """What tells, in later logins, that the account has logged in in this browser before."""
    browsers = exchange.services.browsers
    return _cookie(exchange, exchange.site.cookies.browser, browsers.issue(email_key).reveal(), browsers.ttl)


def _cookie(exchange: Exchange, name: str, value: str, max_age: int | None) -> Cookie:
    return Cookie(
        key=name,
        value=value,
        max_age=max_age,
        path="/",
        secure=exchange.site.cookies.secure,
        httponly=True,
        samesite="lax",
    )
