"""Reporters of errors and alerts that are wrong on purpose, and the tests that must catch them."""

from __future__ import annotations

import asyncio

import pytest
from msgspec.structs import replace

from tradesense.adapters.memory.telemetry import (
    MemoryAlertNotifier,
    MemoryErrorReporter,
)
from tradesense.core.testing import (
    AlertNotifierContract,
    Contract,
    ErrorReporterContract,
    ReportedError,
)

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
