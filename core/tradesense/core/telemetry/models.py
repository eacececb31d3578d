"""What is measured, how a trace is named, and how well a dependency is."""

from __future__ import annotations

import re
from enum import StrEnum

import msgspec

_TRACEPARENT = re.compile(r"00-([0-9a-f]{32})-([0-9a-f]{16})-([0-9a-f]{2})")
SAMPLED = 1


class Kind(StrEnum):
    """What a number means."""

    COUNTER = "counter"
    """Values add up."""
    GAUGE = "gauge"
    """The last value counts."""
    HISTOGRAM = "histogram"
    """Values are distributed over buckets."""


class Instrument(msgspec.Struct, frozen=True, kw_only=True):
    """Something that is measured. Instruments are declared once, as module constants."""

    name: str
    """As OpenTelemetry's semantic conventions name it, with dots, as in ``http.server.request.duration``."""
    kind: Kind
    description: str
    unit: str = ""
    """UCUM, as in ``s`` or ``By``; empty for a plain count."""
    labels: tuple[str, ...] = ()
    """Label names. Their values must be bounded: a route's template, never a path (ASVS 16.2.2)."""
    buckets: tuple[float, ...] = ()
    """Upper bounds of a histogram's buckets, ascending."""


class TraceContext(msgspec.Struct, frozen=True):
    """Where we are in a trace (W3C Trace Context, level 1)."""

    trace_id: str
    """32 lower-case hexadecimal digits, not all zero."""
    span_id: str
    """16 lower-case hexadecimal digits, not all zero."""
    sampled: bool

    def traceparent(self) -> str:
        """The header's value."""
        return f"00-{self.trace_id}-{self.span_id}-{'01' if self.sampled else '00'}"

    @classmethod
    def parse(cls, header: str) -> TraceContext | None:
        """The context that a ``traceparent`` header names; ``None`` when it is malformed, and is to be ignored."""
        match = _TRACEPARENT.fullmatch(header)
        if match is None:
            return None
        trace_id, span_id, flags = match.groups()
        if trace_id == "0" * 32 or span_id == "0" * 16:
            return None
        return cls(trace_id, span_id, bool(int(flags, 16) & SAMPLED))


class Status(StrEnum):
    """How a dependency is."""

    UP = "up"
    DEGRADED = "degraded"
    """It works on a fallback."""
    DOWN = "down"


class Health(msgspec.Struct, frozen=True, kw_only=True):
    """What one check found. ``detail`` is for operators, holds no secret and is never shown without permission."""

    name: str
    status: Status
    detail: str = ""


class Alert(msgspec.Struct, frozen=True, kw_only=True):
    """Something that a person should know now."""

    name: str
    severity: str
    """``info``, ``warning`` or ``critical``."""
    summary: str
    labels: dict[str, str] = {}
