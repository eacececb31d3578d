"""Telemetry: metrics, traces, events, errors, alerts and health."""

from tradesense.core.telemetry.models import Alert, Health, Instrument, Kind, Status, TraceContext
from tradesense.core.telemetry.ports import (
    AlertNotifier,
    ErrorReporter,
    HealthCheck,
    Record,
    Scrapable,
    Span,
    Telemetry,
)

__all__ = (
    "Alert",
    "AlertNotifier",
    "ErrorReporter",
    "Health",
    "HealthCheck",
    "Instrument",
    "Kind",
    "Record",
    "Scrapable",
    "Span",
    "Status",
    "Telemetry",
    "TraceContext",
)
