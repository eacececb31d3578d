"""WebSockets (RFC 6455): the one that pushes events, and the refusal of every other.

They are answered here and not by Litestar, so that all that is asked of a request is asked of a handshake as well.
"""

from __future__ import annotations

import asyncio
from contextlib import AsyncExitStack
from typing import Any
from urllib.parse import parse_qs

import msgspec
from litestar.types import Receive, Scope, Send

from tradesense.core.cache.listener import Listener, News
from tradesense.core.errors import Denied, InvalidInput, PermissionDenied, TradeSenseError
from tradesense.core.identity.models import Via
from tradesense.entrypoints.http import front, limits, problems
from tradesense.entrypoints.http.exchange import Exchange
from tradesense.entrypoints.http.guards import deny
from tradesense.entrypoints.http.limits import Limited
from tradesense.entrypoints.http.problems import Refused
from tradesense.entrypoints.http.recognising import authenticate
from tradesense.entrypoints.http.streams import (
    Ended,
    Heartbeat,
    Told,
    Wish,
    check_readable,
    listening,
    pump,
    told,
    wished,
)

PATH = "/api/v1/events/ws"

FIRST_MESSAGE_SECONDS = 10.0
"""How long a client may take to say what it wants to hear."""
MOST_FIRST = 8 * 1024
"""Bytes of that."""

SWITCHING_PROTOCOLS = 101
GOING_AWAY, POLICY, TOO_LARGE, TRY_LATER = 1001, 1008, 1009, 1013
"""Close codes of RFC 6455 and the registry that it began."""
CODES = {"slow": TRY_LATER, "closing": GOING_AWAY, "revoked": POLICY}


class _First(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A client's first message."""

    topics: list[str]
    last_event_id: str = ""


class _Closed(Exception):  # it ends a conversation, and is no error
    """The client has closed the connection, or is to be told a code."""

    def __init__(self, code: int = 0, why: str = "") -> None:
        super().__init__(why)
        self.code = code
        self.why = why


async def serve(limited: Limited, exchange: Exchange, scope: Scope, receive: Receive, send: Send) -> None:
    """Answer a handshake, and whatever follows.

    :param limited: the rate limits of :data:`PATH`.
    """
    await receive()
    query: bytes = scope["query_string"]
    async with AsyncExitStack() as stack:
        try:
            front.check_head(exchange, query)
            await _authorize(exchange, limited)
            opened = await _listening(exchange, _asked(query), stack)
        except (Refused, TradeSenseError) as error:
            await _refuse(exchange, error, scope, send)
            return
        exchange.streams, exchange.status = True, SWITCHING_PROTOCOLS
        await send({"type": "websocket.accept", "subprotocol": None, "headers": []})
        try:
            opened = opened or await _listening(exchange, await _first(exchange, receive), stack)
            if opened is not None:
                await _push(exchange, *opened, receive, send)
        except _Closed as closed:
            if closed.code:
                await send({"type": "websocket.close", "code": closed.code, "reason": closed.why})
        except TradeSenseError as error:
            code = POLICY if isinstance(error, InvalidInput | Denied) else TRY_LATER
            await send({"type": "websocket.close", "code": code, "reason": error.code})


async def _authorize(exchange: Exchange, limited: Limited) -> None:
    """Who is asking, and how often.

    A browser sends its cookie with a handshake that any page asks for, and says which page it was.

    :raises Refused: there is no such WebSocket.
    :raises Unauthenticated: nobody who is known.
    :raises LimitExceeded: a rate limit of the route refuses it.
    :raises PermissionDenied: a page of somebody else's, or a cookie without an origin.
    """
    if exchange.path != PATH:
        raise Refused(problems.NO_ROUTE)
    if limited.before:
        await limits.count(exchange, limited.before)
    origin = exchange.headers.get(b"origin")
    if origin is not None and origin not in exchange.site.origins:
        await deny(exchange, PATH, PermissionDenied("a page of another origin may not open this"))
    exchange.principal = await authenticate(exchange)
    if limited.after:
        await limits.count(exchange, limited.after)
    if origin is None and exchange.principal.via is Via.COOKIE:
        await deny(exchange, PATH, PermissionDenied("with a cookie, the handshake says its origin"))


def _asked(query: bytes) -> Wish | None:
    """What the query asks for; nothing where it names no topic.

    :raises InvalidInput: it asks for what cannot be.
    """
    try:
        asked = parse_qs(query.decode("ascii"), keep_blank_values=True, max_num_fields=front.MAX_PARAMETERS)
    except ValueError as error:
        raise InvalidInput("the query is not one") from error
    last = asked.get("last_event_id", [""])[-1]
    return wished(asked["topic"], last) if "topic" in asked else None


async def _first(exchange: Exchange, receive: Receive) -> Wish:
    """What the first message asks for. A server that closes does not wait for it."""

    async def received() -> Any:  # a task of our own, as what the server gives to wait on cannot be cancelled like one
        return await receive()

    tasks = waiting, closing = (
        asyncio.ensure_future(received()),
        asyncio.ensure_future(exchange.readiness.drained()),
    )
    try:
        await asyncio.wait(tasks, timeout=FIRST_MESSAGE_SECONDS, return_when=asyncio.FIRST_COMPLETED)
        if not waiting.done():
            raise (
                _Closed(GOING_AWAY, "closing") if closing.done() else _Closed(POLICY, "the first message did not come")
            )
        message: Any = waiting.result()
    finally:
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
    if message["type"] != "websocket.receive":
        raise _Closed
    text = message.get("text") or message.get("bytes") or ""
    if len(text) > MOST_FIRST:
        raise _Closed(TOO_LARGE, "the first message is too large")
    try:
        first = msgspec.json.decode(text, type=_First)
    except (msgspec.MsgspecError, UnicodeError) as error:
        raise _Closed(POLICY, "the first message names topics") from error
    return wished(first.topics, first.last_event_id)


async def _listening(exchange: Exchange, wish: Wish | None, stack: AsyncExitStack) -> tuple[Wish, Listener] | None:
    if wish is None:
        return None
    await check_readable(exchange, wish.topics)
    return wish, await stack.enter_async_context(listening(exchange, wish))


async def _push(exchange: Exchange, wish: Wish, listener: Listener, receive: Receive, send: Send) -> None:
    last: list[Ended] = []

    async def write(part: Told) -> None:
        await send({"type": "websocket.send", "text": rendered(part), "bytes": None})
        if isinstance(part, Ended):
            last.append(part)

    async def gone() -> None:
        if (await receive())["type"] != "websocket.disconnect":
            raise _Closed(POLICY, "nothing more is expected")

    await send({"type": "websocket.send", "text": _json({"kind": "open", "id": listener.cursor}), "bytes": None})
    # The connection is closed once nobody waits for a message any more: until then the server does not close it.
    if await pump(told(exchange, listener, wish.topics), listener, write, gone) and last:
        raise _Closed(CODES[last[0].reason], last[0].reason)


async def _refuse(exchange: Exchange, error: Exception, scope: Any, send: Send) -> None:
    """Answer the handshake as a request (the ASGI extension for it); a server that cannot says 403 by itself."""
    if "websocket.http.response" not in (scope.get("extensions") or {}):
        await send({"type": "websocket.close", "code": POLICY, "reason": ""})
        return
    answer = problems.answer_to(
        error, correlation_id=exchange.correlation_id, bearer=b"authorization" in exchange.headers
    )
    headers = [(b"content-type", problems.CONTENT_TYPE), (b"content-length", str(len(answer.body)).encode())]
    headers += [(name.lower().encode(), value.encode()) for name, value in answer.headers.items()]
    begin: Any = {"type": "websocket.http.response.start", "status": answer.status, "headers": headers}
    await send(begin)
    await send({"type": "websocket.http.response.body", "body": answer.body, "more_body": False})


def rendered(part: Told) -> str:
    """One message."""
    match part:
        case News(gap=True):
            return _json({"kind": "gap", "topic": part.topic, "id": part.cursor})
        case News():
            head = _json({"kind": "event", "topic": part.topic, "id": part.cursor})
            return f'{head[:-1]},"event":{part.message.decode("utf-8", "replace") or "null"}}}'
        case Heartbeat():
            return _json({"kind": "heartbeat", "id": part.cursor})
        case Ended():
            return _json({"kind": "end", "reason": part.reason})


def _json(members: dict[str, str]) -> str:
    return msgspec.json.encode(members).decode()
