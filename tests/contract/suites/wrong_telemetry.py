"""Metrics and traces that are wrong on purpose, and the tests that must catch them."""

from __future__ import annotations

from contextlib import contextmanager, suppress

import pytest
from msgspec.structs import replace

from tradesense.adapters.memory.telemetry import (
    MemoryTelemetry,
    RecordedSpan,
)
from tradesense.adapters.prometheus.settings import PrometheusSettings
from tradesense.adapters.prometheus.telemetry import PrometheusTelemetry
from tradesense.adapters.system.ambient import SystemClock
from tradesense.core.capabilities import Capability
from tradesense.core.telemetry import Kind
from tradesense.core.testing import (
    Contract,
    EndedSpan,
    Reading,
    TelemetryContract,
)


class Kept(TelemetryContract):
    """The memory adapter, which is right; what is wrong is a subclass of it."""

    capabilities = frozenset({Capability.METRICS, Capability.TRACES})
    patience = 0.1
    Telemetry = MemoryTelemetry

    @pytest.fixture
    def adapter(self):
        return lambda: self.Telemetry(clock=SystemClock())

    @pytest.fixture
    def metrics(self):
        async def read(telemetry, instrument, labels):
            series = telemetry.series(instrument, labels)
            return [Reading(series.value, series.count if instrument.kind is Kind.HISTOGRAM else 0)]

        return read

    @pytest.fixture
    def spans(self):
        async def read(telemetry):
            return [
                EndedSpan(
                    name=span.name,
                    trace_id=span.context.trace_id,
                    span_id=span.context.span_id,
                    parent_id=span.parent.span_id if span.parent else "",
                    failed=bool(span.error),
                    attributes=span.attributes,
                )
                for span in telemetry.spans
            ]

        return read


class Scraped(TelemetryContract):
    """The Prometheus adapter, which is right; what is wrong is a subclass of it."""

    capabilities = frozenset({Capability.METRICS, Capability.SCRAPE})
    patience = 0.1
    Telemetry = PrometheusTelemetry

    @pytest.fixture
    def adapter(self):
        return lambda: self.Telemetry(PrometheusSettings())


class TestRightKept(Kept):
    patience = Contract.patience


class TestRightScraped(Scraped):
    patience = Contract.patience


class TestStartsAgainWithEveryBinding(Kept):
    caught_by = ("test_the_same_labels_are_one_series", "test_an_instrument_may_have_no_labels")

    class Telemetry(MemoryTelemetry):
        def bind(self, instrument, labels=()):
            self._series.get(instrument.name, {}).pop(labels, None)
            return super().bind(instrument, labels)


class TestSetsItsCounters(Kept):
    caught_by = ("test_a_counter_adds",)

    class Telemetry(MemoryTelemetry):
        def bind(self, instrument, labels=()):
            return super().bind(replace(instrument, kind=Kind.GAUGE), labels)


class TestAddsItsGauges(Kept):
    caught_by = ("test_a_gauge_sets",)

    class Telemetry(MemoryTelemetry):
        def bind(self, instrument, labels=()):
            kind = Kind.COUNTER if instrument.kind is Kind.GAUGE else instrument.kind
            return super().bind(replace(instrument, kind=kind), labels)


class TestCountsWholeNumbers(Kept):
    caught_by = ("test_a_counter_adds", "test_nothing_raises_whatever_is_recorded")

    class Telemetry(MemoryTelemetry):
        def bind(self, instrument, labels=()):
            record = super().bind(instrument, labels)
            return lambda value: record(int(value))


class TestSortsItsLabels(Kept):
    caught_by = ("test_other_labels_are_other_series",)

    class Telemetry(MemoryTelemetry):
        def series(self, instrument, labels=()):
            return super().series(instrument, tuple(sorted(labels)))


class TestDropsWhatSoundsHostile(Kept):
    caught_by = ("test_hostile_label_values_are_values",)

    class Telemetry(MemoryTelemetry):
        def series(self, instrument, labels=()):
            return super().series(instrument, tuple("".join(filter(str.isprintable, label)) for label in labels))


class TestInsistsOnItsLabels(Kept):
    caught_by = ("test_nothing_raises_whatever_is_recorded",)

    class Telemetry(MemoryTelemetry):
        def bind(self, instrument, labels=()):
            if len(labels) != len(instrument.labels):
                raise ValueError("these are not its labels")
            return super().bind(instrument, labels)


class TestMustBeOpen(Kept):
    caught_by = ("test_nothing_raises_while_it_is_closed",)

    class Telemetry(MemoryTelemetry):
        async def __aenter__(self):
            self.buffer = []
            return self

        async def __aexit__(self, *_):
            del self.buffer

        def event(self, name, attributes):
            self.buffer.append((name, attributes))


class TestSwallowsTheException(Kept):
    caught_by = ("test_an_exception_leaves_a_span_as_it_is",)

    class Telemetry(MemoryTelemetry):
        @contextmanager
        def _span(self, span):
            with suppress(Exception), super()._span(span) as inner:
                yield inner


class TestWrapsTheException(Kept):
    caught_by = ("test_an_exception_leaves_a_span_as_it_is",)

    class Telemetry(MemoryTelemetry):
        @contextmanager
        def _span(self, span):
            try:
                with super()._span(span) as inner:
                    yield inner
            except LookupError as error:
                raise RuntimeError("a span failed") from error


class TestMarksNothing(Kept):
    caught_by = ("test_an_exception_marks_its_span_and_no_other",)

    class Telemetry(MemoryTelemetry):
        @contextmanager
        def _span(self, span):
            try:
                yield span
            finally:
                self.spans.append(span)


class TestMarksTheParentToo(Kept):
    caught_by = ("test_an_exception_marks_its_span_and_no_other",)

    class Telemetry(MemoryTelemetry):
        def span(self, name, context, *, parent=None, attributes=None):
            if parent is not None:
                self.failing = parent
            return super().span(name, context, parent=parent, attributes=attributes)

        @contextmanager
        def _span(self, span):
            try:
                with super()._span(span) as inner:
                    yield inner
            finally:
                if span.context == getattr(self, "failing", None):
                    span.error = "LookupError"


class TestNamesItsOwnSpans(Kept):
    caught_by = ("test_a_span_is_recorded_as_it_was_named",)

    class Telemetry(MemoryTelemetry):
        def span(self, name, context, *, parent=None, attributes=None):
            return super().span(name, replace(context, span_id="f" * 16), parent=parent, attributes=attributes)


class TestForgetsTheParent(Kept):
    caught_by = ("test_a_span_is_recorded_as_it_was_named",)

    class Telemetry(MemoryTelemetry):
        def span(self, name, context, *, parent=None, attributes=None):  # noqa: ARG002  # that is its fault
            return super().span(name, context, attributes=attributes)


class TestKeepsOneSpanAtATime(Kept):
    """``set`` goes to the span that was opened last, whoever calls it."""

    caught_by = ("test_spans_of_many_tasks_are_kept_apart",)

    class Telemetry(MemoryTelemetry):
        @contextmanager
        def _span(self, span):
            self.current = span
            with super()._span(span):
                yield self

        def set(self, key, value):
            RecordedSpan.set(self.current, key, value)


class TestChecksItsAttributes(Kept):
    caught_by = ("test_a_span_takes_any_attribute",)

    class Telemetry(MemoryTelemetry):
        @contextmanager
        def _span(self, span):
            class Checked:
                def set(self, key, value):
                    if not isinstance(value, str | int | float | bool):
                        raise TypeError(key)
                    span.set(key, value)

            with super()._span(span):
                yield Checked()


class TestWritesEventsAsText(Kept):
    caught_by = ("test_an_event_never_raises",)

    class Telemetry(MemoryTelemetry):
        def event(self, name, attributes):
            "".join(f"{name} {key}={value}\n" for key, value in attributes.items()).encode()


class TestEscapesNothing(Scraped):
    caught_by = ("test_hostile_label_values_are_values", "test_the_exposition_is_well_formed")

    class Telemetry(PrometheusTelemetry):
        def scrape(self):
            kind, body = super().scrape()
            return kind, body.replace(b"\\n", b"\n").replace(b'\\"', b'"')


class TestSpoiltByOneLabel(Scraped):
    caught_by = ("test_what_cannot_be_encoded_spoils_nothing_else",)

    class Telemetry(PrometheusTelemetry):
        def bind(self, instrument, labels=()):
            self.last = (*labels, "")[0]
            return super().bind(instrument, labels)

        def scrape(self):
            "".join(str(key) for names in self._records for key in names[1]).encode()
            return super().scrape()


class TestBucketsAreNotCumulative(Scraped):
    caught_by = ("test_the_exposition_is_well_formed",)

    class Telemetry(PrometheusTelemetry):
        def scrape(self):
            kind, body = super().scrape()
            lines = [line for line in body.split(b"\n") if b'le="+Inf"' not in line]
            return kind, b"\n".join(lines)


class TestSaysItIsHtml(Scraped):
    caught_by = ("test_the_exposition_is_well_formed",)

    class Telemetry(PrometheusTelemetry):
        def scrape(self):
            return "text/html", super().scrape()[1]
