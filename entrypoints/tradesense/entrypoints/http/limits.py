"""Rate limits on routes, as settings say: decided before the handler, told by ``RateLimit`` fields.

The fields are those of draft-ietf-httpapi-ratelimit-headers-10.
"""

from __future__ import annotations

import ipaddress
import math
from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

from litestar import Litestar, Request
from litestar.handlers import HTTPRouteHandler
from litestar.routes import HTTPRoute

from tradesense.core.cache.limits import Fail, Policy
from tradesense.core.cache.models import Limit, Verdict
from tradesense.core.errors import ConfigurationError, LimitExceeded
from tradesense.entrypoints.http.exchange import Exchange
from tradesense.entrypoints.http.headers import Header
from tradesense.settings.schema import LimitSettings

NETWORK_BITS = 64
"""Of an IPv6 address, what one subscriber is given at least; the rest of it is the subscriber's to choose."""

Key = Callable[[Exchange], str]


class Counted(NamedTuple):
    """A policy and who it counts."""

    policy: Policy
    key: Key


class Limited(NamedTuple):
    """The limits of one route."""

    before: tuple[Counted, ...]
    """Those that need not know who is calling."""
    after: tuple[Counted, ...]
    """Those that do."""


NONE = Limited((), ())


class Limits:
    """Which limits each route has."""

    def __init__(self, settings: dict[str, LimitSettings], app: Litestar) -> None:
        handlers = [
            (route.path_format, handler)
            for route in app.routes
            if isinstance(route, HTTPRoute)
            for handler in route.route_handlers
        ]
        found: dict[tuple[str, str], Limited] = {}
        for name, limit in settings.items():
            places = {place for path, handler in handlers for place in _places(limit.routes, path, handler)}
            _check(name, limit, handlers)
            counted = Counted(_policy(name, limit), KEYS[limit.by])
            for place in places:
                before, after = found.get(place, NONE)
                if limit.by == "address":
                    found[place] = Limited((*before, counted), after)
                else:
                    found[place] = Limited(before, (*after, counted))
        self._of = found

    def of(self, method: str, template: str) -> Limited:
        """The limits of a route."""
        return self._of.get((method, template), NONE)


STATE = "limits"
"""The name under which an application's limits lie in its state."""


def on(app: Litestar, method: str, template: str) -> Limited:
    """The limits of one of an application's routes."""
    known: Limits | None = app.state.get(STATE)
    return NONE if known is None else known.of(method, template)


def of(request: Request[Any, Any, Any]) -> Limited:
    """The limits of the route that a request is for."""
    known: Limits | None = request.app.state.get(STATE)
    return NONE if known is None else known.of(request.scope["method"], request.scope["path_template"])


async def count(exchange: Exchange, limits: Sequence[Counted]) -> None:
    """Count this request under ``limits``, in one round trip, and keep for the answer what they say.

    :raises LimitExceeded: one of them refuses it.
    :raises LimiterUnavailable: the count is not known, and one of them fails closed.
    """
    decision = await exchange.services.throttle.decide([(limit.policy, limit.key(exchange)) for limit in limits])
    exchange.limited += decision.verdicts
    if (refused := decision.refused) is not None:
        name = _name(refused)
        raise LimitExceeded(f"the limit {name!r} is reached", retry_after=decision.retry_after, origin=name)


def fields(limited: Sequence[tuple[Policy, Verdict]]) -> list[Header]:
    """``RateLimit-Policy``, which stays the same from answer to answer, and ``RateLimit``, which does not."""
    policies = [f'"{_name(policy)}";q={policy.limit.count};w={math.ceil(policy.limit.period)}' for policy, _ in limited]
    states = [
        f'"{_name(policy)}";r={verdict.remaining};t={math.ceil(verdict.reset_after)}' for policy, verdict in limited
    ]
    return [(b"ratelimit-policy", ", ".join(policies).encode()), (b"ratelimit", ", ".join(states).encode())]


PREFIX = "http-"
"""What the names of these limits begin with where they are counted and measured."""


def _policy(name: str, limit: LimitSettings) -> Policy:
    return Policy(
        limit=Limit(name=PREFIX + name, count=limit.count, period=limit.period),
        cost=limit.cost,
        fail=Fail(limit.fail),
        shadow=limit.shadow,
    )


def _name(policy: Policy) -> str:
    return policy.limit.name.removeprefix(PREFIX)


def _by_address(exchange: Exchange) -> str:
    address = exchange.address
    if ":" in address:
        try:
            parsed = ipaddress.IPv6Address(address)
        except ValueError:
            return f"address {address}"
        if parsed.ipv4_mapped is not None:
            return f"address {parsed.ipv4_mapped}"
        address = str(ipaddress.IPv6Network((int(parsed) >> NETWORK_BITS << NETWORK_BITS, NETWORK_BITS)))
    return f"address {address}"


def _by_user(exchange: Exchange) -> str:
    return _by_address(exchange) if exchange.principal is None else f"user {exchange.principal.user_id}"


def _by_key(exchange: Exchange) -> str:
    caller = exchange.principal
    return _by_address(exchange) if caller is None else f"key {caller.key_id or caller.session_id}"


KEYS: dict[str, Key] = {"address": _by_address, "user": _by_user, "api-key": _by_key}


def _places(routes: Sequence[str], path: str, handler: HTTPRouteHandler) -> list[tuple[str, str]]:
    """The methods and the template of a handler, as far as ``routes`` name them."""
    whole = not routes or path in routes or any(tag in routes for tag in handler.tags or ())
    return [(method, path) for method in handler.http_methods if whole or f"{method} {path}" in routes]


def _check(name: str, limit: LimitSettings, handlers: Sequence[tuple[str, HTTPRouteHandler]]) -> None:
    origin = f"http.limits.{name}"
    if limit.cost > limit.count:
        raise ConfigurationError(f"one request costs {limit.cost} of {limit.count}", origin=f"{origin}.cost")
    for route in limit.routes:
        if not any(_places((route,), path, handler) for path, handler in handlers):
            raise ConfigurationError(
                f"{route!r} is no route and no group of routes",
                origin=f"{origin}.routes",
                mend="name a path template or a tag of /schema/openapi.json",
            )
