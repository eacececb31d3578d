"""Logs: one JSON object a line, in UTC, whoever wrote it; or coloured text for a person's terminal.

Every line is ASCII and free of control characters: what a caller sent cannot begin a line, move a cursor or colour a
terminal (ASVS 16.4.1). A message is never formatted with text that came from outside; it is a name, and the text is a
field beside it.

structlog is heavy to import: only the server and the worker do.
"""

from __future__ import annotations

import json
import logging
import re
import sys
from collections.abc import Mapping, MutableMapping
from typing import Any, TextIO

import msgspec
import structlog
from structlog.typing import EventDict, Processor

from tradesense.core.telemetry.cause import CAUSE
from tradesense.settings.schema import TelemetrySettings

QUIET = ("alembic", "asyncio", "aiosqlite", "urllib3", "httpx2", "taskiq")
"""Libraries whose `info` and `debug` tell of themselves and not of the platform."""

_NOT_PRINTABLE_ASCII = re.compile(r"[^ -~]")
DELETE = b"\x7f"
_CONTROL = re.compile(r"[\x00-\x1f\x7f-\x9f\u200e\u200f\u2028-\u202e\u2066-\u2069\ud800-\udfff]")
_FIRST = ("timestamp", "level", "event", "correlation_id", "trace_id", "logger")


def configure(settings: TelemetrySettings, *, stream: TextIO | None = None) -> None:
    """Send structlog's and the standard library's logs to ``stream`` (standard error when left out)."""
    target = stream or sys.stderr
    shared: list[Processor] = [
        structlog.stdlib.add_log_level,
        structlog.stdlib.add_logger_name,
        structlog.processors.TimeStamper(fmt="iso", utc=True),
        _add_correlation,
        structlog.processors.format_exc_info,
    ]
    structlog.configure(
        processors=[
            structlog.stdlib.filter_by_level,
            *shared,
            structlog.stdlib.ProcessorFormatter.wrap_for_formatter,
        ],
        logger_factory=structlog.stdlib.LoggerFactory(),
        wrapper_class=structlog.stdlib.BoundLogger,
        cache_logger_on_first_use=True,
    )
    handler = logging.StreamHandler(target)
    handler.setFormatter(
        structlog.stdlib.ProcessorFormatter(
            foreign_pre_chain=shared,
            processors=[structlog.stdlib.ProcessorFormatter.remove_processors_meta, *_rendering(settings, target)],
        )
    )
    root = logging.getLogger()
    root.handlers[:] = [handler]
    root.setLevel(settings.log_level.upper())
    for name in QUIET:
        logging.getLogger(name).setLevel(max(logging.WARNING, root.level))
    logging.captureWarnings(capture=True)


def line(fields: Mapping[str, Any] | msgspec.Struct) -> bytes:
    """One JSON object in printable ASCII, without the line's end. Values that are no JSON are shown by ``str``."""
    try:
        encoded = msgspec.json.encode(fields, enc_hook=str)
    except (UnicodeEncodeError, TypeError, ValueError, OverflowError):
        plain = fields if isinstance(fields, Mapping) else msgspec.structs.asdict(fields)
        encoded = json.dumps(dict(plain), default=str, separators=(",", ":")).encode()
    if encoded.isascii() and DELETE not in encoded:  # the encoder has escaped the other control characters
        return encoded
    return _NOT_PRINTABLE_ASCII.sub(_escaped, encoded.decode()).encode()


def visible(text: str) -> str:
    """``text`` with control characters, line separators and direction marks written as escapes."""
    if text.isascii() and text.isprintable():
        return text
    return _CONTROL.sub(_escaped, text)


def _escaped(found: re.Match[str]) -> str:
    return json.dumps(found.group())[1:-1] if found.group() != "\x7f" else "\\u007f"


def _rendering(settings: TelemetrySettings, stream: TextIO) -> list[Processor]:
    if settings.log_format == "json":
        return [_to_json]
    return [_to_visible, structlog.dev.ConsoleRenderer(colors=stream.isatty())]


def _add_correlation(_logger: Any, _method: str, event: EventDict) -> EventDict:
    correlation, trace = CAUSE.get()
    if correlation:
        event.setdefault("correlation_id", correlation)
    if trace is not None:
        event.setdefault("trace_id", trace.trace_id)
    return event


def _to_json(_logger: Any, _method: str, event: EventDict) -> str:
    ordered = {name: event[name] for name in _FIRST if name in event}
    ordered.update(event)
    return line(ordered).decode()


def _to_visible(_logger: Any, _method: str, event: EventDict) -> MutableMapping[str, Any]:
    """A traceback keeps its line ends; everything else that a caller may have sent is made harmless."""
    return {
        name: visible(value) if isinstance(value, str) and name != "exception" else value
        for name, value in event.items()
    }
