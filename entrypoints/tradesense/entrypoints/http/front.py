"""What no route would take is refused here, before anything is parsed (ASVS 3.5.2, 5.2.3, 15.2.2)."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping
from typing import Any
from urllib.parse import parse_qsl

from litestar.types import ASGIApp, Message, Receive, Send

from tradesense.entrypoints.http import headers as answers
from tradesense.entrypoints.http import problems
from tradesense.entrypoints.http.body import JsonBody
from tradesense.entrypoints.http.exchange import Exchange, current
from tradesense.entrypoints.http.observe import send_answer
from tradesense.entrypoints.http.problems import Refused
from tradesense.settings.schema import HttpSettings

MAX_HEADERS = 16 * 1024
"""Bytes of all names and values."""
MAX_QUERY = 8 * 1024
MAX_PARAMETERS = 100

UNSAFE = frozenset({"POST", "PUT", "PATCH", "DELETE"})
PROBES = "/health/"
"""Asked by address, not by name, by what watches over the server."""

SINGULAR = frozenset(
    {
        b"authorization",
        b"content-encoding",
        b"content-length",
        b"content-type",
        b"host",
        b"if-match",
        b"if-none-match",
        b"origin",
        b"sec-fetch-site",
        b"x-api-key",
        b"x-csrf-token",
    }
)
"""Headers that mean nothing, or something dangerous, when they come twice."""

PLURAL = frozenset({"topic"})
"""The query parameters that may come several times, of which every one is looked at by who guards the route."""

Direct = Callable[[Exchange, Send], Awaitable[None]]
"""Answers a route without Litestar, for those that are asked most."""

Raw = Callable[[Exchange, Receive, Send], Awaitable[None]]
"""The same for a route that takes a body, which has been received and looked at by then."""

Find = Callable[[str, str], Raw | None]
"""From method and path to who answers, if not Litestar."""


class Front:
    """The second layer, inside :class:`~.observe.Observe`."""

    def __init__(
        self,
        app: ASGIApp,
        settings: HttpSettings,
        direct: Mapping[tuple[str, str], Direct],
        *,
        find: Find,
        forms: frozenset[str] = frozenset(),
    ) -> None:
        self._app = app
        self._find = find
        self._direct = direct
        self._body = JsonBody(most=settings.max_body, depth=settings.max_json_depth, forms=forms)

    async def __call__(self, scope: Any, receive: Receive, send: Send) -> None:
        """Refuse, answer directly, or hand on."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        exchange = current()
        method = exchange.method
        if (direct := self._direct.get((method, exchange.path))) is not None:
            await direct(exchange, send)
            return
        try:
            check_head(exchange, scope["query_string"])
            receive = await self._body.received(exchange, receive, expected=method in UNSAFE)
        except Refused as refusal:
            answer = problems.answer_to(refusal, correlation_id=exchange.correlation_id)
            await send_answer(answer, send)
            return
        if (raw := self._find(method, exchange.path)) is not None:
            await raw(exchange, receive, send)
            return
        if method == "HEAD":
            scope["method"], send = "GET", _headless(send)
        elif method == "OPTIONS" and _is_preflight(exchange):
            await _answer_preflight(send)
            return
        await self._app(scope, receive, send)


def check_head(exchange: Exchange, query: bytes) -> None:
    """Refuse what no route would take.

    :raises Refused: headers or query are too large, ambiguous, or name a host that we are not.
    """
    headers = exchange.headers
    if twice := exchange.twice & SINGULAR:
        names = ", ".join(sorted(name.decode("latin-1") for name in twice))
        raise Refused(problems.MALFORMED_REQUEST, f"sent more than once: {names}")
    if sum(map(len, headers)) + sum(map(len, headers.values())) > MAX_HEADERS:
        raise Refused(problems.HEADERS_TOO_LARGE, f"all headers together have at most {MAX_HEADERS} bytes")
    host = headers.get(b"host", b"")
    if not exchange.site.knows_host(host) and not exchange.path.startswith(PROBES):
        raise Refused(problems.UNKNOWN_HOST)
    if query:
        if len(query) > MAX_QUERY:
            raise Refused(problems.QUERY_TOO_LONG, f"a query has at most {MAX_QUERY} bytes")
        if query.count(b"&") >= MAX_PARAMETERS:
            raise Refused(problems.MALFORMED_REQUEST, f"a query has at most {MAX_PARAMETERS} parameters")
        if b"&" in query:
            # who guards a route and who answers it might each take another of the two (ASVS 15.3.7)
            pairs = parse_qsl(query.decode("latin-1"), keep_blank_values=True)
            sent = [name for name, _ in pairs if name not in PLURAL]
            if len(set(sent)) < len(sent):
                raise Refused(problems.MALFORMED_REQUEST, "a query parameter was sent more than once")


def _is_preflight(exchange: Exchange) -> bool:
    headers = exchange.headers
    return b"access-control-request-method" in headers and headers.get(b"origin") in exchange.site.foreign_origins


async def _answer_preflight(send: Send) -> None:
    await send({"type": "http.response.start", "status": 204, "headers": answers.preflight()})
    await send({"type": "http.response.body", "body": b"", "more_body": False})


def _headless(send: Send) -> Send:
    """HEAD is GET without the body (RFC 9110, section 9.3.2)."""

    async def without_body(message: Message) -> None:
        if message["type"] == "http.response.body":
            message["body"] = b""
        await send(message)

    return without_body
