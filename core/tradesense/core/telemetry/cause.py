"""What the work of this task is about: a request, a job, or nothing."""

from __future__ import annotations

from contextvars import ContextVar

from tradesense.core.telemetry.models import TraceContext

CAUSE: ContextVar[tuple[str, TraceContext | None]] = ContextVar("tradesense_cause", default=("", None))
"""Correlation id and place in the trace. Outside a request or a job there is neither."""
