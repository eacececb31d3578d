"""What the memory telemetry keeps."""

from __future__ import annotations

import pytest

from tradesense.adapters.memory.telemetry import (
    KEPT,
    MAX_SERIES,
    OVERFLOW,
    MemoryErrorReporter,
    MemoryTelemetry,
)
from tradesense.core.telemetry.models import Instrument, Kind, TraceContext
from tradesense.core.testing.checks import ManualClock

COUNTER = Instrument(name="c", kind=Kind.COUNTER, description="", labels=("a", "b"))
GAUGE = Instrument(name="g", kind=Kind.GAUGE, description="")
HISTOGRAM = Instrument(name="h", kind=Kind.HISTOGRAM, description="", buckets=(1.0, 2.0))
HERE = TraceContext("1" * 32, "2" * 16, sampled=True)


def test_counters_add_gauges_keep_the_last_and_histograms_distribute():
    telemetry = MemoryTelemetry(clock=ManualClock())
    for value in (1, 2, 1.5, 7):
        telemetry.bind(COUNTER, ("x", "y"))(value)
        telemetry.bind(GAUGE)(value)
        telemetry.bind(HISTOGRAM)(value)
    assert telemetry.series(COUNTER, ("x", "y")).value == 11.5
    assert telemetry.series(GAUGE).value == 7
    assert telemetry.series(HISTOGRAM).buckets == [1, 2, 1]
    assert telemetry.bind(GAUGE) == telemetry.bind(GAUGE)


def test_labels_beyond_the_bound_are_counted_together():
    telemetry = MemoryTelemetry(clock=ManualClock())
    for number in range(MAX_SERIES + 50):
        telemetry.bind(COUNTER, (str(number), "y"))(1)
    assert telemetry.series(COUNTER, (OVERFLOW, OVERFLOW)).value == 50


def test_spans_are_kept_with_their_time_and_error():
    clock = ManualClock()
    telemetry = MemoryTelemetry(clock=clock)
    with telemetry.span("fine", HERE, attributes={"a": 1}) as span:
        span.set("b", True)
        clock.advance(2)
    with pytest.raises(KeyError), telemetry.span("failed", HERE, parent=HERE):
        raise KeyError
    fine, failed = telemetry.spans
    assert (fine.name, fine.attributes, fine.seconds, fine.error) == ("fine", {"a": 1, "b": True}, 2, "")
    assert (failed.parent, failed.error) == (HERE, "KeyError")


def test_only_the_last_events_are_kept():
    telemetry = MemoryTelemetry(clock=ManualClock())
    for number in range(KEPT + 1):
        telemetry.event("e", {"n": number})
    assert (len(telemetry.events), telemetry.events[0].attributes) == (KEPT, {"n": 1})


class Broken(Exception):
    def __str__(self) -> str:
        raise RuntimeError


async def test_reporting_an_error_that_cannot_be_shown_does_not_raise():
    reporter = MemoryErrorReporter()
    await reporter.report(Broken(), {"route": "/"})
    await reporter.report(ValueError("plain"), {})
    assert [(one.error, one.context) for one in reporter.reported] == [("Broken", {"route": "/"}), ("ValueError", {})]
    assert reporter.reported[1].text == "ValueError: plain"
