"""The access log: one line a request, rendered without a logging framework in between."""

from __future__ import annotations

from datetime import datetime

import msgspec

from tradesense.core.ambient import Clock
from tradesense.entrypoints.http.exchange import Exchange
from tradesense.entrypoints.lines import Lines
from tradesense.entrypoints.logs import line, visible
from tradesense.settings.schema import TelemetrySettings

SERVER_ERROR = 500
CLIENT_CLOSED = 499
"""What the log says where the client went away before it had an answer."""
CLOCK = slice(11, 19)
"""Hours, minutes and seconds in ISO 8601."""
MOST = 256
"""Characters of a path or a user agent."""


class Line(msgspec.Struct, kw_only=True):
    """One request. The query is not part of it: it is where tokens turn up by mistake (ASVS 14.2.1)."""

    timestamp: datetime
    level: str
    event: str = "request"
    correlation_id: str
    trace_id: str
    method: str
    path: str
    route: str
    status: int
    duration_ms: float
    client: str
    user: str = ""
    user_agent: str = ""


class AccessLog:
    """Writes ``lines``, in the form and from the level on that the settings say."""

    def __init__(self, settings: TelemetrySettings, clock: Clock, lines: Lines) -> None:
        self._clock = clock
        self._put = lines.write
        self._as_text = settings.log_format == "console"
        self._from_status = 0 if settings.log_level in {"debug", "info"} else SERVER_ERROR
        """The least status that is logged: with a high log level only what is the server's fault."""

    def write(self, exchange: Exchange, route: str, seconds: float) -> None:
        """Log one request that is over."""
        status = exchange.status or CLIENT_CLOSED
        if status < self._from_status:
            return
        if self._as_text:
            text = self._text(exchange, status, seconds).encode("utf-8", "replace")
        else:
            text = line(self._entry(exchange, route, status, seconds))
        self._put(text)

    def _entry(self, exchange: Exchange, route: str, status: int, seconds: float) -> Line:
        return Line(
            timestamp=self._clock.now(),
            level="error" if status >= SERVER_ERROR else "info",
            correlation_id=exchange.correlation_id,
            trace_id=exchange.trace.trace_id,
            method=exchange.method[:16],
            path=exchange.path[:MOST],
            route=route,
            status=status,
            duration_ms=round(seconds * 1000, 3),
            client=exchange.address,
            user=exchange.principal.user_id if exchange.principal else "",
            user_agent=exchange.headers.get(b"user-agent", b"")[:MOST].decode("latin-1"),
        )

    def _text(self, exchange: Exchange, status: int, seconds: float) -> str:
        """A line for a person: short, and nothing in it that moves their cursor."""
        return (
            f"{self._clock.now().isoformat(' ', 'seconds')[CLOCK]} {status} {visible(exchange.method)} "
            f"{visible(exchange.path)} {seconds * 1000:.1f} ms {exchange.correlation_id}"
        )
