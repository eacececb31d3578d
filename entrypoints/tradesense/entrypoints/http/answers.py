"""JSON answers, sent as they are.

Litestar's own response builds a mutable mapping of headers, fills in defaults and joins cookies; an answer that is data
alone needs none of it. Handlers that set headers or cookies return Litestar's ``Response``.
"""

from __future__ import annotations

from typing import Any

import msgspec
from litestar import Response
from litestar.response.base import ASGIResponse
from litestar.serialization import get_serializer
from litestar.types import Receive, Scope, Send

NO_CONTENT = 204
_ENCODER = msgspec.json.Encoder(enc_hook=get_serializer())
JSON = b"application/json"


class JsonAnswer(Response[Any]):
    """What Litestar makes of the data that a handler returns."""

    def __init__(
        self,
        content: Any,
        *,
        status_code: int | None = None,
        media_type: Any = None,
        type_encoders: Any = None,
        **_: Any,
    ) -> None:
        self.content = content
        self.status_code = status_code
        self.media_type = media_type
        self.response_type_encoders = type_encoders

    def to_asgi_response(self, *_: Any, **__: Any) -> ASGIResponse:
        """The answer, encoded."""
        status = self.status_code or 200
        if status == NO_CONTENT:
            return _Encoded(status, [], b"")
        content = self.content
        if isinstance(content, bytes):
            body = content
        elif self.response_type_encoders:
            body = msgspec.json.encode(content, enc_hook=get_serializer(self.response_type_encoders))
        else:
            body = _ENCODER.encode(content)
        headers = [(b"content-type", JSON), (b"content-length", str(len(body)).encode())]
        return _Encoded(status, headers, body)


class _Encoded(ASGIResponse):
    """A status, headers and a body."""

    def __init__(self, status: int, headers: list[tuple[bytes, bytes]], body: bytes) -> None:
        self.status_code = status
        self._sent = headers
        self.body = body

    async def __call__(self, _scope: Scope, _receive: Receive, send: Send) -> None:
        """Send it."""
        await send({"type": "http.response.start", "status": self.status_code, "headers": self._sent})
        await send({"type": "http.response.body", "body": self.body, "more_body": False})
