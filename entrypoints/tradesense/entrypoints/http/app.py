"""The HTTP application over open services."""

from __future__ import annotations

from functools import partial

from litestar import Litestar
from litestar.handlers import HTTPRouteHandler

from tradesense.entrypoints.http import (
    account,
    accounts,
    apikeys,
    audit,
    cache,
    changes,
    config,
    credentials,
    devices,
    events,
    experiments,
    flags,
    identity,
    limits,
    ofrep,
    openapi,
    plugins,
    roles,
    secrets,
    segments,
    sockets,
    telemetry,
    tokens,
    users,
    webhooks,
)
from tradesense.entrypoints.http.access import AccessLog
from tradesense.entrypoints.http.answers import JsonAnswer
from tradesense.entrypoints.http.codec import Routes, SecretSchema, StrictRequest, StrictSchema, as_it_is, is_secret
from tradesense.entrypoints.http.deadline import Deadline
from tradesense.entrypoints.http.front import Front
from tradesense.entrypoints.http.guards import authorize, inventory
from tradesense.entrypoints.http.handling import HANDLERS, tell
from tradesense.entrypoints.http.observe import Observe
from tradesense.entrypoints.http.ofrep import Ofrep
from tradesense.entrypoints.http.readiness import Readiness
from tradesense.entrypoints.http.routing import Templates
from tradesense.entrypoints.http.site import Site
from tradesense.entrypoints.lines import STDERR, Lines
from tradesense.entrypoints.services import Services
from tradesense.settings.schema import Settings

DIRECT = {("GET", "/health/live"): telemetry.answer_alive}
"""Routes that are answered before Litestar sees them."""


def create_app(services: Services, *, readiness: Readiness | None = None, log_to: Lines | int = STDERR) -> Observe:
    """The ASGI application. It opens and closes nothing: that is for who made ``services``.

    :param readiness: the server's, which tells it when it is about to stop.
    :param log_to: the lines of the access log, or the file descriptor that they go to.
    :raises ConfigurationError: a route declares no guard, or a setting of ``[http]`` cannot be used.
    """
    settings = services.settings
    site = Site(settings)
    routes, within = create_routes(settings, site), settings.http.answer_within
    return Observe(
        Front(
            Deadline(routes, within) if (within := settings.http.answer_within) else routes,
            settings.http,
            DIRECT,
            find=Ofrep(routes).find,
            forms=tokens.FORMS,
        ),
        services=services,
        site=site,
        readiness=readiness or Readiness(services.health, services.clock),
        templates=Templates(routes),
        log=AccessLog(settings.telemetry, services.clock, Lines(log_to) if isinstance(log_to, int) else log_to),
        sockets=partial(sockets.serve, limits.on(routes, "GET", sockets.PATH)),
    )


def create_routes(settings: Settings, site: Site) -> Litestar:
    """The rooms' routes, each with its guard.

    :raises ConfigurationError: one has none.
    """
    app = Routes(
        route_handlers=_handlers(settings),
        before_request=authorize,
        after_exception=[tell],
        exception_handlers=HANDLERS,
        request_class=StrictRequest,
        response_class=JsonAnswer,
        type_decoders=[(is_secret, as_it_is)],
        openapi_config=openapi.config(site),
        plugins=[SecretSchema(), StrictSchema()],
        logging_config=None,
        request_max_body_size=None,
        debug=False,
    )
    inventory(app)
    if settings.http.limits:
        app.state[limits.STATE] = limits.Limits(settings.http.limits, app)
    return app


def _handlers(settings: Settings) -> list[HTTPRouteHandler]:
    handlers = [
        *identity.ROUTES,
        *credentials.ROUTES,
        *tokens.ROUTES,
        *devices.ROUTES,
        *apikeys.ROUTES,
        *roles.ROUTES,
        *account.ROUTES,
        *accounts.ROUTES,
        *users.ROUTES,
        *webhooks.ROUTES,
        *secrets.ROUTES,
        *flags.ROUTES,
        *experiments.ROUTES,
        *segments.ROUTES,
        *changes.ROUTES,
        *ofrep.ROUTES,
        *config.ROUTES,
        *cache.ROUTES,
        *events.ROUTES,
        *audit.ROUTES,
        *plugins.ROUTES,
        *telemetry.routes(settings),
    ]
    for handler in handlers:
        openapi.describe(handler)
    return handlers
