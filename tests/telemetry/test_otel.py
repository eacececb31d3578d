"""The OpenTelemetry adapter against a real OTLP/HTTP receiver."""

from __future__ import annotations

import asyncio
import time

import msgspec
import pytest

from tradesense.adapters.otel.settings import OtelSettings
from tradesense.adapters.otel.telemetry import OtelTelemetry, parse_headers
from tradesense.core.errors import ConfigurationError
from tradesense.core.sensitive import Secret
from tradesense.core.telemetry.models import Instrument, Kind, TraceContext

PARENT = TraceContext("4bf92f3577b34da6a3ce929d0e0e4736", "00f067aa0ba902b7", True)
CONTEXT = TraceContext("4bf92f3577b34da6a3ce929d0e0e4736", "a2fb4a1d1a96d312", True)
DURATION = Instrument(
    name="http.server.request.duration",
    kind=Kind.HISTOGRAM,
    description="d",
    unit="s",
    labels=("route",),
    buckets=(0.1, 1.0),
)
LOGINS = Instrument(name="tradesense.identity.logins", kind=Kind.COUNTER, description="l", labels=("outcome",))
ACTIVE = Instrument(name="http.server.active_requests", kind=Kind.GAUGE, description="a")


def settings(collector, **more):
    return OtelSettings(endpoint=collector.url, **{"interval": 0.05, "timeout": 5.0, **more})


async def waited(collector, found):
    await asyncio.to_thread(collector.wait, found)


async def test_a_span_carries_exactly_the_given_ids(collector):
    async with OtelTelemetry(settings(collector)) as telemetry:
        with telemetry.span(
            "GET /a", CONTEXT, parent=PARENT, attributes={"http.request.method": "GET", "n": 3}
        ) as span:
            span.set("http.response.status_code", 200)
            telemetry.event("cache.miss", {"key": "k"})
        await waited(collector, collector.spans)
    (span, resource), *others = collector.spans()
    assert not others
    assert (span.trace_id.hex(), span.span_id.hex()) == (CONTEXT.trace_id, CONTEXT.span_id)
    assert span.parent_span_id.hex() == PARENT.span_id
    assert span.name == "GET /a"
    attributes = {a.key: a.value for a in span.attributes}
    assert attributes["http.response.status_code"].int_value == 200
    assert attributes["n"].int_value == 3
    assert [event.name for event in span.events] == ["cache.miss"]
    assert {a.key: a.value.string_value for a in resource.attributes}["service.name"] == "tradesense"
    assert 0 < span.start_time_unix_nano <= span.end_time_unix_nano


async def test_attributes_keep_their_types_and_their_number(collector):
    given = {"flag": True, "whole": 1, "broken": 1.0, "huge": 2**80, "negative": -(2**63), "text": "für"}
    async with OtelTelemetry(settings(collector)) as telemetry:
        for number in (1, 2):
            with telemetry.span(f"x{number}", CONTEXT, attributes=given) as span:
                span.set("whole", number)
    first, second = ({a.key: a.value for a in span.attributes} for span, _ in collector.spans())
    assert [first[key].WhichOneof("value") for key in given] == [
        "bool_value",
        "int_value",
        "double_value",
        "string_value",
        "int_value",
        "string_value",
    ]
    assert (first["whole"].int_value, second["whole"].int_value) == (1, 2)
    assert first["negative"].int_value == -(2**63)
    assert first["text"].string_value == "für"


async def test_text_that_has_no_encoding_spoils_neither_its_span_nor_others(collector):
    async with OtelTelemetry(settings(collector)) as telemetry:
        with telemetry.span("a\ud800", CONTEXT, attributes={"b\udfff": "c\ud800"}):
            telemetry.event("d\ud800", {"e": "\ud800"})
        with telemetry.span("whole", CONTEXT):
            pass
    (spoilt, _), (whole, _) = collector.spans()
    assert (spoilt.name, spoilt.attributes[0].key, spoilt.attributes[0].value.string_value) == ("a?", "b?", "c?")
    assert whole.name == "whole"


@pytest.mark.parametrize(("parent", "flags"), [(PARENT, 0x300), (None, 0x100)])
async def test_a_span_says_whether_its_parent_is_of_another_process(collector, parent, flags):
    async with OtelTelemetry(settings(collector)) as telemetry:
        with telemetry.span("x", CONTEXT, parent=parent):
            pass
    (span, _), *_others = collector.spans()
    assert span.flags == flags


async def test_a_span_without_a_parent_is_a_root(collector):
    async with OtelTelemetry(settings(collector)) as telemetry:
        with telemetry.span("root", CONTEXT):
            pass
    (span, _), *_others = collector.spans()
    assert span.parent_span_id == b""


async def test_an_error_marks_the_span_and_goes_on_without_its_text(collector):
    async with OtelTelemetry(settings(collector)) as telemetry:
        with pytest.raises(ValueError, match="hunter2"), telemetry.span("x", CONTEXT):
            raise ValueError("hunter2")
    (span, _), *_others = collector.spans()
    assert span.status.code == 2
    assert "hunter2" not in str(span)
    assert span.events[0].attributes[0].value.string_value == "ValueError"


async def test_a_trace_that_is_not_sampled_sends_nothing(collector):
    quiet = TraceContext(CONTEXT.trace_id, CONTEXT.span_id, False)
    async with OtelTelemetry(settings(collector)) as telemetry:
        with telemetry.span("x", quiet) as span:
            span.set("a", 1)
    assert collector.exports == []


async def test_what_waits_is_sent_when_the_adapter_closes(collector):
    async with OtelTelemetry(settings(collector, interval=600)) as telemetry:
        for _ in range(1000):
            with telemetry.span("x", CONTEXT):
                pass
    assert len(collector.spans()) == 1000


async def test_a_refused_export_is_tried_again(collector):
    collector.refusals = 1
    async with OtelTelemetry(settings(collector)) as telemetry:
        with telemetry.span("x", CONTEXT):
            pass
        await waited(collector, collector.spans)
    assert len(collector.spans()) == 1


async def test_metrics_arrive_with_their_labels_and_buckets(collector):
    async with OtelTelemetry(settings(collector, interval=600)) as telemetry:
        telemetry.bind(LOGINS, ("succeeded",))(1)
        telemetry.bind(LOGINS, ("succeeded",))(2)
        telemetry.bind(ACTIVE)(7)
        for value in (0.05, 0.5, 5):
            telemetry.bind(DURATION, ("/a",))(value)
    metrics = collector.metrics()
    (logins,) = metrics[LOGINS.name].sum.data_points
    assert logins.as_double or logins.as_int == 3
    assert logins.attributes[0].value.string_value == "succeeded"
    assert metrics[ACTIVE.name].gauge.data_points[0].as_int == 7
    (duration,) = metrics[DURATION.name].histogram.data_points
    assert list(duration.bucket_counts) == [1, 1, 1]
    assert list(duration.explicit_bounds) == [0.1, 1.0]


@pytest.mark.parametrize("compress", [True, False])
async def test_an_export_is_compressed_when_asked(collector, compress):
    async with OtelTelemetry(settings(collector, compress=compress)) as telemetry:
        with telemetry.span("x", CONTEXT):
            pass
    (_, headers, _), *_others = collector.exports
    assert (headers.get("content-encoding") == "gzip") is compress
    assert len(collector.spans()) == 1


async def test_headers_go_with_every_export_and_are_not_shown(collector):
    chosen = settings(collector, headers=Secret("X-Tenant=t1, x-api-key=hunter2"))
    async with OtelTelemetry(chosen) as telemetry:
        with telemetry.span("x", CONTEXT):
            pass
    (_, headers, _), *_others = collector.exports
    assert headers["x-tenant"] == "t1"
    assert headers["x-api-key"] == "hunter2"
    assert "hunter2" not in repr(chosen)


def test_headers_that_cannot_be_read_are_refused_without_being_shown():
    with pytest.raises(ConfigurationError) as refused:
        parse_headers("hunter2")
    assert "hunter2" not in refused.value.line()


async def test_nothing_is_raised_before_opening_and_after_closing(collector):
    telemetry = OtelTelemetry(settings(collector))
    record = telemetry.bind(LOGINS, ("x",))
    record(1)
    async with telemetry:
        pass
    record(1)
    with telemetry.span("x", CONTEXT) as span:
        span.set("a", 1)
    telemetry.event("e", {})
    assert collector.exports == []


async def test_a_collector_that_is_away_neither_raises_nor_holds_up_the_end():
    telemetry = OtelTelemetry(OtelSettings(endpoint="http://127.0.0.1:9", interval=600, timeout=1.0))
    async with telemetry:
        for _ in range(600):
            with telemetry.span("x", CONTEXT):
                pass
        began = time.monotonic()
    assert time.monotonic() - began < 10


def test_settings_have_bounds():
    with pytest.raises(msgspec.ValidationError):
        msgspec.convert({"timeout": 0}, OtelSettings)
