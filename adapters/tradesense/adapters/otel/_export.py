"""Spans as OTLP's messages, sent by the SDK's exporter.

The SDK's encoder looks at every attribute of every span anew. Most of them are the same again and again - methods,
routes, statuses - so their messages are kept.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from functools import lru_cache
from typing import cast

from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest
from opentelemetry.proto.common.v1.common_pb2 import AnyValue, InstrumentationScope, KeyValue
from opentelemetry.proto.resource.v1.resource_pb2 import Resource
from opentelemetry.proto.trace.v1.trace_pb2 import ResourceSpans, ScopeSpans, Span, SpanFlags, Status
from opentelemetry.sdk.trace import ReadableSpan
from opentelemetry.sdk.trace.export import SpanExportResult

from tradesense.adapters.otel._spans import OpenSpan
from tradesense.core.telemetry.ports import AttributeValue

LOCAL = SpanFlags.SPAN_FLAGS_CONTEXT_HAS_IS_REMOTE_MASK
REMOTE = LOCAL | SpanFlags.SPAN_FLAGS_CONTEXT_IS_REMOTE_MASK
"""Whether the parent is of another process."""

SCOPE = InstrumentationScope(name="tradesense")
UNSET = Status()
INTEGERS = 2**63
"""What OTLP's integers hold."""
KEPT = 2_048
"""Messages of attributes."""


class Exporter(OTLPSpanExporter):
    """The SDK's exporter, its retries and its limits, for :class:`OpenSpan`."""

    resource: Mapping[str, AttributeValue] = {}
    """What all spans are of."""

    def export(self, spans: Sequence[ReadableSpan]) -> SpanExportResult:
        """Send the spans; what cannot be sent is dropped."""
        if self._shutdown:
            return SpanExportResult.FAILURE
        request = encoded(cast("Sequence[OpenSpan]", spans), self.resource)
        sent = self._client.export(request.SerializeToString())
        return SpanExportResult.SUCCESS if sent.success else SpanExportResult.FAILURE


def encoded(spans: Iterable[OpenSpan], resource: Mapping[str, AttributeValue]) -> ExportTraceServiceRequest:
    """The request that carries these spans."""
    return ExportTraceServiceRequest(
        resource_spans=[
            ResourceSpans(
                resource=Resource(attributes=_attributes(resource)),
                scope_spans=[ScopeSpans(scope=SCOPE, spans=[_span(span) for span in spans])],
            )
        ]
    )


def _span(span: OpenSpan) -> Span:
    place, parent = span.place, span.parent
    message = Span(
        trace_id=bytes.fromhex(place.trace_id),
        span_id=bytes.fromhex(place.span_id),
        name=_text(span.name),
        kind=Span.SPAN_KIND_SERVER if "http.request.method" in span.attributes else Span.SPAN_KIND_INTERNAL,
        start_time_unix_nano=span.began,
        end_time_unix_nano=span.ended,
        attributes=_attributes(span.attributes),
        status=Status(code=Status.STATUS_CODE_ERROR, message=_text(span.failure)) if span.failure else UNSET,
        flags=REMOTE if parent else LOCAL,
    )
    if parent:
        message.parent_span_id = bytes.fromhex(parent.span_id)
    for event in span.events:
        message.events.add(name=_text(event.name), time_unix_nano=event.at, attributes=_attributes(event.attributes))
    return message


def _attributes(attributes: Mapping[str, AttributeValue]) -> list[KeyValue]:
    return [_attribute(key, value) for key, value in attributes.items()]


@lru_cache(KEPT, typed=True)  # typed, as 1, 1.0 and True are the same key otherwise
def _attribute(key: str, value: AttributeValue) -> KeyValue:
    return KeyValue(key=_text(key), value=_value(value))


def _value(value: AttributeValue) -> AnyValue:
    match value:
        case bool():
            return AnyValue(bool_value=value)
        case int() if -INTEGERS <= value < INTEGERS:
            return AnyValue(int_value=value)
        case float():
            return AnyValue(double_value=value)
        case _:
            return AnyValue(string_value=_text(str(value)))


def _text(text: str) -> str:
    """``text`` with whatever UTF-8 does not encode replaced: one such character would spoil the whole export."""
    return text if text.isascii() else text.encode("utf-8", "replace").decode()
