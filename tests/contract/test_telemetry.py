"""The adapters of the telemetry room keep their contracts."""

from __future__ import annotations

import pytest

import contracted
from telemetry.otlp import collecting
from tradesense.core.telemetry import AlertNotifier, ErrorReporter, HealthCheck, Kind, Telemetry
from tradesense.core.testing import (
    AlertNotifierContract,
    EndedSpan,
    ErrorReporterContract,
    HealthCheckContract,
    Reading,
    ReportedError,
    TelemetryContract,
)


def ended(span) -> EndedSpan:
    """A span as the memory adapter keeps it."""
    return EndedSpan(
        name=span.name,
        trace_id=span.context.trace_id,
        span_id=span.context.span_id,
        parent_id=span.parent.span_id if span.parent else "",
        failed=bool(span.error),
        attributes=span.attributes,
    )


class OneEach:
    """Every call makes an adapter as the platform does."""

    provider = "memory"

    @pytest.fixture
    def adapter(self):
        return lambda: contracted.build(contracted.manifest(self.provider, self.port), contracted.context())


class TestMemoryTelemetry(OneEach, TelemetryContract):
    capabilities = contracted.manifest("memory", Telemetry).capabilities

    @pytest.fixture
    def metrics(self):
        async def read(telemetry, instrument, labels):
            series = telemetry.series(instrument, labels)
            return [Reading(series.value, series.count if instrument.kind is Kind.HISTOGRAM else 0)]

        return read

    @pytest.fixture
    def spans(self):
        async def read(telemetry):
            return [ended(span) for span in telemetry.spans]

        return read


class TestMemoryErrors(OneEach, ErrorReporterContract):
    capabilities = contracted.manifest("memory", ErrorReporter).capabilities

    @pytest.fixture
    def reported(self):
        async def read(reporter):
            return [ReportedError(error=one.error, context=one.context) for one in reporter.reported]

        return read


class TestMemoryAlerts(OneEach, AlertNotifierContract):
    capabilities = contracted.manifest("memory", AlertNotifier).capabilities

    @pytest.fixture
    def notified(self):
        async def read(notifier):
            return list(notifier.notified)

        return read


class TestNullTelemetry(OneEach, TelemetryContract):
    provider = "null"
    capabilities = contracted.manifest("null", Telemetry).capabilities


class TestNullErrors(OneEach, ErrorReporterContract):
    provider = "null"
    capabilities = contracted.manifest("null", ErrorReporter).capabilities


class TestNullAlerts(OneEach, AlertNotifierContract):
    provider = "null"
    capabilities = contracted.manifest("null", AlertNotifier).capabilities


class TestNullHealth(OneEach, HealthCheckContract):
    provider = "null"
    capabilities = contracted.manifest("null", HealthCheck).capabilities


class TestPrometheusTelemetry(OneEach, TelemetryContract):
    provider = "prometheus"
    capabilities = contracted.manifest("prometheus", Telemetry).capabilities


class TestOtelTelemetry(TelemetryContract):
    capabilities = contracted.manifest("otel", Telemetry).capabilities

    @pytest.fixture
    def collector(self):
        with collecting() as collector:
            yield collector

    @pytest.fixture
    def adapter(self, collector):
        manifest = contracted.manifest("otel", Telemetry)
        settings = {"endpoint": collector.url, "interval": 0.05, "timeout": 5.0}
        return lambda: contracted.build(manifest, contracted.context(), **settings)

    @pytest.fixture
    def metrics(self, collector):
        async def read(_, instrument, labels):
            metric = collector.metrics().get(instrument.name)
            if metric is None:
                return []
            wanted = dict(zip(instrument.labels, labels, strict=True))
            points = getattr(metric, metric.WhichOneof("data")).data_points
            found = [point for point in points if attributes(point) == wanted]
            if instrument.kind is Kind.HISTOGRAM:
                return [Reading(point.sum, point.count) for point in found]
            return [Reading(getattr(point, point.WhichOneof("value"))) for point in found]

        return read

    @pytest.fixture
    def spans(self, collector):
        async def read(_):
            return [
                EndedSpan(
                    name=span.name,
                    trace_id=span.trace_id.hex(),
                    span_id=span.span_id.hex(),
                    parent_id=span.parent_span_id.hex(),
                    failed=span.status.code == 2,
                    attributes=attributes(span),
                )
                for span, _ in collector.spans()
            ]

        return read


def attributes(message):
    return {one.key: getattr(one.value, one.value.WhichOneof("value")) for one in message.attributes}
