"""The contracts of the telemetry room."""

from tradesense.core.testing.telemetry.instruments import TelemetryContract
from tradesense.core.testing.telemetry.readings import EndedSpan, Reading, read_exposition
from tradesense.core.testing.telemetry.reporting import (
    AlertNotifierContract,
    ErrorReporterContract,
    HealthCheckContract,
    ReportedError,
)

__all__ = (
    "AlertNotifierContract",
    "EndedSpan",
    "ErrorReporterContract",
    "HealthCheckContract",
    "Reading",
    "ReportedError",
    "TelemetryContract",
    "read_exposition",
)
