"""The contracts of ``ErrorReporter``, ``AlertNotifier`` and ``HealthCheck``."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from typing import Any

import msgspec
import pytest

from tradesense.core.errors import MessengerUnavailable
from tradesense.core.telemetry.models import Alert, Health, Status
from tradesense.core.telemetry.ports import AlertNotifier, ErrorReporter, HealthCheck
from tradesense.core.testing.base import Contract, Make, fresh, opened, together
from tradesense.core.testing.checks import Calls, arrives, interrupt, refuse_when_closed, refuse_when_unreachable

UNICODE = "Zürich ☃ 漢字 𝄞 e\u0301"
CHECK_SECONDS = 2.0
CALLS: Calls = {"notify": lambda notifier: notifier.notify(Alert(name="a", severity="info", summary="x"))}


class ReportedError(msgspec.Struct, frozen=True, kw_only=True):
    """What arrived of an error."""

    error: str
    """The name of its class."""
    context: dict[str, str] = {}


ReadReports = Callable[[Any], Awaitable[Sequence[ReportedError]]]
"""For an opened reporter: what it has reported up to now."""
ReadAlerts = Callable[[Any], Awaitable[Sequence[Alert]]]
"""For an opened notifier: what it has delivered up to now."""


class _Unprintable(Exception):
    def __str__(self) -> str:
        raise RuntimeError("this error has no text")

    __repr__ = __str__


def _circle() -> BaseException:
    one, two = ValueError("one"), ValueError("two")
    one.__cause__, two.__cause__ = two, one
    return one


def _raised(depth: int = 200) -> BaseException:
    def fall(left: int) -> None:
        if not left:
            raise LookupError("deep")
        fall(left - 1)

    try:
        fall(depth)
    except LookupError as error:
        return error
    raise AssertionError


class ErrorReporterContract(Contract):
    """What every :class:`ErrorReporter` must do. Override ``reported`` where the reports can be read back."""

    port = ErrorReporter

    @pytest.fixture
    def reported(self) -> ReadReports | None:
        """Override this: return a callable that takes a reporter and waits for what it has reported."""
        return None

    @pytest.fixture
    def unreachable(self) -> Make[ErrorReporter] | None:
        """Override this where there is a server: like ``adapter``, with nothing answering at the other end."""
        return None

    async def test_an_error_is_reported_with_its_context(
        self, adapter: Make[ErrorReporter], reported: ReadReports | None
    ) -> None:
        async with opened(adapter()) as reporter:
            one, two = fresh(), fresh()
            await reporter.report(_raised(), {"correlation_id": one, "route": f"/users/{{id}} {UNICODE}"})
            await reporter.report(KeyError("x"), {"correlation_id": two})
            await self._arrived(
                reported,
                reporter,
                ReportedError(
                    error="LookupError", context={"correlation_id": one, "route": f"/users/{{id}} {UNICODE}"}
                ),
                ReportedError(error="KeyError", context={"correlation_id": two}),
            )

    @pytest.mark.parametrize(
        "error",
        [
            _Unprintable(),
            _circle(),
            _raised(),
            ExceptionGroup("many", [ValueError("x"), ExceptionGroup("more", [_Unprintable()])]),
            KeyboardInterrupt(),
            asyncio.CancelledError(),
            ValueError("x" * 1_000_000),
            ValueError("\ud800\x00"),
            UnicodeDecodeError("utf-8", b"\xff", 0, 1, "bad"),
        ],
        ids=lambda error: type(error).__name__,
    )
    async def test_no_error_makes_it_raise(self, adapter: Make[ErrorReporter], error: BaseException) -> None:
        raised: BaseException | None = None
        async with opened(adapter()) as reporter:
            try:
                async with asyncio.timeout(self.patience):
                    await reporter.report(error, {})
            except BaseException as left:  # noqa: BLE001  # a KeyboardInterrupt that is let out would end the run
                raised = left
        assert raised is None, f"it raised {type(raised).__name__}"

    async def test_no_context_makes_it_raise(self, adapter: Make[ErrorReporter]) -> None:
        async with opened(adapter()) as reporter, asyncio.timeout(self.patience):
            for context in ({}, {"": ""}, {"a": "x" * 1_000_000}, {"\ud800": "\ud800"}, {"\x00\n": "\x00\n"}):
                await reporter.report(ValueError("x"), context)

    async def test_it_does_not_raise_while_it_is_closed(self, adapter: Make[ErrorReporter]) -> None:
        reporter = adapter()
        await reporter.report(ValueError("before"), {})
        async with opened(reporter):
            pass
        await reporter.report(ValueError("after"), {})

    async def test_it_does_not_raise_when_nothing_answers(self, unreachable: Make[ErrorReporter] | None) -> None:
        if unreachable is None:
            pytest.skip("there is no fixture `unreachable`: the adapter has no other end that could be away")
        async with opened(unreachable()) as reporter, asyncio.timeout(self.patience):
            await reporter.report(ValueError("x"), {})

    async def test_the_context_stays_the_callers(
        self, adapter: Make[ErrorReporter], reported: ReadReports | None
    ) -> None:
        async with opened(adapter()) as reporter:
            context = {"correlation_id": fresh()}
            before = dict(context)
            await reporter.report(ValueError("x"), context)
            assert context == before
            context["correlation_id"] = "changed"
            context["more"] = "added"
            await self._arrived(reported, reporter, ReportedError(error="ValueError", context=before))

    async def test_many_at_once_are_all_reported(
        self, adapter: Make[ErrorReporter], reported: ReadReports | None
    ) -> None:
        async with opened(adapter()) as reporter:
            ids = [fresh() for _ in range(50)]
            ended = await together(50, lambda at: reporter.report(ValueError("x"), {"correlation_id": ids[at]}))
            assert ended == [None] * 50
            expected = [ReportedError(error="ValueError", context={"correlation_id": one}) for one in ids]
            await self._arrived(reported, reporter, *expected)

    async def test_a_cancelled_report_leaves_it_usable(
        self, adapter: Make[ErrorReporter], reported: ReadReports | None
    ) -> None:
        async with opened(adapter()) as reporter:
            await interrupt(lambda: reporter.report(ValueError("x"), {}))
            context = {"correlation_id": fresh()}
            async with asyncio.timeout(self.patience):
                await reporter.report(ValueError("x"), context)
            await self._arrived(reported, reporter, ReportedError(error="ValueError", context=context))

    async def _arrived(self, reported: ReadReports | None, reporter: ErrorReporter, *expected: ReportedError) -> None:
        """Of the reports with these correlation ids, exactly ``expected`` have arrived, now or soon."""
        if reported is not None:
            ids = {one.context["correlation_id"] for one in expected}

            async def read() -> list[ReportedError]:
                return [one for one in await reported(reporter) if one.context.get("correlation_id") in ids]

            await arrives(read, expected, seconds=self.patience, what="reports")


class AlertNotifierContract(Contract):
    """What every :class:`AlertNotifier` must do. Override ``notified`` where the alerts can be read back."""

    port = AlertNotifier

    @pytest.fixture
    def notified(self) -> ReadAlerts | None:
        """Override this: return a callable that takes a notifier and waits for what it has delivered."""
        return None

    @pytest.fixture
    def unreachable(self) -> Make[AlertNotifier] | None:
        """Override this where there is a server: like ``adapter``, with nothing answering at the other end."""
        return None

    @pytest.mark.parametrize("severity", ["info", "warning", "critical"])
    async def test_an_alert_is_delivered_as_it_is(
        self, adapter: Make[AlertNotifier], notified: ReadAlerts | None, severity: str
    ) -> None:
        async with opened(adapter()) as notifier:
            alert = Alert(name=fresh(), severity=severity, summary=f"Disk {UNICODE} is full", labels={"disk": "sda é"})
            await notifier.notify(alert)
            await self._arrived(notified, notifier, alert)

    async def test_line_breaks_and_markup_are_text(
        self, adapter: Make[AlertNotifier], notified: ReadAlerts | None
    ) -> None:
        async with opened(adapter()) as notifier:
            hostile = "x\r\nBcc: all@example.org\r\n\r\n<b>&amp;</b> %s {0} \\ \"'"
            alert = Alert(name=fresh(), severity="info", summary=hostile, labels={"from": hostile})
            await notifier.notify(alert)
            await self._arrived(notified, notifier, alert)

    async def test_many_at_once_are_all_delivered(
        self, adapter: Make[AlertNotifier], notified: ReadAlerts | None
    ) -> None:
        async with opened(adapter()) as notifier:
            alerts = [Alert(name=fresh(), severity="info", summary=f"{number}") for number in range(20)]
            assert await together(20, lambda at: notifier.notify(alerts[at])) == [None] * 20
            await self._arrived(notified, notifier, *alerts)

    async def test_a_cancelled_delivery_leaves_it_usable(
        self, adapter: Make[AlertNotifier], notified: ReadAlerts | None
    ) -> None:
        async with opened(adapter()) as notifier:
            await interrupt(lambda: notifier.notify(Alert(name=fresh(), severity="info", summary="cancelled")))
            alert = Alert(name=fresh(), severity="info", summary="done")
            async with asyncio.timeout(self.patience):
                await notifier.notify(alert)
            await self._arrived(notified, notifier, alert)

    async def test_a_closed_notifier_says_so(self, adapter: Make[Any]) -> None:
        await refuse_when_closed(adapter(), CALLS)

    async def test_an_unreachable_notifier_is_unavailable(self, unreachable: Make[Any] | None) -> None:
        await refuse_when_unreachable(unreachable, MessengerUnavailable, CALLS)

    async def _arrived(self, notified: ReadAlerts | None, notifier: AlertNotifier, *expected: Alert) -> None:
        """Of the alerts with these names, exactly ``expected`` have arrived, now or soon."""
        if notified is not None:
            names = {one.name for one in expected}

            async def read() -> list[Alert]:
                return [one for one in await notified(notifier) if one.name in names]

            await arrives(read, expected, seconds=self.patience, what="alerts")


class HealthCheckContract(Contract):
    """What every :class:`HealthCheck` must do. The fixture ``adapter`` makes checks of what is well."""

    port = HealthCheck

    @pytest.fixture
    def broken(self) -> Make[HealthCheck] | None:
        """Override this where what is watched can be away: like ``adapter``, over something that does not answer."""
        return None

    async def test_what_is_well_is_up(self, adapter: Make[HealthCheck]) -> None:
        async with opened(adapter()) as check:
            for _ in range(3):
                health = await self._look(check)
                assert health.status is Status.UP

    async def test_a_check_has_one_name(self, adapter: Make[HealthCheck]) -> None:
        async with opened(adapter()) as one, opened(adapter()) as two:
            assert one.name == two.name
            assert one.name == one.name.strip() != ""

    async def test_a_check_says_whether_it_is_essential(self, adapter: Make[HealthCheck]) -> None:
        async with opened(adapter()) as check:
            assert isinstance(check.essential, bool)

    async def test_many_checks_at_once_are_each_answered(self, adapter: Make[HealthCheck]) -> None:
        async with opened(adapter()) as check:
            found = await together(20, lambda _: self._look(check))
            assert [getattr(health, "status", health) for health in found] == [Status.UP] * 20

    async def test_a_cancelled_check_leaves_it_usable(self, adapter: Make[HealthCheck]) -> None:
        async with opened(adapter()) as check:
            await interrupt(check.check)
            assert (await self._look(check)).status is Status.UP

    async def test_what_does_not_answer_is_down_and_nothing_is_raised(self, broken: Make[HealthCheck] | None) -> None:
        if broken is None:
            pytest.skip("there is no fixture `broken`: nothing that is watched could be away")
        async with opened(broken()) as check:
            for _ in range(3):
                health = await self._look(check)
                assert health.status is Status.DOWN
                assert health.detail, "the detail of an error is its class"
                assert "\n" not in health.detail
                assert "Traceback" not in health.detail

    async def _look(self, check: HealthCheck) -> Health:
        try:
            async with asyncio.timeout(CHECK_SECONDS):
                health = await check.check()
        except TimeoutError:
            pytest.fail(f"the check took longer than {CHECK_SECONDS:g} s")
        assert isinstance(health, Health)
        assert health.name == check.name
        return health
