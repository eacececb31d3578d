"""Telemetry adapters that are wrong on purpose, and the tests that must catch them."""

from __future__ import annotations

import asyncio
from contextlib import contextmanager, suppress

import pytest
from msgspec.structs import replace

from tradesense.adapters.memory.telemetry import (
    MemoryAlertNotifier,
    MemoryErrorReporter,
    MemoryTelemetry,
    RecordedSpan,
)
from tradesense.adapters.null.telemetry import NullHealthCheck
from tradesense.adapters.prometheus.settings import PrometheusSettings
from tradesense.adapters.prometheus.telemetry import PrometheusTelemetry
from tradesense.adapters.system.ambient import SystemClock
from tradesense.core.capabilities import Capability
from tradesense.core.telemetry import Health, Kind, Status
from tradesense.core.testing import (
    AlertNotifierContract,
    Contract,
    EndedSpan,
    ErrorReporterContract,
    HealthCheckContract,
    Reading,
    ReportedError,
    TelemetryContract,
)

# --- metrics and spans -----------------------------------------------------------------------------------------------


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


# --- errors ----------------------------------------------------------------------------------------------------------


class Errors(ErrorReporterContract):
    """The memory adapter, which is right; what is wrong is a subclass of it."""

    patience = 0.1
    Reporter = MemoryErrorReporter

    @pytest.fixture
    def adapter(self):
        return self.Reporter

    @pytest.fixture
    def reported(self):
        async def read(reporter):
            return [ReportedError(error=one.error, context=one.context) for one in reporter.reported]

        return read


class TestRightErrors(Errors):
    patience = Contract.patience


class TestPrintsTheError(Errors):
    caught_by = ("test_no_error_makes_it_raise",)

    class Reporter(MemoryErrorReporter):
        async def report(self, error, context):
            str(error)
            await super().report(error, context)


class TestFollowsTheCausesForEver(Errors):
    caught_by = ("test_no_error_makes_it_raise",)

    class Reporter(MemoryErrorReporter):
        async def report(self, error, context):
            cause = error
            while cause is not None:
                await asyncio.sleep(0)
                cause = cause.__cause__
            await super().report(error, context)


class TestRaisesTheErrorAgain(Errors):
    caught_by = ("test_no_error_makes_it_raise",)

    class Reporter(MemoryErrorReporter):
        async def report(self, error, context):
            await super().report(error, context)
            if not isinstance(error, Exception):
                raise error


class TestEncodesTheContext(Errors):
    caught_by = ("test_no_context_makes_it_raise",)

    class Reporter(MemoryErrorReporter):
        async def report(self, error, context):
            "".join(f"{key}={value}" for key, value in context.items()).encode()
            await super().report(error, context)


class TestReportsTwice(Errors):
    caught_by = ("test_an_error_is_reported_with_its_context",)

    class Reporter(MemoryErrorReporter):
        async def report(self, error, context):
            await super().report(error, context)
            await super().report(error, context)


class TestForgetsTheContext(Errors):
    caught_by = ("test_an_error_is_reported_with_its_context",)

    class Reporter(MemoryErrorReporter):
        async def report(self, error, context):
            await super().report(error, {key: context[key] for key in context if key == "correlation_id"})


class TestKeepsTheCallersContext(Errors):
    caught_by = ("test_the_context_stays_the_callers",)

    class Reporter(MemoryErrorReporter):
        async def report(self, error, context):
            await super().report(error, context)
            self.reported[-1] = ReportedError(error=type(error).__name__, context=context)


class TestMustBeOpenToReport(Errors):
    caught_by = ("test_it_does_not_raise_while_it_is_closed",)

    class Reporter(MemoryErrorReporter):
        opened = False

        async def __aenter__(self):
            self.opened = True
            return self

        async def __aexit__(self, *_):
            self.opened = False

        async def report(self, error, context):
            if not self.opened:
                raise RuntimeError("it is closed")
            await super().report(error, context)


class TestRaisesWhenNothingAnswers(Errors):
    caught_by = ("test_it_does_not_raise_when_nothing_answers",)

    @pytest.fixture
    def unreachable(self):
        class Reporter(MemoryErrorReporter):
            async def report(self, error, context):  # noqa: ARG002  # nothing answers
                raise ConnectionRefusedError

        return Reporter


# --- alerts ----------------------------------------------------------------------------------------------------------


class Alerts(AlertNotifierContract):
    """The memory adapter, which is right; what is wrong is a subclass of it."""

    patience = 0.1
    Notifier = MemoryAlertNotifier

    @pytest.fixture
    def adapter(self):
        return self.Notifier

    @pytest.fixture
    def notified(self):
        async def read(notifier):
            return list(notifier.notified)

        return read


class TestRightAlerts(Alerts):
    patience = Contract.patience


class TestDeliversTheCriticalOnly(Alerts):
    caught_by = ("test_an_alert_is_delivered_as_it_is",)

    class Notifier(MemoryAlertNotifier):
        async def notify(self, alert):
            self.check_open()
            if alert.severity == "critical":
                await super().notify(alert)


class TestCutsTheSummaryAtALineBreak(Alerts):
    caught_by = ("test_line_breaks_and_markup_are_text",)

    class Notifier(MemoryAlertNotifier):
        async def notify(self, alert):
            await super().notify(replace(alert, summary=alert.summary.splitlines()[0]))


class TestDropsOneWhileItIsBusy(Alerts):
    caught_by = ("test_many_at_once_are_all_delivered",)

    class Notifier(MemoryAlertNotifier):
        busy = False

        async def notify(self, alert):
            self.check_open()
            if self.busy:
                return
            self.busy = True
            try:
                await asyncio.sleep(0)
                await super().notify(alert)
            finally:
                self.busy = False


class TestIsBusyForEverOnceItWasCancelled(Alerts):
    caught_by = ("test_a_cancelled_delivery_leaves_it_usable",)

    class Notifier(MemoryAlertNotifier):
        def __init__(self):
            super().__init__()
            self.lock = asyncio.Lock()

        async def notify(self, alert):
            self.check_open()
            await self.lock.acquire()
            await asyncio.sleep(0)  # a cancellation here keeps the lock for ever
            self.lock.release()
            await super().notify(alert)


class TestAlertsAreNeverClosed(Alerts):
    caught_by = ("test_a_closed_notifier_says_so",)

    class Notifier(MemoryAlertNotifier):
        def check_open(self):
            pass


class TestSaysNothingOfAnOutage(Alerts):
    caught_by = ("test_an_unreachable_notifier_is_unavailable",)

    @pytest.fixture
    def unreachable(self):
        return MemoryAlertNotifier


# --- health ----------------------------------------------------------------------------------------------------------


class Checks(HealthCheckContract):
    """A check that is right; what is wrong is a subclass of it."""

    patience = 0.1
    Check = NullHealthCheck

    @pytest.fixture
    def adapter(self):
        return self.Check


class TestRightCheck(Checks):
    @pytest.fixture
    def broken(self):
        class Broken(NullHealthCheck):
            async def check(self):
                return Health(name=self.name, status=Status.DOWN, detail="ConnectionRefusedError")

        return Broken


class TestIsNeverWell(Checks):
    caught_by = ("test_what_is_well_is_up",)

    class Check(NullHealthCheck):
        async def check(self):
            return Health(name=self.name, status=Status.DEGRADED)


class TestAnswersForAnother(Checks):
    caught_by = ("test_what_is_well_is_up",)

    class Check(NullHealthCheck):
        async def check(self):
            return Health(name="database", status=Status.UP)


class TestChangesItsName(Checks):
    caught_by = ("test_a_check_has_one_name",)

    class Check(NullHealthCheck):
        def __init__(self):
            super().__init__()
            self.name = f"check {id(self)}"


class TestDoesNotSayWhatItsOutageMeans(Checks):
    caught_by = ("test_a_check_says_whether_it_is_essential",)

    class Check(NullHealthCheck):
        def __init__(self):
            super().__init__()
            self.essential = None


class TestIsAlwaysWell(Checks):
    caught_by = ("test_what_does_not_answer_is_down_and_nothing_is_raised",)

    @pytest.fixture
    def broken(self):
        return NullHealthCheck


class TestRaisesWhatItFinds(Checks):
    caught_by = ("test_what_does_not_answer_is_down_and_nothing_is_raised",)

    @pytest.fixture
    def broken(self):
        class Broken(NullHealthCheck):
            async def check(self):
                raise ConnectionRefusedError

        return Broken


class TestWaitsForEver(Checks):
    caught_by = ("test_what_does_not_answer_is_down_and_nothing_is_raised",)

    @pytest.fixture
    def broken(self):
        class Broken(NullHealthCheck):
            async def check(self):
                await asyncio.Event().wait()

        return Broken


class TestAsksOnceAtATime(Checks):
    caught_by = ("test_many_checks_at_once_are_each_answered",)

    class Check(NullHealthCheck):
        asked = False

        async def check(self):
            if self.asked:
                return Health(name=self.name, status=Status.DOWN, detail="it is being asked")
            self.asked = True
            try:
                await asyncio.sleep(0)
                return await super().check()
            finally:
                self.asked = False
