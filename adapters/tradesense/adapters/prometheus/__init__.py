"""Metrics for Prometheus: counted in the process, read as a text from `/metrics`."""

from __future__ import annotations

from collections.abc import Iterable

from tradesense.adapters.prometheus.settings import PrometheusSettings
from tradesense.core.capabilities import Capability
from tradesense.core.telemetry.ports import Telemetry
from tradesense.plugins import Adapter, Requirement, hookimpl


@hookimpl
def tradesense_adapters() -> Iterable[Adapter]:
    """The one adapter."""
    return (
        Adapter(
            port=Telemetry,
            name="prometheus",
            factory="tradesense.adapters.prometheus.telemetry:telemetry",
            summary="Metrics that Prometheus scrapes",
            settings=PrometheusSettings,
            section="telemetry.prometheus",
            capabilities=frozenset({Capability.METRICS, Capability.SCRAPE}),
            requires=(Requirement("prometheus_client", "prometheus-client", "server"),),
        ),
    )
