"""A bound on how long a caller waits for an answer to begin, whatever the handler waits for."""

from __future__ import annotations

import asyncio
from typing import Any

import structlog
from litestar.types import ASGIApp, Message, Receive, Send

from tradesense.core.errors import AnswerTimedOut
from tradesense.entrypoints.http import problems
from tradesense.entrypoints.http.exchange import current
from tradesense.entrypoints.http.observe import send_answer

log = structlog.stdlib.get_logger("tradesense.http")


class Deadline:
    """Cancels a handler whose answer has not begun in time, and answers 503 in its place.

    Its transaction is rolled back; a commit that is under way is awaited, as nobody else could say what became of it.
    An answer that has begun, such as a stream of events, may take as long as it likes.
    """

    def __init__(self, app: ASGIApp, seconds: float) -> None:
        self._app = app
        self._seconds = seconds

    async def __call__(self, scope: Any, receive: Receive, send: Send) -> None:
        """Answer one request."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        limit, exchange = asyncio.timeout(self._seconds), current()

        async def begun(message: Message) -> None:
            if message["type"] == "http.response.start" and not limit.expired():
                limit.reschedule(None)
            await send(message)

        try:
            async with limit:
                await self._app(scope, receive, begun)
        except TimeoutError:
            if not limit.expired() or exchange.status:
                raise
            log.warning("no answer in time", path=exchange.path, seconds=self._seconds)
            error = AnswerTimedOut(origin="http.answer_within")
            await send_answer(problems.answer_to(error, correlation_id=exchange.correlation_id), send)
