"""Telemetry: health for whoever watches over the server, and metrics."""

from __future__ import annotations

import msgspec
from litestar import Response, get
from litestar.handlers import HTTPRouteHandler
from litestar.openapi import ResponseSpec
from litestar.types import Send
from msgspec import Struct

from tradesense.core.errors import NotFound
from tradesense.core.telemetry.models import Status
from tradesense.entrypoints.http.exchange import Exchange, current
from tradesense.entrypoints.http.guards import guard, public
from tradesense.settings.schema import Settings

UNAVAILABLE = 503
OK = 200


class State(Struct, frozen=True, kw_only=True):
    """One word. What exactly is wrong is told to who may know."""

    status: str


class Check(Struct, frozen=True, kw_only=True):
    """What one check found."""

    name: str
    status: str
    detail: str


class Detail(Struct, frozen=True, kw_only=True):
    """All checks."""

    status: str
    checks: tuple[Check, ...]


ALIVE = State(status=Status.UP)
_ALIVE = msgspec.json.encode(ALIVE)
_ALIVE_HEADERS = [(b"content-type", b"application/json"), (b"content-length", str(len(_ALIVE)).encode())]


async def answer_alive(_exchange: Exchange, send: Send) -> None:
    """``/health/live`` without Litestar: it is asked every second by someone."""
    await send({"type": "http.response.start", "status": OK, "headers": _ALIVE_HEADERS})
    await send({"type": "http.response.body", "body": _ALIVE, "more_body": False})


@get("/health/live", opt=public(), tags=["health"])
async def live() -> State:
    """Whether the process answers. It says nothing of its dependencies: a restart would not mend them."""
    return ALIVE


@get("/health/ready", opt=public(), tags=["health"])
async def ready() -> Response[State]:
    """Whether to send requests here: 503 while an essential dependency is down, and once the server is about to stop.

    Without one that is not essential it goes on, as `degraded`.
    """
    fit, word = await current().readiness.ready()
    return Response(State(status=word), status_code=OK if fit else UNAVAILABLE)


@get("/health/startup", opt=public(), tags=["health"])
async def startup() -> State:
    """Whether the start is over. It is, as nothing answers before."""
    return ALIVE


@get("/health", opt=guard("telemetry:read"), tags=["health"])
async def health() -> Detail:
    """Every check, with what it found."""
    report = await current().readiness.report()
    checks = tuple(Check(name=one.name, status=one.status, detail=one.detail) for one in report.checks)
    return Detail(status=report.status, checks=checks)


SCRAPED = {200: ResponseSpec(str, media_type="text/plain", description="One sample a line.", generate_examples=False)}


async def metrics() -> Response[bytes]:
    """The metrics, in Prometheus' text form.

    Anyone may read them in development and testing; elsewhere the scraper needs a token, unless
    ``telemetry.public_metrics`` says otherwise.
    """
    scrape = current().services.scrape
    if scrape is None:
        raise NotFound("the chosen metrics adapter is not one that is scraped", mend="set telemetry.metrics")
    kind, body = scrape.scrape()
    return Response(body, headers={"Content-Type": kind})


def routes(settings: Settings) -> tuple[HTTPRouteHandler, ...]:
    """The routes; who may read metrics is the settings' to say."""
    chosen = settings.telemetry.public_metrics
    anyone = settings.environment in {"development", "testing"} if chosen is None else chosen
    opt = public() if anyone else guard("telemetry:read")
    return (live, ready, startup, health, get("/metrics", opt=opt, tags=["telemetry"], responses=SCRAPED)(metrics))
