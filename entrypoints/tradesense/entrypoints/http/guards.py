"""Who may call which route. Every handler declares exactly one guard; without one the application does not start."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NoReturn

import msgspec
import structlog
from litestar import Litestar, Request, Response
from litestar.handlers import HTTPRouteHandler
from litestar.routes import HTTPRoute

from tradesense.core.audit.models import Outcome
from tradesense.core.audit.service import Event
from tradesense.core.errors import (
    ConfigurationError,
    CsrfRefused,
    Denied,
    MfaRequired,
    PermissionDenied,
    StepUpRequired,
)
from tradesense.core.identity.models import Principal, TokenKind, Via
from tradesense.core.identity.permissions import Permission, parse
from tradesense.core.identity.rules import Decision, Why
from tradesense.entrypoints.http import csrf, limits
from tradesense.entrypoints.http.exchange import Exchange, current
from tradesense.entrypoints.http.front import UNSAFE
from tradesense.entrypoints.http.recognising import authenticate

log = structlog.stdlib.get_logger("tradesense.http")

OPT = "guard"
"""The name under which a handler's guard lies in its ``opt``."""

NO_CONTENT = 204

PUBLIC = "public"
AUTHENTICATED = "authenticated"


class Guard(msgspec.Struct, frozen=True):
    """What a route asks of its caller: nothing, to be known, or a permission."""

    need: str
    path: str = ""
    """The path parameter that names the one thing that is asked for."""
    prefix: str = ""
    """The query parameter that says with what the things begin that are asked for."""
    step_up: bool = False
    """Whether it takes a login of the last minutes."""
    asks: Callable[[Request[Any, Any, Any]], Permission] | None = None
    """Finds out what is asked for where neither parameter says it alone; ``need`` is then what it mostly is."""

    def permission(self, request: Request[Any, Any, Any]) -> Permission:
        """What the caller of this request wants to do."""
        if self.asks is not None:
            return self.asks(request)
        wanted = parse(self.need)
        if self.path:
            return wanted.at(str(request.path_params[self.path]).removeprefix("/"))
        if self.prefix:
            return wanted.at(request.query_params.get(self.prefix, ""), below=True)
        return wanted

    @property
    def sentence(self) -> str:
        """The guard in words, for OpenAPI."""
        if self.need == PUBLIC:
            return "Anyone may call this."
        if self.need == AUTHENTICATED:
            return "Needs an authenticated caller."
        where = f" on `{self.path or self.prefix}`" if self.path or self.prefix else ""
        fresh = " and a login of the last five minutes" if self.step_up else ""
        return f"Needs the permission `{self.need}`{where}{fresh}."


def public() -> dict[str, Any]:
    """The ``opt`` of a route that anyone may call."""
    return {OPT: Guard(PUBLIC)}


def authenticated() -> dict[str, Any]:
    """The ``opt`` of a route that any authenticated caller may call."""
    return {OPT: Guard(AUTHENTICATED)}


def guard(
    permission: str,
    *,
    path: str = "",
    prefix: str = "",
    step_up: bool = False,
    asks: Callable[[Request[Any, Any, Any]], Permission] | None = None,
) -> dict[str, Any]:
    """The ``opt`` of a route that needs ``permission``, as in ``secrets:read``.

    :param path: the path parameter with the one thing that it is needed on.
    :param prefix: the query parameter that all things begin with that it is needed on.
    :param step_up: whether it takes a login of the last minutes, whatever the caller's roles say.
    :param asks: finds out what is asked for, where it takes more than one parameter.
    """
    return {OPT: Guard(permission, path, prefix, step_up, asks)}


class Entry(msgspec.Struct, frozen=True, order=True):
    """One route in the inventory."""

    path: str
    method: str
    guard: str


def inventory(app: Litestar) -> tuple[Entry, ...]:
    """Every route with its guard, by path.

    :raises ConfigurationError: a route has no guard, or has something in place of :func:`authorize`.
    """
    entries: list[Entry] = []
    for route in app.routes:
        if not isinstance(route, HTTPRoute):
            raise ConfigurationError(f"the route {route.path} is not HTTP and has no guard")
        for handler in route.route_handlers:
            if not _answers_options_alone(handler):
                entries += _entries(route.path_format, handler)
    return tuple(sorted(entries))


def _entries(path: str, handler: HTTPRouteHandler) -> list[Entry]:
    declared = handler.opt.get(OPT)
    if not isinstance(declared, Guard):
        raise ConfigurationError(f"the route {path} declares no guard", mend="give it `opt=guard(...)`")
    if handler.resolve_before_request() is not authorize:
        raise ConfigurationError(f"the route {path} replaces its guard", mend="remove its before_request")
    return [Entry(path, method, declared.need) for method in sorted(handler.http_methods)]


def _answers_options_alone(handler: HTTPRouteHandler) -> bool:
    """Litestar adds such a handler to every route; it says which methods there are and nothing more."""
    return handler.http_methods == {"OPTIONS"} and not handler.opt


async def authorize(request: Request[Any, Any, Any]) -> Response[None] | None:
    """Run before every handler.

    Of OPTIONS it is the answer as well: Litestar's own forgets the methods that were added to the path later.

    :raises Unauthenticated: the route needs a caller, and there is none.
    :raises PermissionDenied: the caller may not.
    :raises CsrfRefused: the caller's cookie came without proof that our own page sent it.
    :raises LimitExceeded: a rate limit of the route refuses it.
    :raises AuditUnavailable: a refusal could not be recorded.
    """
    handler = request.route_handler
    declared = handler.opt.get(OPT)
    if not isinstance(declared, Guard):
        if _answers_options_alone(handler):
            return _allowed(request)
        raise PermissionDenied("the route declares no guard")
    await admit(current(), declared, limits.of(request), handler, request)
    return None


async def admit(
    exchange: Exchange,
    declared: Guard,
    limited: limits.Limited,
    handler: HTTPRouteHandler,
    request: Request[Any, Any, Any] | None = None,
) -> None:
    """Let the caller in by a route's guard and limits, or raise as :func:`authorize` does.

    :param request: Litestar's, for a guard that asks for a permission on one thing.
    """
    before, after = limited
    if before:
        await limits.count(exchange, before)
    if declared.need == PUBLIC:
        if after:
            await limits.count(exchange, after)
        return
    principal = exchange.principal = await authenticate(exchange)
    if after:
        await limits.count(exchange, after)
    try:
        _check(request, exchange, declared, principal)
    except Denied as error:
        await _note(exchange, handler, _needed(request, declared, error), error)
        raise


def _allowed(request: Request[Any, Any, Any]) -> Response[None]:
    template = request.scope["path_template"]
    methods = {
        method
        for route in request.app.routes
        if isinstance(route, HTTPRoute) and route.path_format == template
        for handler in route.route_handlers
        for method in handler.http_methods
    }
    return Response(None, status_code=NO_CONTENT, headers={"Allow": ", ".join(sorted(methods))})


def _check(request: Request[Any, Any, Any] | None, exchange: Exchange, declared: Guard, principal: Principal) -> None:
    if principal.via is Via.COOKIE and exchange.method in UNSAFE:
        csrf.check(exchange, principal.session_id)
    if declared.need != AUTHENTICATED:
        wanted = declared.need if request is None else declared.permission(request)
        check(principal, wanted, exchange, step_up=declared.step_up)
    elif not principal.session_id:
        raise PermissionDenied("this is for who has logged in, and not for API keys")


def check(principal: Principal, wanted: Permission | str, exchange: Exchange, *, step_up: bool = False) -> None:
    """Go on only if the caller may do ``wanted``.

    :param step_up: whether it takes a login of the last minutes, whatever the roles say.
    :raises PermissionDenied: they may not.
    :raises StepUpRequired: they may on a fresh login.
    :raises MfaRequired: they may on a login with a second factor.
    """
    if not step_up and principal.permits(wanted):
        return  # without a look at the clock: a fresh login may do no less
    proof = principal.proof(exchange.services.clock.now())
    if not principal.rules.permits(wanted, proof):
        raise _refusal(principal.rules.explain(wanted, proof))
    if step_up and not proof.fresh:
        raise StepUpRequired(mend="log in again with POST /api/v1/auth/step-up")


def _refusal(decision: Decision) -> PermissionDenied:
    match decision.why:
        case Why.STEP_UP:
            return StepUpRequired(mend="log in again with POST /api/v1/auth/step-up")
        case Why.MFA:
            return MfaRequired(mend="log in with a second factor")
        case _:
            return PermissionDenied(f"this needs the permission {decision.permission}")


async def still(exchange: Exchange) -> Principal:
    """Who is asking, some time after the answer has begun.

    :raises Unauthenticated: the session has ended, or the token or the key has expired.
    """
    principal = exchange.caller()
    if principal.via is Via.KEY:
        return await authenticate(exchange)
    if principal.via is Via.BEARER:
        token = exchange.headers[b"authorization"].partition(b" ")[2]
        await exchange.services.signer.verify(TokenKind.ACCESS, token.strip().decode("latin-1"))
    return await exchange.services.recognition.recheck(principal)


async def demand(exchange: Exchange, wanted: Permission) -> None:
    """Check a permission on something that the path does not name, where the route takes any authenticated caller.

    :raises PermissionDenied: the caller has it not.
    :raises AuditUnavailable: the refusal could not be recorded.
    """
    try:
        check(exchange.caller(), wanted, exchange)
    except Denied as error:
        await deny(exchange, exchange.path, error, needs=str(wanted))


async def deny(exchange: Exchange, subject: str, error: Denied, *, needs: str = "") -> NoReturn:
    """Record a refusal, and refuse.

    :raises Denied: ``error``.
    :raises AuditUnavailable: it could not be recorded.
    """
    detail = {"needs": needs, "reason": error.code}
    event = Event("identity.denied", f"{exchange.method} {subject}", exchange.actor, exchange.correlation_id, detail)
    await exchange.services.trail.note(event, Outcome.DENIED)
    raise error


def _needed(request: Request[Any, Any, Any] | None, declared: Guard, error: Denied) -> str:
    """The permission as it was asked for, with the one thing that it is about."""
    if request is None or isinstance(error, CsrfRefused):  # which is found out before
        return declared.need
    return declared.need if declared.need == AUTHENTICATED else str(declared.permission(request))


async def _note(exchange: Exchange, handler: HTTPRouteHandler, needed: str, error: Denied) -> None:
    template = min(handler.paths)
    detail = {"needs": needed, "reason": error.code}
    event = Event("identity.denied", f"{exchange.method} {template}", exchange.actor, exchange.correlation_id, detail)
    await exchange.services.trail.note(event, Outcome.DENIED)
