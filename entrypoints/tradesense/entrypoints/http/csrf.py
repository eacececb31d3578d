"""Cookie-borne requests that change something must come from a page of ours (ASVS 3.5.1, SECURITY R22 and R24).

Two proofs are needed: the browser says where the request comes from, and the page knows a token that is bound to the
session, or before a login to the visit. A visit is a random id in a cookie that we have signed: one that we did not
give out is not taken.
"""

from __future__ import annotations

from litestar.datastructures import Cookie

from tradesense.core.errors import CsrfRefused, SessionEnded
from tradesense.entrypoints.http import cookies
from tradesense.entrypoints.http.exchange import Exchange

OWN_SITES = frozenset({b"same-origin", b"none"})
"""``Sec-Fetch-Site`` of our own pages, and of what the user typed or a bookmark holds."""

_VISIT = "visit"


def check(exchange: Exchange, binding: str) -> None:
    """Go on only if the request comes from our own page and carries the token for ``binding``.

    :raises CsrfRefused: it does not.
    """
    headers = exchange.headers
    if headers.get(b"sec-fetch-site") not in OWN_SITES and headers.get(b"origin") not in exchange.site.origins:
        raise CsrfRefused(
            "the request does not come from one of our own pages",
            mend="send Origin or Sec-Fetch-Site as browsers do, or use a bearer token",
        )
    exchange.services.csrf.check(binding, headers.get(b"x-csrf-token", b"").decode("latin-1"))


async def check_before_login(exchange: Exchange) -> None:
    """The same for who has no session yet, or logs in over one that lives still.

    :raises CsrfRefused: the proofs are missing, or were made for another visit or session.
    """
    check(exchange, await binding(exchange) or _unbound())


async def binding(exchange: Exchange) -> str:
    """What this browser's tokens are bound to: its session, else its visit; empty when it has neither."""
    cookie = exchange.cookie(exchange.site.cookies.session)
    if cookie:
        try:
            return (await exchange.services.sessions.by_cookie(cookie)).session_id
        except SessionEnded:
            pass
    visit = exchange.cookie(exchange.site.cookies.visit)
    return f"{_VISIT}:{visit}" if visit and _is_ours(exchange, visit) else ""


def begin_visit(exchange: Exchange) -> tuple[str, Cookie]:
    """A new visit: what its tokens are bound to, and the cookie that carries it."""
    visit = exchange.services.csrf.issue(_VISIT)
    return f"{_VISIT}:{visit}", cookies.visit(exchange, visit)


def _is_ours(exchange: Exchange, visit: str) -> bool:
    try:
        exchange.services.csrf.check(_VISIT, visit)
    except CsrfRefused:
        return False
    return True


def _unbound() -> str:
    raise CsrfRefused("there is no visit to tie the request to", mend="ask GET /api/v1/auth/csrf for a token")
