"""Traces and metrics for OpenTelemetry: sent over OTLP/HTTP to a collector."""

from __future__ import annotations

from collections.abc import Iterable

from tradesense.adapters.otel.settings import OtelSettings
from tradesense.core.capabilities import Capability
from tradesense.core.telemetry.ports import Telemetry
from tradesense.plugins import Adapter, Requirement, hookimpl


@hookimpl
def tradesense_adapters() -> Iterable[Adapter]:
    """The one adapter."""
    return (
        Adapter(
            port=Telemetry,
            name="otel",
            factory="tradesense.adapters.otel.telemetry:telemetry",
            summary="Traces and metrics to an OpenTelemetry collector",
            settings=OtelSettings,
            section="telemetry.otel",
            capabilities=frozenset({Capability.TRACES, Capability.METRICS}),
            requires=(
                Requirement("opentelemetry.sdk", "opentelemetry-sdk", "server"),
                Requirement(
                    "opentelemetry.exporter.otlp.proto.http", "opentelemetry-exporter-otlp-proto-http", "server"
                ),
            ),
        ),
    )
