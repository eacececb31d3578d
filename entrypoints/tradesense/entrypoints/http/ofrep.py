"""OFREP 0.3: flags evaluated for a context, one or all, and a stream that says when to ask again.

It is answered on raw ASGI, as nothing else is asked as often. The routes below stand in OpenAPI and in the inventory of
guards, and have the limits that settings give them.
"""

from __future__ import annotations

import asyncio
from contextlib import suppress
from typing import Any

import msgspec
import structlog
from litestar import Litestar, Response, get, post
from litestar.handlers import HTTPRouteHandler
from litestar.openapi import ResponseSpec
from litestar.params import FromPath, JSONBody
from litestar.types import Receive, Send

from tradesense.core.errors import ListenerDropped, TradeSenseError, Unavailable
from tradesense.core.flags.models import SUBJECT, ErrorCode
from tradesense.core.telemetry.instruments import FLAG_EVALUATIONS
from tradesense.core.telemetry.ports import Record
from tradesense.entrypoints.http import conditional, limits, problems
from tradesense.entrypoints.http.exchange import Exchange
from tradesense.entrypoints.http.front import Raw
from tradesense.entrypoints.http.guards import OPT, Guard, admit, guard
from tradesense.entrypoints.http.observe import send_answer
from tradesense.entrypoints.http.ofrep_shapes import (
    BulkFailure,
    BulkSuccess,
    Endpoint,
    EvaluationFailure,
    EvaluationRequest,
    EvaluationSuccess,
    EventStream,
    code_of,
    item,
    success,
)
from tradesense.entrypoints.http.problems import Refused

log = structlog.stdlib.get_logger("tradesense.http")

ALL = "/ofrep/v1/evaluate/flags"
ONE = f"{ALL}/"
EVENTS = "/ofrep/v1/events"
OK, NOT_MODIFIED, BAD_REQUEST, NOT_FOUND = 200, 304, 400, 404
BEAT_SECONDS = 10.0
"""How long a stream says nothing before it shows that it is still there."""
INACTIVITY_SECONDS = 120
AWAY_SECONDS = 1.0
"""Pause before the definitions are asked for again, while who keeps them is away."""

_JSON = (b"content-type", b"application/json")
_END = b'event: end\ndata: {"reason":"closing"}\n\n'
"""The last word of a stream that ends with the server: an event that OFREP's clients do not listen to."""
_STREAM = [(b"content-type", b"text/event-stream; charset=utf-8"), (b"x-accel-buffering", b"no")]


_STREAMS = (EventStream(type="sse", endpoint=Endpoint(request_uri=EVENTS), inactivity_delay_sec=INACTIVITY_SECONDS),)
_DECODER = msgspec.json.Decoder(EvaluationRequest)
_ENCODER = msgspec.json.Encoder()


@post(
    "/ofrep/v1/evaluate/flags/{key:str}",
    opt=guard("flags:evaluate"),
    status_code=200,
    tags=["ofrep"],
    responses={
        BAD_REQUEST: ResponseSpec(EvaluationFailure, description="Why there is no value.", generate_examples=False),
        NOT_FOUND: ResponseSpec(EvaluationFailure, description="There is no such flag.", generate_examples=False),
    },
)
async def evaluate(
    key: FromPath[str],  # noqa: ARG001  # for OpenAPI; raw ASGI answers
    data: JSONBody[EvaluationRequest],  # noqa: ARG001  # the same
) -> Response[EvaluationSuccess | EvaluationFailure]:
    """Evaluate one flag for a context (OFREP 0.3)."""
    raise Refused(problems.NO_ROUTE)


@post(
    "/ofrep/v1/evaluate/flags",
    opt=guard("flags:evaluate"),
    status_code=200,
    tags=["ofrep"],
    responses={BAD_REQUEST: ResponseSpec(BulkFailure, description="What is wrong.", generate_examples=False)},
)
async def evaluate_all(data: JSONBody[EvaluationRequest]) -> Response[BulkSuccess]:  # noqa: ARG001  # for OpenAPI
    """Evaluate all flags for a context (OFREP 0.3). Ask again with `If-None-Match`."""
    raise Refused(problems.NO_ROUTE)


@get("/ofrep/v1/events", opt=guard("flags:evaluate"), tags=["ofrep"], media_type="text/event-stream")
async def events() -> str:
    """Server-sent events: when the flags have changed, so that they should be evaluated again (OFREP 0.3)."""
    raise Refused(problems.NO_ROUTE)


ROUTES: tuple[HTTPRouteHandler, ...] = (evaluate, evaluate_all, events)


class Ofrep:
    """Answers OFREP."""

    def __init__(self, app: Litestar) -> None:
        known: limits.Limits | None = app.state.get(limits.STATE)
        self._limits = {
            name: limits.NONE if known is None else known.of(method, path)
            for name, method, path in (
                ("one", "POST", f"{ALL}/{{key}}"),
                ("all", "POST", ALL),
                ("events", "GET", EVENTS),
            )
        }
        self._counters: dict[str, Record] = {}

    def find(self, method: str, path: str) -> Raw | None:
        """Who answers."""
        if method == "POST" and path.startswith(ALL):
            if path.startswith(ONE) and len(path) > len(ONE) and "/" not in path[len(ONE) :]:
                return self._one
            return self._all if path == ALL else None
        return self._events if method == "GET" and path == EVENTS else None

    async def _one(self, exchange: Exchange, receive: Receive, send: Send) -> None:
        if not await self._admitted(exchange, send, "one", evaluate):
            return
        key = exchange.path[len(ONE) :]
        request = _read(await _body(receive))
        if isinstance(request, BulkFailure):
            await _answer_failure(send, key, request.error_code, request.error_details)
            return
        try:
            found = await exchange.services.flags.evaluate(key, request)
        except TradeSenseError as error:
            await _refuse(exchange, send, error)
            return
        self._count(exchange, found.reason)
        if found.error_code is not None:
            await _answer_failure(send, key, found.error_code, found.error_details)
            return
        exchange.services.experiments.served(found, request)
        await _answer(send, OK, _ENCODER.encode(success(found)))

    async def _all(self, exchange: Exchange, receive: Receive, send: Send) -> None:
        if not await self._admitted(exchange, send, "all", evaluate_all):
            return
        request = _read(await _body(receive))
        if isinstance(request, BulkFailure):
            await _answer(send, BAD_REQUEST, _ENCODER.encode(request))
            return
        try:
            found = await exchange.services.flags.evaluate_all(request)
        except TradeSenseError as error:
            await _refuse(exchange, send, error)
            return
        body = _ENCODER.encode(BulkSuccess(flags=[item(one) for one in found], event_streams=_STREAMS))
        etag = conditional.digest_tag(body)
        if conditional.matches(exchange, etag):
            await _answer(send, NOT_MODIFIED, b"", etag)
            return
        await _answer(send, OK, body, etag)

    async def _events(self, exchange: Exchange, receive: Receive, send: Send) -> None:
        if not await self._admitted(exchange, send, "events", events):
            return
        flags, readiness = exchange.services.flags, exchange.readiness
        try:
            if readiness.draining:
                raise ListenerDropped("the server is closing")
            tag = await flags.changed_since("", 0)
        except TradeSenseError as error:
            await _refuse(exchange, send, error)
            return
        await send({"type": "http.response.start", "status": OK, "headers": _STREAM})
        given = exchange.headers.get(b"last-event-id", b"").decode("latin-1")
        gone, closing = asyncio.ensure_future(_gone(receive)), asyncio.ensure_future(readiness.drained())
        try:
            first = _event(tag) if given and given != tag else b": ready\n\n"
            await send({"type": "http.response.body", "body": first, "more_body": True})
            while not (gone.done() or closing.done()):
                now = await _sooner((gone, closing), flags.changed_since(tag, BEAT_SECONDS))
                if now is None:
                    continue
                line = b": beat\n\n" if now == tag else _event(now)
                tag = now
                await send({"type": "http.response.body", "body": line, "more_body": True})
            if not gone.done():
                await send({"type": "http.response.body", "body": _END, "more_body": False})
        finally:
            gone.cancel()
            closing.cancel()

    async def _admitted(self, exchange: Exchange, send: Send, name: str, handler: HTTPRouteHandler) -> bool:
        declared: Guard = handler.opt[OPT]
        try:
            await admit(exchange, declared, self._limits[name], handler)
        except (TradeSenseError, Refused) as error:
            await _refuse(exchange, send, error)
            return False
        return True

    def _count(self, exchange: Exchange, reason: str) -> None:
        record = self._counters.get(reason)
        if record is None:
            record = self._counters[reason] = exchange.services.telemetry.bind(FLAG_EVALUATIONS, (reason,))
        record(1)


def _read(body: bytes) -> dict[str, Any] | BulkFailure:
    """The context, or what is wrong with the request."""
    try:
        context = _DECODER.decode(body).context
    except (msgspec.MsgspecError, UnicodeDecodeError) as error:
        fault = problems.fault(error)
        wrong = fault["path"].startswith("$.context") or "`context`" in fault["message"]
        code = ErrorCode.INVALID_CONTEXT if wrong else ErrorCode.PARSE_ERROR
        return BulkFailure(error_code=code, error_details=f"{fault['path']}: {fault['message']}")
    if not isinstance(context.get(SUBJECT, ""), str | None):
        return BulkFailure(error_code=ErrorCode.INVALID_CONTEXT, error_details="targetingKey is a text")
    return context


_STATUS: dict[str, int] = {ErrorCode.FLAG_NOT_FOUND: NOT_FOUND}


async def _answer_failure(send: Send, key: str, code: str, details: str) -> None:
    status = _STATUS.get(code, BAD_REQUEST)
    failure = EvaluationFailure(key=key, error_code=code_of(code), error_details=details)
    try:
        body = _ENCODER.encode(failure)
    except UnicodeEncodeError:  # a key whose percent-encoding is no UTF-8
        body = _ENCODER.encode(msgspec.structs.replace(failure, key=key.encode("utf-8", "replace").decode()))
    await _answer(send, status, body)


async def _answer(send: Send, status: int, body: bytes, etag: str = "") -> None:
    headers = [_JSON, (b"content-length", str(len(body)).encode())] if status != NOT_MODIFIED else []
    if etag:
        headers += [(b"etag", etag.encode()), (b"cache-control", b"private, no-cache")]
    await send({"type": "http.response.start", "status": status, "headers": headers})
    await send({"type": "http.response.body", "body": body, "more_body": False})


async def _refuse(exchange: Exchange, send: Send, error: TradeSenseError | Refused) -> None:
    if isinstance(error, Unavailable):
        log.warning("dependency unavailable", error=error.code, detail=error.line())
    bearer = b"authorization" in exchange.headers
    await send_answer(problems.answer_to(error, correlation_id=exchange.correlation_id, bearer=bearer), send)


async def _body(receive: Receive) -> bytes:
    message: Any = await receive()
    body: bytes = message.get("body", b"")
    return body


async def _gone(receive: Receive) -> None:
    """Wait until the client goes away."""
    while (await receive())["type"] != "http.disconnect":
        pass


async def _sooner(over: tuple[asyncio.Future[None], ...], changed: Any) -> str | None:
    """The tag, or nothing when the stream was over first, or the store away: the stream outlives an outage."""
    waiting = asyncio.ensure_future(changed)
    try:
        await asyncio.wait({*over, waiting}, return_when=asyncio.FIRST_COMPLETED)
        if waiting.done():
            tag: str = waiting.result()
            return tag
    except Unavailable as error:
        log.warning("dependency unavailable", error=error.code, detail=error.line())
        await asyncio.wait(over, timeout=AWAY_SECONDS, return_when=asyncio.FIRST_COMPLETED)
    finally:
        waiting.cancel()
        with suppress(asyncio.CancelledError, Unavailable):
            await waiting
    return None


def _event(tag: str) -> bytes:
    data = _ENCODER.encode({"type": "refetchEvaluation", "etag": tag}).decode()
    return f"id: {tag}\ndata: {data}\n\n".encode()
