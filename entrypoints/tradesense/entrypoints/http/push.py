"""Server-sent events (the HTML standard, section 9.2): the answer that does not end."""

from __future__ import annotations

from typing import Any

import msgspec
from litestar import Response
from litestar.types import ASGIApp, Receive, Scope, Send

from tradesense.core.cache.listener import News
from tradesense.entrypoints.http.exchange import Exchange
from tradesense.entrypoints.http.streams import Ended, Heartbeat, Told, Wish, listening, pump, told

EVENT_STREAM = "text/event-stream"
RECONNECT_MILLISECONDS = 1_000
"""What a browser waits before it comes back."""

_HEADERS = (
    (b"content-type", b"text/event-stream; charset=utf-8"),
    (b"cache-control", b"no-store"),
    (b"x-accel-buffering", b"no"),
)
"""The last is for proxies that would hold the events back."""


class EventStream(Response[bytes]):
    """What a client that was let through is pushed, until it goes or is told to."""

    def __init__(self, exchange: Exchange, wish: Wish) -> None:
        super().__init__(b"", media_type=EVENT_STREAM)
        self._exchange = exchange
        self._wish = wish

    def to_asgi_response(self, *_: Any, **__: Any) -> ASGIApp:  # type: ignore[override]  # Litestar only calls it
        """The stream itself."""
        return self._stream

    async def _stream(self, _scope: Scope, receive: Receive, send: Send) -> None:
        here, wish = self._exchange, self._wish
        async with listening(here, wish) as listener:
            here.streams = True
            await send({"type": "http.response.start", "status": 200, "headers": list(_HEADERS)})

            async def write(part: Told) -> None:
                await _send(send, rendered(part))

            async def gone() -> None:
                while (await receive())["type"] != "http.disconnect":
                    pass

            await _send(send, b"retry: %d\nid: %b\n\n" % (RECONNECT_MILLISECONDS, listener.cursor.encode()))
            if await pump(told(here, listener, wish.topics), listener, write, gone):
                await send({"type": "http.response.body", "body": b"", "more_body": False})


async def _send(send: Send, part: bytes) -> None:
    await send({"type": "http.response.body", "body": part, "more_body": True})


def rendered(part: Told) -> bytes:
    """One block of the stream."""
    match part:
        case News(gap=True):
            return b"event: gap\nid: %b\ndata: %b\n\n" % (
                part.cursor.encode(),
                msgspec.json.encode({"topic": part.topic}),
            )
        case News():
            lines = b"".join(b"data: %b\n" % line for line in part.message.splitlines() or [b""])
            return b"id: %b\n%b\n" % (part.cursor.encode(), lines)
        case Heartbeat():
            return b": heartbeat\nid: %b\n\n" % part.cursor.encode()
        case Ended():
            return b"event: end\ndata: %b\n\n" % msgspec.json.encode({"reason": part.reason})
