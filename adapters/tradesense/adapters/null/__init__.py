"""Nobody: adapters that take everything and keep nothing."""

from __future__ import annotations

from collections.abc import Iterable

from tradesense.core.identity.ports import BreachedPasswords
from tradesense.core.telemetry.ports import AlertNotifier, ErrorReporter, HealthCheck, Telemetry
from tradesense.plugins import Adapter, hookimpl

_HERE = "tradesense.adapters.null"


@hookimpl
def tradesense_adapters() -> Iterable[Adapter]:
    """What this provider offers."""
    return (
        Adapter(
            port=Telemetry,
            name="null",
            factory=f"{_HERE}.telemetry:telemetry",
            summary="Records nothing",
        ),
        Adapter(
            port=ErrorReporter,
            name="null",
            factory=f"{_HERE}.telemetry:errors",
            summary="Reports no errors",
        ),
        Adapter(
            port=AlertNotifier,
            name="null",
            factory=f"{_HERE}.telemetry:alerts",
            summary="Brings alerts to nobody",
        ),
        Adapter(
            port=HealthCheck,
            name="null",
            factory=f"{_HERE}.telemetry:check",
            summary="Is always well",
        ),
        Adapter(
            port=BreachedPasswords,
            name="null",
            factory=f"{_HERE}.identity:breached",
            summary="Knows no password",
        ),
    )
