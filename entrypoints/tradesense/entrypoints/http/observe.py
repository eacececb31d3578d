"""The outermost layer: names, trace, measurement, access log, security headers and the last word on errors.

All of it rides in one ASGI callable with one wrapped ``send``; as separate middleware it costs five times the CPU.
"""

from __future__ import annotations

import re
from collections.abc import Awaitable, Callable
from contextlib import suppress
from typing import Any

import structlog
from litestar.types import ASGIApp, Message, Receive, Send

from tradesense.core.telemetry.cause import CAUSE
from tradesense.core.telemetry.instruments import HTTP_ACTIVE_REQUESTS, HTTP_REQUEST_DURATION
from tradesense.core.telemetry.models import TraceContext
from tradesense.core.telemetry.ports import Record
from tradesense.entrypoints.http import headers as answers
from tradesense.entrypoints.http import limits, problems
from tradesense.entrypoints.http.access import CLIENT_CLOSED, AccessLog
from tradesense.entrypoints.http.exchange import CURRENT, Exchange
from tradesense.entrypoints.http.readiness import Readiness
from tradesense.entrypoints.http.routing import Templates
from tradesense.entrypoints.http.site import Site
from tradesense.entrypoints.services import Services

log = structlog.stdlib.get_logger("tradesense.http")

METHODS = frozenset({"GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"})
OTHER = "_OTHER"
"""The label of methods that are none of HTTP's common ones (OpenTelemetry's semantic conventions)."""

_CORRELATION_ID = re.compile(rb"[A-Za-z0-9._-]{1,128}")
_TRACE_BYTES, _SPAN_BYTES = 16, 8
_RANDOM = slice(8, 16)
"""The part of a trace id that W3C Trace Context asks to be random: the sampling decision is taken from it."""
RANGE = 2**64


Handshake = Callable[[Exchange, Any, Receive, Send], Awaitable[None]]
"""Answers a WebSocket's handshake, and whatever follows."""


class Observe:
    """The ASGI application around all others."""

    def __init__(
        self,
        app: ASGIApp,
        *,
        services: Services,
        site: Site,
        readiness: Readiness,
        templates: Templates,
        log: AccessLog,
        sockets: Handshake,
    ) -> None:
        self._app = app
        self._services = services
        self._site = site
        self._readiness = readiness
        self._templates = templates
        self._log = log
        self._sockets = sockets
        self._random = services.random
        self._monotonic = services.clock.monotonic
        self._traced = services.telemetry.traced
        self._sampled_below = int(services.settings.telemetry.sample_ratio * RANGE)
        self._active = 0
        self._record_active = services.telemetry.bind(HTTP_ACTIVE_REQUESTS)
        self._durations: dict[tuple[str, str, int], Record] = {}

    async def __call__(self, scope: Any, receive: Receive, send: Send) -> None:
        """Answer one request, whatever happens inside."""
        if scope["type"] != "http":
            await (self._socket if scope["type"] == "websocket" else self._app)(scope, receive, send)
            return
        began = self._monotonic()
        exchange, parent = self._exchange(scope)
        CURRENT.set(exchange)
        CAUSE.set((exchange.correlation_id, exchange.trace))
        own = self._own(exchange, parent)
        first = 0.0
        """When a stream began, which is how long it took; how long it goes on is the client's wish."""

        async def answer(message: Message) -> None:
            nonlocal first
            if message["type"] == "http.response.start":
                exchange.status = message["status"]
                if exchange.streams:
                    first = self._monotonic() - began
                if exchange.limited:
                    own.extend(limits.fields(exchange.limited))
                message["headers"] = answers.completed(message["headers"], own)
            await send(message)

        self._active += 1
        self._record_active(self._active)
        try:
            if exchange.trace.sampled and self._traced:
                await self._spanned(exchange, parent, scope, receive, answer)
            else:
                await self._app(scope, receive, answer)
        except Exception as error:  # noqa: BLE001  # the last place where an error can become an answer
            await self._failed(error, exchange, answer)
        finally:
            self._active -= 1
            self._record_active(self._active)
            self._over(exchange, scope, self._monotonic() - began, first)

    async def _socket(self, scope: Any, receive: Receive, send: Send) -> None:
        """A handshake and what follows it. There is a line in the log once it is over, as for a request."""
        began = self._monotonic()
        exchange, parent = self._exchange(scope)
        CURRENT.set(exchange)
        CAUSE.set((exchange.correlation_id, exchange.trace))
        first = 0.0

        async def answer(message: Any) -> None:
            nonlocal first
            if message["type"] == "websocket.http.response.start":
                exchange.status = message["status"]
                own = self._own(exchange, parent)
                if exchange.limited:
                    own.extend(limits.fields(exchange.limited))
                message["headers"] = answers.completed(message["headers"], own)
            first = first or self._monotonic() - began
            await send(message)

        try:
            await self._sockets(exchange, scope, receive, answer)
        except Exception as error:  # noqa: BLE001  # the last place where an error can become an answer
            await self._tell(error, exchange)
            with suppress(OSError):
                await send({"type": "websocket.close", "code": 1011, "reason": ""})
        finally:
            self._over(exchange, scope, self._monotonic() - began, first)

    def _exchange(self, scope: Any) -> tuple[Exchange, TraceContext | None]:
        pairs = scope["headers"]
        headers: dict[bytes, bytes] = dict(pairs)
        trace, parent = self._trace(headers.get(b"traceparent"))
        given = headers.get(b"x-request-id")
        # Without an id of the caller's the trace's own will do: one name less, and logs and traces meet in it.
        correlation = given.decode() if given and _CORRELATION_ID.fullmatch(given) else trace.trace_id
        exchange = Exchange(
            self._services,
            self._site,
            self._readiness,
            method=scope.get("method", "GET"),
            path=scope["path"],
            peer=scope["client"][0] if scope["client"] else "",
            headers=headers,
            correlation_id=correlation,
            trace=trace,
        )
        if len(headers) != len(pairs):
            exchange.twice = _joined(headers, pairs)
        return exchange, parent

    def _trace(self, header: bytes | None) -> tuple[TraceContext, TraceContext | None]:
        """Our own place in the trace, and the caller's. The caller's decision on recording is followed."""
        if header is not None and (parent := TraceContext.parse(header.decode("latin-1"))) is not None:
            return TraceContext(parent.trace_id, self._random.bytes(_SPAN_BYTES).hex(), parent.sampled), parent
        drawn = self._random.bytes(_TRACE_BYTES + _SPAN_BYTES)
        sampled = int.from_bytes(drawn[_RANDOM]) < self._sampled_below
        return TraceContext(drawn[:_TRACE_BYTES].hex(), drawn[_TRACE_BYTES:].hex(), sampled), None

    def _own(self, exchange: Exchange, parent: TraceContext | None) -> list[answers.Header]:
        """The headers that are this answer's own."""
        own = [(b"x-request-id", exchange.correlation_id.encode())]
        if parent is not None:  # who takes part in the trace is told the name of our span
            own.append((b"traceparent", exchange.trace.traceparent().encode()))
        if self._site.foreign_origins:
            own += answers.cors(self._site, exchange.headers.get(b"origin"))
        return own

    async def _spanned(
        self, exchange: Exchange, parent: TraceContext | None, scope: Any, receive: Receive, send: Send
    ) -> None:
        method = exchange.method if exchange.method in METHODS else OTHER
        template = self._templates.of(exchange.path, method)
        attributes: dict[str, str | int | float | bool] = {"http.request.method": method, "http.route": template}
        with self._services.telemetry.span(
            f"{method} {template}", exchange.trace, parent=parent, attributes=attributes
        ) as span:
            await self._app(scope, receive, send)
            span.set("http.response.status_code", exchange.status)

    async def _tell(self, error: Exception, exchange: Exchange) -> None:
        log.error("request failed", error=type(error).__qualname__, exc_info=error)
        await self._services.errors.report(
            error, {"correlation_id": exchange.correlation_id, "trace_id": exchange.trace.trace_id}
        )

    async def _failed(self, error: Exception, exchange: Exchange, send: Send) -> None:
        await self._tell(error, exchange)
        if exchange.status:
            raise error  # the answer has begun: the connection is cut, so that nobody takes half for the whole
        await send_answer(problems.answer_to(error, correlation_id=exchange.correlation_id), send)

    def _over(self, exchange: Exchange, scope: Any, seconds: float, first: float) -> None:
        method = exchange.method if exchange.method in METHODS else OTHER
        route = scope.get("path_template") or self._templates.of(exchange.path, method)
        key = (method, route, exchange.status or CLIENT_CLOSED)
        record = self._durations.get(key)
        if record is None:
            labels = (method, route, str(key[2]))
            record = self._durations[key] = self._services.telemetry.bind(HTTP_REQUEST_DURATION, labels)
        record(first or seconds)
        self._log.write(exchange, route, seconds)


def _joined(headers: dict[bytes, bytes], pairs: list[tuple[bytes, bytes]]) -> frozenset[bytes]:
    """The names that come more than once. HTTP/2 splits cookies over several headers, which are put together here."""
    names = [name for name, _ in pairs]
    if names.count(b"cookie") > 1:
        headers[b"cookie"] = b"; ".join(value for name, value in pairs if name == b"cookie")
    return frozenset(name for name in headers if names.count(name) > 1)


async def send_answer(answer: problems.Answer, send: Send) -> None:
    """Send a problem without any framework."""
    await send(
        {
            "type": "http.response.start",
            "status": answer.status,
            "headers": [
                (b"content-type", problems.CONTENT_TYPE),
                (b"content-length", str(len(answer.body)).encode()),
                *((name.lower().encode(), value.encode()) for name, value in answer.headers.items()),
            ],
        }
    )
    await send({"type": "http.response.body", "body": answer.body, "more_body": False})
