"""Identity: signing up, logging in by cookie or by token, and out again."""

from __future__ import annotations

from datetime import datetime
from typing import Annotated, Any, Literal

from litestar import Response, get, post
from litestar.datastructures import Cookie
from litestar.handlers import HTTPRouteHandler
from litestar.params import JSONBody
from msgspec import UNSET, Meta, Struct, UnsetType
from msgspec.structs import replace

from tradesense.core.cache.models import Limit
from tradesense.core.errors import SessionEnded
from tradesense.core.identity.attempts import block
from tradesense.core.identity.models import Login, TokenPair, User
from tradesense.core.identity.returning import MOST
from tradesense.core.sensitive import Secret
from tradesense.entrypoints.http import cookies, csrf
from tradesense.entrypoints.http.codec import Body
from tradesense.entrypoints.http.exchange import Exchange, current
from tradesense.entrypoints.http.guards import authenticated, guard, public

Email = Annotated[str, Meta(max_length=320)]
ReturnTo = Annotated[
    str,
    Meta(
        max_length=MOST,
        description="where to go on to after the link: a path of this site, or one of the URLs of `identity.return_to`",
    ),
]
TOKEN = "Bearer"  # noqa: S105  # the name of a scheme

CLEARED = '"cache", "storage"'
"""``Clear-Site-Data`` on logout. Our cookie is ended by name: "cookies" would end those of sibling domains too."""


class Registration(Body, frozen=True, kw_only=True):
    """Who signs up."""

    email: Email
    password: Secret
    locale: Annotated[str, Meta(max_length=35)] = ""
    """The language to write in, as in ``de``; what ``Accept-Language`` asks for first when empty."""
    return_to: ReturnTo = ""


class LoginBody(Body, frozen=True, kw_only=True):
    """Who logs in, and how the session is carried."""

    email: Email
    password: Secret
    mode: Literal["cookie", "token"] = "cookie"


class RefreshBody(Body, frozen=True, kw_only=True):
    """The refresh token to spend."""

    refresh_token: Secret


class Accepted(Struct, frozen=True, kw_only=True):
    """What everyone is told, whether or not the address has an account."""

    status: Literal["accepted"] = "accepted"


class UserView(Struct, frozen=True, kw_only=True):
    """An account, as others may see it."""

    id: str
    email: str
    roles: tuple[str, ...]


class LoginAnswer(Struct, frozen=True, kw_only=True):
    """A login that succeeded: with a CSRF token in cookie mode, with a pair of tokens in token mode."""

    status: Literal["authenticated"] = "authenticated"
    user: UserView
    csrf_token: str | UnsetType = UNSET
    access_token: Secret | UnsetType = UNSET
    refresh_token: Secret | UnsetType = UNSET
    expires_in: int | UnsetType = UNSET
    """Seconds."""
    token_type: str | UnsetType = UNSET


class TokenAnswer(Struct, frozen=True, kw_only=True):
    """The next pair of tokens (RFC 6749, section 5.1)."""

    access_token: Secret
    refresh_token: Secret
    expires_in: int
    """Seconds."""
    token_type: str = TOKEN


class CsrfAnswer(Struct, frozen=True, kw_only=True):
    """A token for ``X-CSRF-Token``."""

    csrf_token: str


class SessionView(Struct, frozen=True, kw_only=True):
    """The session that the request came with."""

    id: str
    authenticated_at: datetime
    via: str


class SessionAnswer(Struct, frozen=True, kw_only=True):
    """Who is logged in."""

    user: UserView
    session: SessionView


@post("/api/v1/auth/register", opt=public(), status_code=202, tags=["auth"])
async def register(data: JSONBody[Registration]) -> Accepted:
    """Sign up. The answer is the same whether the address had an account or not. Needs the token of the visit."""
    here = current()
    await csrf.check_before_login(here)
    policy = here.services.settings.identity.policy
    limit = Limit(name="register-address", count=policy.login_attempts_per_address, period=policy.login_window)
    await here.services.throttle.attempt(block(here.address) or "unknown", limit)
    await here.services.accounts.register(
        data.email,
        data.password,
        locale=data.locale or _language(here),
        return_to=data.return_to,
        actor=here.actor,
        correlation_id=here.correlation_id,
    )
    return Accepted()


def _language(here: Exchange) -> str:
    """The first language that the browser asks for."""
    accepted = here.headers.get(b"accept-language", b"")[:64].decode("latin-1")
    return accepted.partition(",")[0].partition(";")[0].strip()


@post("/api/v1/auth/login", opt=public(), status_code=200, tags=["auth"], type_encoders={Secret: Secret.reveal})
async def login(data: JSONBody[LoginBody]) -> Response[LoginAnswer]:
    """Log in. Cookie mode needs the token of the visit; token mode reads and sets no cookie."""
    here = current()
    by_cookie = data.mode == "cookie"
    if by_cookie:
        await csrf.check_before_login(here)
    done = await here.services.sessions.login(
        data.email,
        data.password,
        client=here.client if by_cookie else replace(here.client, browser=""),
        actor=here.actor,
        correlation_id=here.correlation_id,
        tokens=None if by_cookie else here.services.tokens,
    )
    if by_cookie:
        await _end_session_before(here)
    return logged_in(here, done)


def logged_in(here: Exchange, done: Login) -> Response[LoginAnswer]:
    """What is answered where a session has begun: with cookies, or with the pair of tokens that was asked for."""
    if done.pair is not None:
        return Response(by_token(done, done.pair))
    answer = LoginAnswer(user=view(done.user), csrf_token=here.services.csrf.issue(done.session.id))
    known = cookies.known_browser(here, done.user.email_key)
    return Response(answer, cookies=[cookies.session(here, done.token), cookies.no_visit(here), known])


def by_token(done: Login, pair: TokenPair) -> LoginAnswer:
    """The answer to a login in token mode."""
    return LoginAnswer(
        user=view(done.user),
        access_token=pair.access_token,
        refresh_token=pair.refresh_token,
        expires_in=pair.expires_in,
        token_type=TOKEN,
    )


async def _end_session_before(here: Exchange) -> None:
    """The session that this browser had is over, whoever's it was (ASVS 7.2.4)."""
    if old := here.cookie(here.site.cookies.session):
        try:
            principal = await here.services.sessions.by_cookie(old)
        except SessionEnded:
            return
        await here.services.sessions.logout(principal, actor=here.actor, correlation_id=here.correlation_id)


@post("/api/v1/auth/logout", opt=authenticated(), status_code=204, tags=["auth"])
async def logout() -> Response[None]:
    """End this session."""
    here = current()
    await here.services.sessions.logout(here.caller(), actor=here.actor, correlation_id=here.correlation_id)
    return _logged_out(here)


@post("/api/v1/auth/logout-all", opt=guard("identity:self"), status_code=204, tags=["auth"])
async def logout_all() -> Response[None]:
    """End every session of the caller, this one included."""
    here = current()
    await here.services.sessions.logout_all(here.caller(), actor=here.actor, correlation_id=here.correlation_id)
    return _logged_out(here)


@post("/api/v1/auth/token/refresh", opt=public(), status_code=200, tags=["auth"], type_encoders={Secret: Secret.reveal})
async def refresh(data: JSONBody[RefreshBody]) -> TokenAnswer:
    """Spend a refresh token for the next pair. Spending one twice ends its session. No cookie is read."""
    here = current()
    pair = await here.services.tokens.refresh(
        data.refresh_token.reveal(), actor=here.actor, correlation_id=here.correlation_id
    )
    return TokenAnswer(access_token=pair.access_token, refresh_token=pair.refresh_token, expires_in=pair.expires_in)


@get("/api/v1/auth/csrf", opt=public(), tags=["auth"])
async def csrf_token() -> Response[CsrfAnswer]:
    """A token for this session, or for this visit, which begins where there is none."""
    here = current()
    bound = await csrf.binding(here)
    begun: list[Cookie] = []
    if not bound:
        bound, cookie = csrf.begin_visit(here)
        begun.append(cookie)
    return Response(CsrfAnswer(csrf_token=here.services.csrf.issue(bound)), cookies=begun)


@get("/api/v1/auth/session", opt=authenticated(), tags=["auth"])
async def session() -> SessionAnswer:
    """Who is logged in."""
    caller = current().caller()
    return SessionAnswer(
        user=UserView(id=caller.user_id, email=caller.email, roles=caller.roles),
        session=SessionView(id=caller.session_id, authenticated_at=caller.authenticated_at, via=caller.via),
    )


@get("/.well-known/jwks.json", opt=public(), tags=["auth"])
async def jwks() -> Response[dict[str, Any]]:
    """The keys that verify our tokens (RFC 7517)."""
    keys = current().services.signer.public_keys()
    return Response(keys, headers={"Cache-Control": "public, max-age=300"})


def view(user: User) -> UserView:
    """What is shown of an account."""
    return UserView(id=user.id, email=user.email, roles=user.roles)


def _logged_out(here: Exchange) -> Response[None]:
    return Response(None, cookies=[cookies.no_session(here)], headers={"Clear-Site-Data": CLEARED})


ROUTES: tuple[HTTPRouteHandler, ...] = (register, login, logout, logout_all, refresh, csrf_token, session, jwks)
