"""``Telemetry`` over opentelemetry-sdk, exported over OTLP/HTTP."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping
from contextlib import AbstractContextManager
from importlib.metadata import version
from threading import Timer
from typing import Self, cast

from opentelemetry.exporter.otlp.proto.http import Compression
from opentelemetry.exporter.otlp.proto.http.metric_exporter import OTLPMetricExporter
from opentelemetry.metrics import Meter
from opentelemetry.sdk.metrics import AlwaysOffExemplarFilter, MeterProvider
from opentelemetry.sdk.metrics.export import PeriodicExportingMetricReader
from opentelemetry.sdk.resources import Resource
from opentelemetry.sdk.trace.export import BatchSpanProcessor

from tradesense.adapters.otel._export import Exporter
from tradesense.adapters.otel._spans import CURRENT, NO_SPAN, End, OpenSpan
from tradesense.adapters.otel.settings import OtelSettings
from tradesense.core.errors import ConfigurationError
from tradesense.core.telemetry.models import Instrument, Kind, TraceContext
from tradesense.core.telemetry.ports import AttributeValue, Record, Span, Telemetry
from tradesense.plugins.manifest import AdapterContext

BATCH = 512
"""Spans in one export."""

_Measure = Callable[[float, dict[str, str]], None]


class OtelTelemetry:
    """Spans and metrics for a collector. Before opening and after closing it takes everything and keeps nothing."""

    def __init__(self, settings: OtelSettings) -> None:
        self._settings = settings
        self._headers = parse_headers(settings.headers.reveal())
        self._compression = Compression.Gzip if settings.compress else Compression.NoCompression
        self._resource: dict[str, AttributeValue] = {
            "service.name": settings.service_name,
            "service.version": version("tradesense"),
            "telemetry.sdk.language": "python",
            "telemetry.sdk.name": "opentelemetry",
            "telemetry.sdk.version": version("opentelemetry-sdk"),
        }
        self._open = False
        self._exporter: Exporter | None = None
        self._processor: BatchSpanProcessor | None = None
        self._meters: MeterProvider | None = None
        self._measures: dict[str, _Measure] = {}

    async def __aenter__(self) -> Self:
        settings = self._settings
        self._exporter = Exporter(
            endpoint=f"{settings.endpoint.rstrip('/')}/v1/traces",
            headers=self._headers,
            timeout=settings.timeout,
            compression=self._compression,
        )
        self._exporter.resource = self._resource
        self._processor = BatchSpanProcessor(
            self._exporter,
            max_queue_size=settings.queue,
            schedule_delay_millis=settings.interval * 1000,
            max_export_batch_size=min(BATCH, settings.queue),
            export_timeout_millis=settings.timeout * 1000,
        )
        self._open = True
        return self

    async def __aexit__(self, *_: object) -> None:
        self._open = False
        await asyncio.to_thread(self._stop)

    def bind(self, instrument: Instrument, labels: tuple[str, ...] = ()) -> Record:
        """See :meth:`Telemetry.bind`."""
        attributes = dict(zip(instrument.labels, labels, strict=False))
        found: list[_Measure] = []

        def record(value: float) -> None:
            if not self._open:
                return
            if not found:
                found.append(self._measure(instrument))
            found[0](value, attributes)

        return record

    def span(
        self,
        name: str,
        context: TraceContext,
        *,
        parent: TraceContext | None = None,
        attributes: Mapping[str, AttributeValue] | None = None,
    ) -> AbstractContextManager[Span]:
        """See :meth:`Telemetry.span`. A trace that is not sampled records nothing."""
        processor = self._processor
        if not (self._open and context.sampled) or processor is None:
            return NO_SPAN
        # the processor looks at `context` and leaves the rest to the exporter
        return OpenSpan(name, context, parent, attributes, end=cast("End", processor.on_end))

    def event(self, name: str, attributes: Mapping[str, AttributeValue]) -> None:
        """See :meth:`Telemetry.event`. It is noted on the span that is open, if one is."""
        if (span := CURRENT.get()) is not None:
            span.note(name, attributes)

    def _measure(self, instrument: Instrument) -> _Measure:
        measure = self._measures.get(instrument.name)
        if measure is None:
            measure = self._measures[instrument.name] = _measuring(self._metering(), instrument)
        return measure

    def _metering(self) -> Meter:
        """The meter. Its exporter starts with the first value, so that who only traces sends no metrics."""
        if self._meters is None:
            settings = self._settings
            exporter = OTLPMetricExporter(
                endpoint=f"{settings.endpoint.rstrip('/')}/v1/metrics",
                headers=self._headers,
                timeout=settings.timeout,
                compression=self._compression,
            )
            reader = PeriodicExportingMetricReader(
                exporter,
                export_interval_millis=settings.interval * 1000,
                export_timeout_millis=settings.timeout * 1000,
            )
            self._meters = MeterProvider(
                [reader], Resource(self._resource), exemplar_filter=AlwaysOffExemplarFilter(), shutdown_on_exit=False
            )
        return self._meters.get_meter("tradesense")

    def _stop(self) -> None:
        """Send what waits, for ``timeout`` seconds at most, and stop the SDK's threads."""
        if self._processor is not None and self._exporter is not None:
            enough = Timer(self._settings.timeout, self._exporter.shutdown)
            enough.start()
            self._processor.shutdown()  # type: ignore[no-untyped-call]  # the library has no types here
            enough.cancel()
        if self._meters is not None:
            self._meters.shutdown(timeout_millis=self._settings.timeout * 1000)
        self._processor = self._exporter = self._meters = None
        self._measures.clear()


def _measuring(meter: Meter, instrument: Instrument) -> _Measure:
    name, unit, text = instrument.name, instrument.unit, instrument.description
    match instrument.kind:
        case Kind.COUNTER:
            return meter.create_counter(name, unit, text).add
        case Kind.GAUGE:
            return meter.create_gauge(name, unit, text).set
        case Kind.HISTOGRAM:
            return meter.create_histogram(
                name, unit, text, explicit_bucket_boundaries_advisory=instrument.buckets or None
            ).record


def parse_headers(text: str) -> dict[str, str]:
    """``name=value,name=value`` as a mapping; names in lower case.

    :raises ConfigurationError: a part has no ``=``; the message does not hold the text, which is a secret.
    """
    headers: dict[str, str] = {}
    for part in filter(None, (part.strip() for part in text.split(","))):
        name, equals, value = part.partition("=")
        if not equals or not name.strip():
            raise ConfigurationError(
                "a header has the form name=value", origin="telemetry.otel.headers", mend="join several with commas"
            )
        headers[name.strip().lower()] = value.strip()
    return headers


def telemetry(settings: OtelSettings, context: AdapterContext) -> OtelTelemetry:  # noqa: ARG001  # a factory's signature
    """The factory that the manifest names.

    :raises ConfigurationError: the headers cannot be read.
    """
    return OtelTelemetry(settings)


_: type[Telemetry] = OtelTelemetry
